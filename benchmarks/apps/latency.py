"""What latency.py measures against; the path says what a request does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE = b"x" * 65536
GIBIBYTE = 1 << 30
TICK = 0.01
STUCK = 0.2
SPIN = 0.2


async def start(send: Send, length: int | None = None) -> None:
    """Begin an answer."""
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def piece(send: Send, data: bytes, more: bool = True) -> None:
    """Send a part of an answer."""
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def respond(send: Send, text: str = "hello") -> None:
    """Send a whole answer."""
    await start(send, len(text))
    await piece(send, text.encode(), more=False)


class Ticker:
    """A timer every 10 ms, how late each was, and the bytes of bodies meanwhile."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.moved = 0
        self.handle: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Start."""
        self.late = []
        self.moved = 0
        self._next(asyncio.get_running_loop())

    def end(self) -> list[float]:
        """Stop, and return how late each was, in seconds."""
        if self.handle is not None:
            self.handle.cancel()
        return self.late

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + TICK
        self.handle = loop.call_at(due, self._tick, loop, due)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.late.append(loop.time() - due)
        self._next(loop)


class Watch:
    """A request that a client will leave: when it was ready for that, and when it saw it."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self.at = 0.0


ticker = Ticker()
watches: dict[str, Watch] = {}


async def till_disconnect(receive: Receive, watch: Watch) -> None:
    """Receive until the client has gone, and note the time."""
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.at = time.monotonic()
    watch.gone.set()


async def fill(send: Send, watch: Watch) -> None:
    """Send until nothing is taken any more; then come back when the client has gone."""
    await start(send)
    loop = asyncio.get_running_loop()
    while not watch.ready.is_set():
        timer = loop.call_later(STUCK, watch.ready.set)
        await piece(send, PIECE)
        timer.cancel()


async def leave(how: str, watch: Watch, receive: Receive, send: Send) -> None:
    """Be somewhere in a request when its client goes."""
    if how == "before":
        await receive()
        watch.ready.set()
    elif how == "during":
        await receive()
        await start(send)
        await piece(send, b"event")
        watch.ready.set()
    elif how == "streaming":
        listener = asyncio.create_task(till_disconnect(receive, watch))
        await start(send)
        watch.ready.set()
        while not listener.done():
            await piece(send, b"event")
            await asyncio.sleep(0.0005)
        return
    elif how == "after":
        await receive()
        await respond(send)
        watch.ready.set()
    elif how == "paused":
        await fill(send, watch)
    await till_disconnect(receive, watch)


async def upload(receive: Receive) -> None:
    """Receive a body."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        ticker.moved += len(message["body"])
        if not message["more_body"]:
            return


async def stream(send: Send) -> None:
    """Send 1 GiB as fast as the client reads."""
    await start(send, GIBIBYTE)
    for _ in range(GIBIBYTE // len(PIECE)):
        await piece(send, PIECE)
        ticker.moved += len(PIECE)
    await piece(send, b"", more=False)


async def spin(send: Send) -> None:
    """Answer, and then go on without an await: nobody else has a turn meanwhile."""
    await respond(send)
    end = time.monotonic() + SPIN
    while time.monotonic() < end:
        pass


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    _, name, *rest = scope["path"].split("/")
    if name == "leave":
        watch = watches.setdefault(rest[1], Watch())
        await leave(rest[0], watch, receive, send)
        return
    if name == "stream":
        await stream(send)
        return
    if name == "spin":
        await spin(send)
        return
    text = "hello"
    if name == "upload":
        await upload(receive)
    elif name == "sleep":
        await asyncio.sleep(0.2)
    elif name == "ready":
        await watches.setdefault(rest[0], Watch()).ready.wait()
    elif name == "gone":
        await watches[rest[0]].gone.wait()
        text = str(watches.pop(rest[0]).at)
    elif name == "begin":
        ticker.begin()
    elif name == "end":
        text = json.dumps({"late": ticker.end(), "moved": ticker.moved})
    await respond(send, text)
