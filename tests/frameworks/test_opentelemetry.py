# SPDX-License-Identifier: MIT
"""OpenTelemetry's instrumentation of ASGI, FastAPI and asyncio: spans nest, and requests stay apart."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.frameworks.watched import FACTORIES, Watched, watched
from tests.support.asgi import WAIT

pytest.importorskip("opentelemetry.instrumentation.asyncio")


@pytest.fixture(scope="module", params=FACTORIES)
def server(request: pytest.FixtureRequest) -> Iterator[Watched]:
    with watched("otel_app", request.param, "/spans") as server:
        yield server


def by_trace(spans: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the spans of each trace, without what waits for a disconnect: that may end later."""
    found = defaultdict(list)
    for span in spans:
        if not span["name"].endswith(" http receive"):
            found[span["trace"]].append(span)
    return found


def ended(spans: list[Any], count: int) -> bool:
    """Whether so many requests have ended: their own spans end last."""
    return [span["kind"] for span in spans].count("SERVER") == count


def check_one_trace(spans: list[dict[str, Any]], name: str, work: int = 1) -> None:
    """See that the spans of one request belong together as they should."""
    by_id = {span["id"]: span for span in spans}
    (root,) = [span for span in spans if span["kind"] == "SERVER"]
    parents = {
        span["id"]: by_id[span["parent"]]["name"] for span in spans if span["parent"] in by_id
    }
    names = Counter(span["name"] for span in spans)
    assert {span["of"] for span in spans} - {None} == {name}
    assert names["work"] == work
    assert names["inner"] == 5 * work
    assert names["thread"] == work
    assert all(span is root or span["parent"] in by_id for span in spans)
    for span in spans:
        if span["name"] in ("inner", "thread") or span["name"].startswith("asyncio"):
            assert parents[span["id"]] == "work"
    # the instrumentation of asyncio gives anyio's tasks no span
    assert names["asyncio coro-part"] >= 4 * work
    if work == 1:
        (of_work,) = [span for span in spans if span["name"] == "work"]
        assert of_work["parent"] == root["id"]


@pytest.mark.parametrize("kind", ["work", "plain", "stream"])
def test_one_after_another(server: Watched, kind: str) -> None:
    """On one connection, whose later requests are not inside the earlier ones."""
    for name in ("a", "b", "c"):
        answer = server.client.get(f"/{kind}/{name}")
        assert answer.status_code == 200
        spans = server.recorded(lambda spans: ended(spans, 1))
        (trace,) = by_trace(spans).values()
        check_one_trace(trace, name, 3 if kind == "stream" else 1)
        (root,) = [span for span in trace if span["kind"] == "SERVER"]
        assert root["parent"] is None


@pytest.mark.parametrize("kind", ["work", "plain"])
def test_many_at_once(server: Watched, kind: str) -> None:
    names = [f"n{number}" for number in range(30)]

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=server.client.base_url, timeout=WAIT, trust_env=False
        ) as client:
            return await asyncio.gather(*(client.get(f"/{kind}/{name}") for name in names))

    assert [answer.status_code for answer in asyncio.run(ask())] == [200] * 30
    traces = by_trace(server.recorded(lambda spans: ended(spans, 30)))
    assert len(traces) == 30
    found = []
    for spans in traces.values():
        (name,) = {span["of"] for span in spans} - {None}
        check_one_trace(spans, name)
        found.append(name)
    assert sorted(found) == sorted(names)


def test_the_callers_trace_goes_on(server: Watched) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    server.client.get("/work/a", headers={"traceparent": f"00-{trace}-{span}-01"})
    spans = server.recorded(lambda spans: ended(spans, 1))
    assert set(by_trace(spans)) == {trace}
    assert [one["parent"] for one in spans if one["kind"] == "SERVER"] == [span]


def test_a_failure(server: Watched) -> None:
    assert server.client.get("/fail").status_code == 500
    spans = server.recorded(lambda spans: ended(spans, 1))
    (root,) = [span for span in spans if span["kind"] == "SERVER"]
    assert root["status"] == "ERROR"
    assert server.client.get("/work/a").status_code == 200
    (trace,) = by_trace(server.recorded(lambda spans: ended(spans, 1))).values()
    check_one_trace(trace, "a")
