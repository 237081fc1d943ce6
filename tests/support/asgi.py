# SPDX-License-Identifier: MIT
"""ASGI types, and the few lines that nearly every test application needs."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WAIT = 15.0
"""Seconds after which a test gives up on something that should have come at once."""


class Notes:
    """What an application tells its test, from one thread to the other, in order."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, item: Any) -> None:
        """Hand one item over."""
        self._items.put(item)

    def get(self) -> Any:
        """Return the next item, waiting for it; fail the test when none comes."""
        try:
            return self._items.get(timeout=WAIT)
        except queue.Empty:
            raise AssertionError("the application reported nothing") from None

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return self._items.empty()


async def respond(
    send: Send,
    body: Any = b"hello",
    status: int = 200,
    headers: Iterable[Any] | None = None,
) -> None:
    """Send a whole response with a content-length."""
    if headers is None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes:
    """Receive the whole request body; fail on a disconnect."""
    parts = []
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with `hello`."""
    assert scope["type"] == "http"
    await respond(send)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's body."""
    assert scope["type"] == "http"
    await respond(send, await read_body(receive))
