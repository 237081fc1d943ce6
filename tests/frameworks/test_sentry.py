# SPDX-License-Identifier: MIT
"""Sentry's SDK, whose integration of asyncio sets a task factory: what it records of requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.frameworks.watched import FACTORIES, Watched, watched
from tests.support.asgi import WAIT

pytest.importorskip("sentry_sdk")


@pytest.fixture(scope="module", params=FACTORIES)
def server(request: pytest.FixtureRequest) -> Iterator[Watched]:
    with watched("sentry_app", request.param, "/recorded") as server:
        yield server


def transactions(recorded: list[Any]) -> list[dict[str, Any]]:
    """Return what was recorded of whole requests; each is there when its request has ended."""
    return [one for one in recorded if one.get("type") == "transaction"]


def check_spans(transaction: dict[str, Any], name: str) -> None:
    """See that a request has the tags and the spans of its own tasks, and no others."""
    assert transaction["transaction"] == "/work/{name}"
    assert transaction["tags"]["name"] == name
    assert "part" not in transaction["tags"]
    root = transaction["contexts"]["trace"]["span_id"]
    spans = transaction["spans"]
    names = [one["description"] for one in spans if one["op"] == "function"]
    assert names == ["part"] * 3
    assert {one["parent_span_id"] for one in spans} == {root}


def test_the_factory_is_sentrys(server: Watched) -> None:
    assert server.client.get("/factory").text == "_sentry_task_factory"


def test_one_after_another(server: Watched) -> None:
    for name in ("a", "b", "c"):
        assert server.client.get(f"/work/{name}").json() == "Task"
        recorded = server.recorded(lambda recorded: len(transactions(recorded)) == 1)
        (transaction,) = transactions(recorded)
        check_spans(transaction, name)
        (message,) = [one for one in recorded if one.get("type") != "transaction"]
        assert message["message"] == f"worked on {name}"
        assert message["tags"]["name"] == name


def test_many_at_once(server: Watched) -> None:
    names = [f"n{number}" for number in range(30)]

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=server.client.base_url, timeout=WAIT, trust_env=False
        ) as client:
            return await asyncio.gather(*(client.get(f"/work/{name}") for name in names))

    assert [answer.status_code for answer in asyncio.run(ask())] == [200] * 30
    recorded = server.recorded(lambda recorded: len(transactions(recorded)) == 30)
    for transaction in transactions(recorded):
        check_spans(transaction, transaction["tags"]["name"])
    traces = Counter(one["contexts"]["trace"]["trace_id"] for one in recorded)
    assert sorted(traces.values()) == [2] * 30  # the transaction, and the message in it
    assert sorted(one["tags"]["name"] for one in transactions(recorded)) == sorted(names)


def test_time_is_up(server: Watched) -> None:
    assert server.client.get("/late").json() == "late"
    recorded = server.recorded(lambda recorded: len(transactions(recorded)) == 1)
    assert len(recorded) == 1  # nothing else: no error


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [("/fail", 500, "in the handler"), ("/fail-in-task", 200, "in a task")],
)
def test_a_failure_is_recorded_once(server: Watched, path: str, status: int, text: str) -> None:
    assert server.client.get(path).status_code == status
    recorded = server.recorded(lambda recorded: len(transactions(recorded)) == 1)
    (failure,) = [one for one in recorded if one.get("type") != "transaction"]
    (error,) = failure["exception"]["values"]
    assert (error["type"], error["value"]) == ("LookupError", text)
    assert failure["request"]["url"].endswith(path)
    (transaction,) = transactions(recorded)
    trace = transaction["contexts"]["trace"]["trace_id"]
    assert failure["contexts"]["trace"]["trace_id"] == trace
