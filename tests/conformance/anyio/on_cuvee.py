# SPDX-License-Identifier: MIT
"""A plugin of pytest for the process in which anyio's tests run: their loops are cuvee's.

It chooses the tests that run on asyncio's interface, and writes down what each came to. anyio's tests
on uvloop and trio are about those.
"""

from __future__ import annotations

import asyncio
import collections
import json
from pathlib import Path
from typing import Any

import pytest

import cuvee

made: collections.Counter[str] = collections.Counter()
outcomes: dict[str, str] = {}
texts: dict[str, str] = {}


def count(loop: Any) -> None:
    """Keep the type of every loop that is made from now on."""
    original = loop.__init__

    def counting_init(self: Any, *args: Any, **kwargs: Any) -> None:
        made[f"{type(self).__module__}.{type(self).__qualname__}"] += 1
        original(self, *args, **kwargs)

    loop.__init__ = counting_init


count(cuvee.Loop)
count(asyncio.SelectorEventLoop)
changed: Any = asyncio
changed.new_event_loop = changed.events.new_event_loop = cuvee.new_event_loop
if hasattr(asyncio, "EventLoop"):
    changed.EventLoop = cuvee.Loop


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --report."""
    parser.addoption("--report", type=Path, help="the file to write outcomes to")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs on another loop."""
    others = {"asyncio+uvloop", "trio"}
    kept = [item for item in items if others.isdisjoint(parameters(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def parameters(item: pytest.Item) -> list[str]:
    """Return the parts of what stands in brackets behind a test's name."""
    return item.name.partition("[")[2].rstrip("]").split("-")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the outcome of a test: the worst of its three phases."""
    if report.failed or report.nodeid not in outcomes:
        outcomes[report.nodeid] = report.outcome
    elif report.skipped and outcomes[report.nodeid] == "passed":
        outcomes[report.nodeid] = "skipped"
    if report.failed:
        texts[report.nodeid] = report.longreprtext


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Keep a file that cannot be imported."""
    if report.failed:
        outcomes[report.nodeid] = "failed"
        texts[report.nodeid] = report.longreprtext


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write all of it down."""
    said = {"outcomes": outcomes, "texts": texts, "loops": made}
    session.config.getoption("--report").write_text(json.dumps(said))
