# SPDX-License-Identifier: MIT
"""One application for the wire tests; its path says what it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Receive, Scope, Send, read_body, respond
from tests.support.server import RunningServer, running_server

START = "http.response.start"
BODY = "http.response.body"


async def start(send: Send, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """Send a start with exactly these headers."""
    await send({"type": START, "status": status, "headers": list(headers)})


async def body(send: Send, data: bytes, more: bool = False) -> None:
    """Send a piece of the body."""
    await send({"type": BODY, "body": data, "more_body": more})


async def counted(send: Send, scope: Scope) -> None:
    """Answer in one piece, with a content-length."""
    await respond(send)


async def whole(send: Send, scope: Scope) -> None:
    """Answer in one piece, and say no length."""
    await start(send)
    await body(send, b"hello")


async def stream(send: Send, scope: Scope) -> None:
    """Answer in three pieces, one of them empty."""
    await start(send)
    await body(send, b"hello", True)
    await body(send, b"", True)
    await body(send, b"world", False)


async def stream_late_end(send: Send, scope: Scope) -> None:
    """Answer in one piece and an empty end."""
    await start(send)
    await body(send, b"hello", True)
    await body(send, b"")


async def counted_stream(send: Send, scope: Scope) -> None:
    """Answer in pieces with a content-length."""
    await start(send, 200, (b"content-length", b"10"))
    await body(send, b"hello", True)
    await body(send, b"world")


async def own_chunked(send: Send, scope: Scope) -> None:
    """Ask for chunks."""
    await start(send, 200, (b"transfer-encoding", b"chunked"))
    await body(send, b"hello", True)
    await body(send, b"world")


async def length_and_chunked(send: Send, scope: Scope) -> None:
    """Ask for two framings at once."""
    await start(send, 200, (b"content-length", b"5"), (b"transfer-encoding", b"chunked"))
    await body(send, b"hello")


async def empty(send: Send, scope: Scope) -> None:
    """Answer with nothing."""
    await start(send)
    await body(send, b"")


async def too_long(send: Send, scope: Scope) -> None:
    """Send more than was said."""
    await start(send, 200, (b"content-length", b"5"))
    try:
        await body(send, b"hello world")
    finally:
        scope["state"]["notes"].append("raised")


async def too_short(send: Send, scope: Scope) -> None:
    """Send less than was said."""
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"hell")


async def no_content(send: Send, scope: Scope) -> None:
    """Answer 204."""
    await start(send, 204)
    await body(send, b"")


async def no_content_with_body(send: Send, scope: Scope) -> None:
    """Answer 204, with a body all the same."""
    await start(send, 204)
    await body(send, b"hello")


async def not_modified(send: Send, scope: Scope) -> None:
    """Answer 304 with the length of what was not sent."""
    await start(send, 304, (b"content-length", b"500"), (b"etag", b'"x"'))
    await body(send, b"")


async def not_modified_with_body(send: Send, scope: Scope) -> None:
    """Answer 304, with a body all the same."""
    await start(send, 304)
    await body(send, b"hello")


async def closing(send: Send, scope: Scope) -> None:
    """Ask for the connection to be closed."""
    await start(send, 200, (b"content-length", b"5"), (b"connection", b"close"))
    await body(send, b"hello")


async def own_fields(send: Send, scope: Scope) -> None:
    """Bring date and server along."""
    await start(send, 200, (b"date", b"today"), (b"Server", b"mine"), (b"content-length", b"0"))
    await body(send, b"")


async def path_of(send: Send, scope: Scope) -> None:
    """Answer with the path and the query."""
    await respond(send, scope["raw_path"] + b"?" + scope["query_string"])


ANSWERS = {
    function.__name__.replace("_", "-"): function
    for function in (
        counted,
        whole,
        stream,
        stream_late_end,
        counted_stream,
        own_chunked,
        length_and_chunked,
        empty,
        too_long,
        too_short,
        no_content,
        no_content_with_body,
        not_modified,
        not_modified_with_body,
        closing,
        own_fields,
    )
}


SLOW_CLIENT = 60
"""Seconds that a client may take to read what has come to it, before it asks again."""


async def wire_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the path says; /echo gives the body back, /ignore never receives."""
    name = scope["path"].lstrip("/")
    if name == "echo":
        await respond(send, await read_body(receive))
    elif name in ANSWERS:
        await ANSWERS[name](send, scope)
    else:
        await path_of(send, scope)


@pytest.fixture
def wire(serve: Serve) -> Iterator[RunningServer]:
    """A running server with the wire application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> Any:
        scope["state"]["notes"] = []
        return await wire_app(scope, receive, send)

    with serve(app, timeout_keep_alive=SLOW_CLIENT) as server:
        yield server


@pytest.fixture(scope="module")
def split_server() -> Iterator[RunningServer]:
    """A server that many tests share."""
    with running_server(wire_app, timeout_keep_alive=SLOW_CLIENT) as server:
        yield server
