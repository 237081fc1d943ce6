# SPDX-License-Identifier: MIT
"""Options and fixtures of the whole suite."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.asgi import Notes
from tests.support.server import LOOPS, RunningServer, missing_loop, running_server

Serve = Callable[..., RunningServer]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --full and --own-loop."""
    parser.addoption("--full", action="store_true", help="run the tests that take minutes too")
    parser.addoption(
        "--own-loop", action="store_true", help="leave out what runs in others' event loops"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless it is asked for, and others' loops where it is asked for."""
    if config.getoption("--own-loop"):
        foreign = set(filter(in_foreign_loop, items))
        config.hook.pytest_deselected(items=list(foreign))
        items[:] = [item for item in items if item not in foreign]
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="takes minutes; run with --full")
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(skip)


def in_foreign_loop(item: pytest.Item) -> bool:
    """Whether a test is one of several that are alike but for the loop, and that is not cuvee's."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return False
    values = (value for value in item.callspec.params.values() if isinstance(value, str))
    return any(value in LOOPS and value != "cuvee" for value in values)


def pytest_collection_finish() -> None:
    """Keep the tests themselves, of which there are thousands, out of all collections of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["cuvee"])
def loop_kind(request: pytest.FixtureRequest) -> str:
    """The event loop that the server runs on; a folder widens it to more loops."""
    kind: str = request.param
    reason = missing_loop(kind)
    if reason:
        pytest.skip(reason)
    return kind


@pytest.fixture
def serve(loop_kind: str) -> Serve:
    """`with serve(app, **config) as server:` runs a server on the loop under test."""
    return partial(running_server, loop=loop_kind)


@pytest.fixture
def notes() -> Notes:
    """A queue from the application to the test."""
    return Notes()
