# SPDX-License-Identifier: MIT
"""What the framework tests share: a client, the answer without a server, gates to open."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import StreamingResponse

from tests.support.asgi import WAIT, App, Notes, Receive, Scope, Send
from tests.support.server import LOOPS, RunningServer

ADDED = {"date", "server", "content-length", "transfer-encoding", "connection"}
"""Fields that a server adds, and an in-memory transport does not."""

ON_EVERY_LOOP = pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)
"""Runs a test on cuvee's loop and on the foreign ones."""

LEAVING = pytest.mark.parametrize("how", ["fin", "close", "rst"])
"""How a client can go."""

LEAVING_ON_EVERY_LOOP = pytest.mark.parametrize(
    ("loop_kind", "how"),
    [
        ("cuvee", "fin"),
        ("cuvee", "close"),
        ("cuvee", "rst"),
        ("asyncio", "close"),
        ("uvloop", "rst"),
    ],
    indirect=["loop_kind"],
)
"""Both, where a framework is tested: it sees nothing of the way, and tests/asgi has all pairs."""


class ReportingResponse(StreamingResponse):
    """Reports when it is over, however it ends.

    Its generator can't: one that is cut off while it is suspended in a `yield` is closed by the
    garbage collector, some day.
    """

    def __init__(self, content: Any, notes: Notes, note: str) -> None:
        super().__init__(content)
        self._notes = notes
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream, then report."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._notes.put(self._note)


def client_of(server: RunningServer, **options: Any) -> httpx.Client:
    """Return an ordinary HTTP client of the server."""
    return httpx.Client(base_url=server.url, timeout=WAIT, trust_env=False, **options)


async def ask_all(server: RunningServer, paths: list[str]) -> list[httpx.Response]:
    """Send a GET for each path, all at once, each on a connection of its own."""
    limits = httpx.Limits(max_connections=len(paths), max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=server.url, timeout=WAIT, trust_env=False, limits=limits
    ) as client:
        return await asyncio.gather(*(client.get(path) for path in paths))


def at_once(server: RunningServer, paths: list[str]) -> list[httpx.Response]:
    """Return the answers to requests that are all under way together."""
    return asyncio.run(ask_all(server, paths))


def in_memory(
    app: Any, method: str, path: str, base_url: str = "http://127.0.0.1", **options: Any
) -> httpx.Response:
    """Ask the application without a server between."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


def same_answer(
    server: RunningServer, app: App, method: str, path: str, **options: Any
) -> httpx.Response:
    """Ask the server and, in memory, its application; the answers must be the same. Return it."""
    expected = in_memory(app, method, path, base_url=server.url, **options)
    with client_of(server) as client:
        got = client.request(method, path, **options)
    assert got.status_code == expected.status_code
    assert own_fields(got) == own_fields(expected)
    if method == "HEAD":
        assert got.content == b""
    else:
        assert got.content == expected.content
    length = expected.headers.get("content-length")
    assert length is None or got.headers["content-length"] == length
    return got


def own_fields(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the fields that the application sent."""
    return [pair for pair in response.headers.multi_items() if pair[0] not in ADDED]


def on_loop(server: RunningServer, function: Callable[[], object]) -> None:
    """Have the server's loop call `function`, and wait until it has."""
    called = threading.Event()

    def call() -> None:
        function()
        called.set()

    assert server.loop is not None
    server.loop.call_soon_threadsafe(call)
    assert called.wait(WAIT)


def take(notes: Notes, count: int) -> list[Any]:
    """Return the next notes."""
    return [notes.get() for _ in range(count)]


def csrf_token(client: httpx.Client, page: str) -> str:
    """Return the CSRF token of a page of Django's with a form."""
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(page).text)
    assert found is not None
    return found[1]
