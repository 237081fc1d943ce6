# SPDX-License-Identifier: MIT
"""Applications for tests that start the command; what they print goes to standard error."""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import json
import logging
import os
import signal
import socket
import sys
import time
import weakref
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Hook = Callable[[Scope], Awaitable[None]]

number = 3


def say(text: str) -> None:
    """Tell the test something."""
    sys.stderr.write(f"{text}\n")  # in one piece: other processes write there too


async def respond(send: Send, body: bytes) -> None:
    """Send a whole answer."""
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer "hello"."""
    await respond(send, b"hello")


async def nothing(scope: Scope) -> None:
    """Do nothing in a lifespan."""


def make(handle: App = greet, start: Hook = nothing, stop: Hook = nothing) -> App:
    """Return an application that calls `start` and `stop` in its lifespan, and `handle` per request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await handle(scope, receive, send)
            return
        await receive()
        await start(scope)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await stop(scope)
        await send({"type": "lifespan.shutdown.complete"})

    return app


def factory() -> App:
    """Return an application."""
    return make()


def factory_with_argument(name: str) -> App:
    """Want an argument that a factory does not get."""
    return make()


class NotHealth(logging.Filter):
    """Leaves requests for /health out of the access log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Look at the target among the record's arguments."""
        return isinstance(record.args, tuple) and record.args[2] != "/health"


def filtered() -> App:
    """Put a filter on the access log."""
    logging.getLogger("uvicorn.access").addFilter(NotHealth())
    return make()


class Seen(logging.Filter):
    """Lets every access record pass, and keeps their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.arguments: list[Any] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep them."""
        self.arguments.append(record.args)
        return True


class Rewired(logging.Handler):
    """Writes access records to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        say(f"rewired {record.getMessage()}")


async def rewire(scope: Scope, receive: Receive, send: Send) -> None:
    """Change logging as the path says, and answer with how many records a filter has seen."""
    access = logging.getLogger("uvicorn.access")
    match scope["path"]:
        case "/filter":
            access.addFilter(seen)
        case "/unfilter":
            access.removeFilter(seen)
        case "/handler":
            access.handlers = [Rewired()]
        case "/disable":
            access.disabled = True
        case "/enable":
            access.disabled = False
        case "/level":
            access.setLevel(logging.WARNING)
        case "/unlevel":
            access.setLevel(logging.INFO)
        case "/stdout":
            sys.stdout = io.StringIO()
        case "/unstdout":
            sys.stdout = sys.__stdout__
    await respond(send, b"%d" % len(seen.arguments))


async def reformat(scope: Scope) -> None:
    """Give the access log another format, as late as in the lifespan."""
    (handler,) = logging.getLogger("uvicorn.access").handlers
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))


def failing_factory() -> App:
    """Fail."""
    raise LookupError("no settings")


# ---- lifespans --------------------------------------------------------------------------------


async def fail(scope: Scope) -> None:
    """Fail in the lifespan."""
    raise LookupError("no database")


async def hang(scope: Scope) -> None:
    """Never come to an end, unless cancelled."""
    say("hanging")
    try:
        await asyncio.Event().wait()
    finally:
        say("cleaned up")


async def hang_deaf(scope: Scope) -> None:
    """Never come to an end, even if cancelled."""
    say("hanging")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("not listening")


async def block(scope: Scope) -> None:
    """Don't even let the event loop run; say which SIGINTs the server has handled."""
    handler: Any = signal.getsignal(signal.SIGINT)
    handled = itertools.count(1)

    def handle(number: int, frame: FrameType | None) -> None:
        handler(number, frame)
        say(f"handled {next(handled)}")

    signal.signal(signal.SIGINT, handle)
    say("blocking")
    time.sleep(60)


async def take_long(scope: Scope) -> None:
    """Take longer than gunicorn's --timeout of 3 and a look, and let the loop run."""
    await asyncio.sleep(4.5)


async def fail_to_start(scope: Scope, receive: Receive, send: Send) -> None:
    """Say that the start has failed."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def block_on_demand(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer "hello", but for /block."""
    if scope["path"] == "/block":
        time.sleep(60)
    await greet(scope, receive, send)


async def tell_loop(scope: Scope) -> None:
    """Say whose the event loop is."""
    say(f"loop of {type(asyncio.get_running_loop()).__module__}")


async def put_state(scope: Scope) -> None:
    """Leave something for the requests."""
    scope["state"]["answer"] = 42
    scope["state"]["shared"] = []


