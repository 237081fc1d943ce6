"""Any of the apps, with a clock in it: its steps, less the time inside the server's calls.

``TIMED_APP`` names the app, ``TIMED_CLOCK`` the clock. ``GET /-/inside`` tells how many seconds the
app took so far, for how many requests that have ended and messages that were sent. What it does in
tasks or threads of its own is not seen.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

module, _, name = os.environ["TIMED_APP"].partition(":")
timed_app = getattr(importlib.import_module(module), name)
clock: Callable[[], float] = getattr(time, os.environ["TIMED_CLOCK"])


class Clock:
    """What all requests together took inside the app."""

    seconds = 0.0
    requests = 0
    messages = 0
    running = False
    """Whether a step of an app runs now: only then is a call of the server's in it."""


def advance(steps: Any, value: Any, error: BaseException | None) -> Any:
    """Resume what is awaited, as `await` does."""
    if error is not None:
        if not hasattr(steps, "throw"):
            raise error
        return steps.throw(error)
    return next(steps) if value is None else steps.send(value)


@coroutine
def inside(call: Callable[..., Any], *args: Any) -> Generator[Any, Any, Any]:
    """Run the app and add the time of its steps."""
    steps: Any = None
    value: Any = None
    error: BaseException | None = None
    while True:
        Clock.running = True
        begin = clock()
        try:
            steps = steps or call(*args).__await__()
            waited = advance(steps, value, error)
        except StopIteration as stop:
            return stop.value
        finally:
            Clock.seconds += clock() - begin
            Clock.running = False
        value = error = None
        try:
            value = yield waited
        except BaseException as thrown:
            error = thrown


@coroutine
def outside(call: Callable[..., Any], *args: Any) -> Generator[Any, Any, Any]:
    """Run a call of the server's, and take its time off the step of the app that it is in."""
    steps: Any = None
    value: Any = None
    error: BaseException | None = None
    while True:
        begin = clock()
        try:
            steps = steps or call(*args).__await__()
            waited = advance(steps, value, error)
        except StopIteration as stop:
            return stop.value
        finally:
            if Clock.running:
                Clock.seconds -= clock() - begin
        value = error = None
        try:
            value = yield waited
        except BaseException as thrown:
            error = thrown


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Run the app between the clocks, or tell what they show."""
    if scope["type"] not in ("http", "websocket"):
        await timed_app(scope, receive, send)
        return
    if scope["path"] == "/-/inside":
        told = {name: getattr(Clock, name) for name in ("seconds", "requests", "messages")}
        body = json.dumps(told).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return

    async def timed_receive() -> Message:
        message: Message = await outside(receive)
        return message

    async def timed_send(message: Message) -> None:
        if message["type"] != "websocket.accept":
            Clock.messages += 1
        await outside(send, message)

    await inside(timed_app, scope, timed_receive, timed_send)
    Clock.requests += 1
