"""What rate.py measures against: one request in 200 takes 20 ms of CPU, and its answer says 202."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

Message = dict[str, Any]

ONE_IN = 200
SLOW_SECONDS = 0.02
FIELDS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
QUICK: Message = {"type": "http.response.start", "status": 200, "headers": FIELDS}
SLOW: Message = {"type": "http.response.start", "status": 202, "headers": FIELDS}
END: Message = {"type": "http.response.body", "body": b"Hello, world!"}

# Not the first one: a process that has just started is measured too.
numbers = count(ONE_IN // 2)


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer at once, or work first."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    if next(numbers) % ONE_IN:
        await send(QUICK)
    else:
        end = time.thread_time() + SLOW_SECONDS
        while time.thread_time() < end:
            pass
        await send(SLOW)
    await send(END)