async def show_state(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's state, and change it."""
    scope["state"]["shared"].append(len(scope["state"]["shared"]))
    await respond(send, json.dumps(scope["state"]).encode())
    scope["state"]["private"] = True


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse to start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is down"})


async def refusing_stop(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse to stop."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "the database is stuck"})


async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Know nothing but HTTP."""
    assert scope["type"] == "http"
    await greet(scope, receive, send)


async def starting_twice(scope: Scope, receive: Receive, send: Send) -> None:
    """Say twice that the start is complete."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    try:
        await send({"type": "lifespan.startup.complete"})
    except AssertionError:
        say("refused")
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def leaving(scope: Scope) -> None:
    """Leave the process in the lifespan."""
    sys.exit(7)


async def close_a_descriptor(scope: Scope, receive: Receive, send: Send) -> None:
    """Close the descriptor of a transport behind its back, and answer with its number."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    lost.extend((transport, theirs))
    await asyncio.sleep(0.001)  # the kernel has been told to watch it
    os.close(ours.fileno())
    await respond(send, b"%d" % ours.fileno())


lost: list[Any] = []
hello = make()
careless = make(close_a_descriptor)
reformatted = make(start=reformat)
rewired = make(rewire)
seen = Seen()
with_state = make(show_state, start=put_state)
failing_start = make(start=fail)
failing_stop = make(stop=fail)
hanging_start = make(start=hang)
hanging_stop = make(stop=hang)
deaf_start = make(start=hang_deaf)
blocking_start = make(start=block)
leaving_start = make(start=leaving)
tells_loop = make(start=tell_loop)
slow_to_start_and_stop = make(start=take_long, stop=take_long)
failing_lifespan = fail_to_start
blocking = make(block_on_demand)


# ---- requests ---------------------------------------------------------------------------------


async def read_slowly(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in two parts: "ready" at once, and "done" when the request's body is complete."""
    headers = [(b"content-length", b"9")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ready", "more_body": True})
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.body", "body": b"done"})


async def never_end(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the beginning, and wait for ever."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ready", "more_body": True})
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as exc:
        say(f"cancelled: {exc}")
        raise


async def work_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, and go on working in the background for ever."""
    await respond(send, b"hello")
    try:
        await asyncio.Event().wait()
    finally:
        say("stopped working")


async def block_thread(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the beginning, and wait for a thread that never ends."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ready", "more_body": True})
    await asyncio.to_thread(time.sleep, 60)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with root path and path."""
    await respond(send, f"{scope['root_path']}|{scope['path']}".encode())


async def fail_request(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail."""
    raise LookupError("no such thing")


async def wait_for_ever(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing until cancelled."""
    say(f"waiting {scope['method']}")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say(f"cancelled {scope['method']}")
        raise


async def greet_and_listen(scope: Scope, receive: Receive, send: Send) -> None:
    """Say "hello" on a WebSocket, and with which code it is closed."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "hello"})
    while (message := await receive())["type"] != "websocket.disconnect":
        pass
    say(f"closed with {message['code']}")


echo_path = make(echo)
reading = make(read_slowly)
endless = make(never_end)
working = make(work_on)
stuck_thread = make(block_thread)
failing = make(fail_request)
waiting = make(wait_for_ever)
web_socket = make(greet_and_listen)


# ---- the collector ----------------------------------------------------------------------------


class Node:
    """Something that the collector knows, and that may hold itself."""

    itself: Node | None = None


kept: list[Node] = []
garbage: weakref.WeakSet[Node] = weakref.WeakSet()


def collector() -> App:
    """Make something to keep and something to collect, and collect nothing of one's own accord."""
    gc.disable()
    kept.append(Node())
    cycle = Node()
    cycle.itself = cycle
    garbage.add(cycle)
    return make(show_collector)


async def show_collector(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what has become of `kept` and `garbage`."""
    seen = {
        "frozen": gc.get_freeze_count(),
        "garbage": len(garbage),
        "kept_is_frozen": not any(one is kept[0] for one in gc.get_objects()),
    }
    await respond(send, json.dumps(seen).encode())


async def count_and_stop(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the number of frozen objects, and stop the server."""
    await respond(send, b"%d" % gc.get_freeze_count())
    signal.raise_signal(signal.SIGINT)


async def print_frozen(scope: Scope) -> None:
    """Say whether anything is frozen."""
    print("frozen at the stop:", gc.get_freeze_count() > 0)


counting_once = make(count_and_stop)
counting_stop = make(stop=print_frozen)
