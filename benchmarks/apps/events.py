"""Server-sent events: every client is told the time of the same clock, twenty times a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PERIOD = 0.05
START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")],
}


class Broadcaster:
    """Tells every subscriber the same; it works while there are any."""

    def __init__(self) -> None:
        self.subscribers: set[asyncio.Queue[bytes]] = set()
        self.task: asyncio.Task[None] | None = None

    def subscribe(self) -> asyncio.Queue[bytes]:
        """Add a subscriber."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.subscribers.add(queue)
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self._work())
        return queue

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self.subscribers:
            due += PERIOD
            await asyncio.sleep(due - loop.time())
            event = b"data: %d\n\n" % time.monotonic_ns()
            for queue in self.subscribers:
                queue.put_nowait(event)
        self.task = None


broadcaster = Broadcaster()


async def until_gone(receive: Receive, queue: asyncio.Queue[bytes]) -> None:
    """Put an empty event in the queue when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    queue.put_nowait(b"")


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Send events until the client goes."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    await send(START)
    queue = broadcaster.subscribe()
    listener = asyncio.create_task(until_gone(receive, queue))
    try:
        while event := await queue.get():
            await send({"type": "http.response.body", "body": event, "more_body": True})
    finally:
        broadcaster.subscribers.discard(queue)
        listener.cancel()
