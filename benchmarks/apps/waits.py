"""Requests that wait once before their answer: for a task, or for time to pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SLEEP = 0.01
START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")],
}
END: Message = {"type": "http.response.body", "body": b"Hello, world!"}


async def nothing() -> None:
    """What the task does."""


async def task(scope: Message, receive: Receive, send: Send) -> None:
    """Await a task, then answer."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    await asyncio.create_task(nothing())
    await send(START)
    await send(END)


async def sleep(scope: Message, receive: Receive, send: Send) -> None:
    """Sleep for 10 ms, then answer."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    await asyncio.sleep(SLEEP)
    await send(START)
    await send(END)
