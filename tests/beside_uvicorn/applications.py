# SPDX-License-Identifier: MIT
"""Applications that both servers serve; each case names one by its path."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[object]]
Header = tuple[bytes, bytes]

HANDLERS: dict[str, Handler] = {}
seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


def handler(function: Handler) -> Handler:
    """Serve `function` at the path of its name."""
    HANDLERS["/" + getattr(function, "__name__", "")] = function
    return function


async def app(scope: Scope, receive: Receive, send: Send) -> object:
    """Find the handler; the lifespan puts something into the state."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = "yes"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return None
    handle = HANDLERS.get(scope["path"].rsplit("!", 1)[0])
    return await (handle or echo)(scope, receive, send)


async def answer(
    send: Send, body: bytes = b"hello", status: int = 200, headers: Iterable[Header] = ()
) -> None:
    """Send a counted answer, unless it says its length itself."""
    headers = list(headers)
    if not any(name.lower() == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Receive) -> bytes:
    """Return the whole body."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


@handler
async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the scope and the body."""
    body = await read(receive)
    said = {key: value for key, value in scope.items() if key not in ("extensions", "app")}
    said["body"] = body
    await answer(send, json.dumps(said, default=repr).encode())


@handler
async def marker(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell the test that all lines before are there."""
    print(scope["query_string"].decode(), file=sys.stderr, flush=True)
    await answer(send)


@handler
async def whole(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in one piece, without a length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"whole"})


@handler
async def own_server(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the fields that servers add."""
    await answer(send, headers=[(b"server", b"mine"), (b"date", b"today")])


@handler
async def not_modified(scope: Scope, receive: Receive, send: Send) -> None:
    """Say the length of what is not sent."""
    await answer(send, b"", 304, [(b"content-length", b"5")])


@handler
async def no_content_with_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a body where there is none."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


@handler
async def reset_content(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a body where there is none."""
    await answer(send, b"x", 205)


@handler
async def extensions(scope: Scope, receive: Receive, send: Send) -> None:
    """Say whether there are any."""
    await answer(send, str("extensions" in scope).encode())


@handler
async def invalid_field(scope: Scope, receive: Receive, send: Send) -> None:
    """Try to send a field in two lines."""
    await answer(send, headers=[(b"x-split", b"a\r\nb: c")])


@handler
async def returns(scope: Scope, receive: Receive, send: Send) -> object:
    """Return something."""
    await answer(send)
    return "something"


@handler
async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in pieces without a length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one", b"", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


@handler
async def fields(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with fields in capitals, doubled, and with odd bytes."""
    await answer(
        send,
        headers=[
            (b"X-Case", b"Kept?"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"x-latin", b"caf\xe9"),
            (b"x-tab", b"a\tb"),
            (b"x-empty", b""),
        ],
    )


@handler
async def created(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with another status."""
    await answer(send, b"", 201, [(b"location", b"/1")])


@handler
async def teapot(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a status that not everybody has a phrase for."""
    await answer(send, b"short", 418)


@handler
async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a status that nobody has a phrase for."""
    await answer(send, b"", 299)


@handler
async def no_content(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without a body."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@handler
async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before the answer."""
    raise LookupError("before")


@handler
async def raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail in the middle of the answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    raise LookupError("late")


@handler
async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing."""


@handler
async def unfinished(scope: Scope, receive: Receive, send: Send) -> None:
    """Begin an answer and leave."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})


@handler
async def body_first(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the messages in the wrong order."""
    await send({"type": "http.response.body", "body": b"x"})


@handler
async def starts_twice(scope: Scope, receive: Receive, send: Send) -> None:
    """Begin the answer twice."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.start", "status": 200, "headers": []})


@handler
async def goes_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Send more behind the end."""
    await answer(send)
    try:
        await send({"type": "http.response.body", "body": b"more"})
    except RuntimeError as exc:
        print(exc, file=sys.stderr, flush=True)


@handler
async def too_long(scope: Scope, receive: Receive, send: Send) -> None:
    """Send more than was promised."""
    await answer(send, b"123456", headers=[(b"content-length", b"3")])


@handler
async def too_short(scope: Scope, receive: Receive, send: Send) -> None:
    """Send less than was promised."""
    await answer(send, b"123", headers=[(b"content-length", b"6")])


@handler
async def closes(scope: Scope, receive: Receive, send: Send) -> None:
    """Ask for the end of the connection."""
    await answer(send, headers=[(b"connection", b"close")])


@handler
async def early(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading the body."""
    await answer(send, b"early", 403)


@handler
async def disconnected(scope: Scope, receive: Receive, send: Send) -> None:
    """Say what is received behind the answer."""
    await read(receive)
    await answer(send)
    print((await receive())["type"], file=sys.stderr, flush=True)


@handler
async def logs(scope: Scope, receive: Receive, send: Send) -> None:
    """Write through the server's logger."""
    logging.getLogger("uvicorn.error").warning("from the application")
    await answer(send)


@handler
async def context(scope: Scope, receive: Receive, send: Send) -> None:
    """Show that a request does not see what another has set."""
    before = seen.get()
    seen.set("another request")
    task = asyncio.current_task()
    assert task is not None
    await answer(send, before.encode())


class Failing:
    """Applications whose lifespan fails somewhere."""

    def __init__(self, where: str) -> None:
        self.where = where

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await answer(send)
            return
        if self.where == "call":
            raise LookupError("no lifespan")
        await receive()
        if self.where == "startup":
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        if self.where == "start":
            raise LookupError("in the start")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self.where == "shutdown":
            await send({"type": "lifespan.shutdown.failed", "message": "no goodbye"})
            return
        if self.where == "stop":
            raise LookupError("in the stop")
        await send({"type": "lifespan.shutdown.complete"})


fails_at_call = Failing("call")
fails_at_startup = Failing("startup")
fails_in_start = Failing("start")
fails_at_shutdown = Failing("shutdown")
fails_in_stop = Failing("stop")


async def no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve HTTP only."""
    assert scope["type"] == "http"
    await answer(send)


def factory() -> Handler:
    """Make the application."""
    return app


def environment() -> Handler:
    """Show a variable."""

    async def shows(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, os.environ.get("SHOWN", "none").encode())

    return shows
