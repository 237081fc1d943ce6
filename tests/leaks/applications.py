# SPDX-License-Identifier: MIT
"""The application of the leak scenarios; the path says which of its parts runs."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from contextvars import ContextVar

from tests.leaks.web_socket_ends import ENDS
from tests.leaks.web_socket_parts import WEB_SOCKET_PARTS
from tests.leaks.wsgi_application import wsgi
from tests.support.asgi import Receive, Scope, Send, echo, hello, read_body, respond

START = "http.response.start"
BODY = "http.response.body"
PIECE = b"x" * 20_000
TOO_MUCH = bytes(6 << 20)
"""More than the kernel takes from one connection whose client does not read."""

user: ContextVar[list[int]] = ContextVar("user")


async def start(send: Send, length: int | None = None) -> None:
    """Begin an answer."""
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    await send({"type": START, "status": 200, "headers": headers})


async def body(send: Send, data: bytes, more: bool = True) -> None:
    """Send a piece."""
    await send({"type": BODY, "body": data, "more_body": more})


async def till_disconnect(receive: Receive) -> None:
    """Receive until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in pieces, small and large, with the loop going round between them."""
    await start(send)
    for _ in range(3):
        await body(send, b"small")
        await asyncio.sleep(0)
        await body(send, PIECE)
    await body(send, b"", more=False)


async def ignore(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without a look at the request's body."""
    await respond(send, b"ignored")


async def wait(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing before the client goes, and in vain after that."""
    waiting = asyncio.create_task(till_disconnect(receive))
    await waiting
    await respond(send)


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream until the client goes."""
    listener = asyncio.create_task(till_disconnect(receive))
    await start(send)
    while not listener.done():
        await body(send, b"tick")
        await asyncio.sleep(0)
    await body(send, b"in vain")


async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
    """Send more than the socket takes: send() waits until the client goes."""
    await start(send, len(TOO_MUCH))
    await body(send, TOO_MUCH)


async def stuck_and_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    """Cancel a send() that waits; the client goes later."""
    await start(send, len(TOO_MUCH))
    waiting = asyncio.ensure_future(body(send, TOO_MUCH))
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await till_disconnect(receive)


async def wait_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait with all that a request is given, beside a group, until cancelled."""
    scope["self"] = scope, receive, send
    async with asyncio.TaskGroup() as group:
        group.create_task(till_disconnect(receive))
        group.create_task(asyncio.Event().wait())


async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
    """Go on when cancelled, and answer nobody."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await respond(send)


async def shielded(scope: Scope, receive: Receive, send: Send) -> None:
    """Ask for this and that, and wait until the client goes."""
    disconnect = scope["extensions"]["cuvee.disconnect"]
    disconnect.cancel_after(60)
    await till_disconnect(receive)
    disconnect.cancel_after(30)
    disconnect.shield()
    await respond(send)


async def error(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before the answer."""
    raise LookupError(scope["path"])


async def error_later(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail within the answer."""
    await start(send)
    await body(send, b"part")
    raise LookupError(scope["path"])


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """End without an answer."""


async def wrong_messages(scope: Scope, receive: Receive, send: Send) -> None:
    """Send what is refused, then answer."""
    for message in (
        {"type": BODY, "body": b""},
        {"type": START, "status": 200, "headers": [(b"bad name", b"")]},
        {"type": START, "status": "200"},
        {"type": "nonsense"},
    ):
        with contextlib.suppress(Exception):
            await send(message)
    await respond(send)


async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    """Be cancelled."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def receive_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    """Cancel a task that waits in receive()."""
    await read_body(receive)
    task = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await respond(send)


async def receive_timeout(scope: Scope, receive: Receive, send: Send) -> None:
    """Let wait_for(receive()) and asyncio.timeout() run out."""
    await read_body(receive)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(receive(), 0.0001)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.0001):
            await receive()
    await respond(send)


async def never_awaited(scope: Scope, receive: Receive, send: Send) -> None:
    """Make awaitables and drop them."""
    receive()
    await respond(send)
    receive()


async def tasks(scope: Scope, receive: Receive, send: Send) -> None:
    """Use a task group and wait in receive() beside it, as frameworks' middleware does."""
    await read_body(receive)
    async with asyncio.TaskGroup() as group:
        listener = group.create_task(till_disconnect(receive))
        for _ in range(3):
            group.create_task(asyncio.sleep(0))
        await respond(send)
        listener.cancel()


async def background(scope: Scope, receive: Receive, send: Send) -> None:
    """Go on after the answer."""
    await respond(send)
    await asyncio.sleep(0)


async def context(scope: Scope, receive: Receive, send: Send) -> None:
    """Set a context variable, also in a task of its own."""
    assert user.get(None) is None

    async def deeper() -> None:
        user.get().append(2)
        user.set([3])

    user.set([1])
    await asyncio.create_task(deeper())
    assert user.get() == [1, 2]
    await respond(send)


async def kept_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """Make cycles of what a request is given, as closures in middleware do."""
    scope["state"]["all"] = (scope, receive, send)
    scope["self"] = scope
    await respond(send)


async def file(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file by its name, behind a hint."""
    await send({"type": "http.response.early_hint", "links": [b"</a>"]})
    await start(send)
    await send({"type": "http.response.pathsend", "path": __file__})


async def no_file(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file that is not there."""
    await start(send)
    with contextlib.suppress(FileNotFoundError):
        await send({"type": "http.response.pathsend", "path": __file__ + ".missing"})
    await respond(send)


async def parts(scope: Scope, receive: Receive, send: Send) -> None:
    """Send parts of a file between bytes, and trailers."""
    await send({"type": START, "status": 200, "headers": [], "trailers": True})
    with open(__file__, "rb", buffering=0) as opened:
        for _ in range(3):
            await body(send, b"part")
            message = {"type": "http.response.zerocopysend", "file": opened, "more_body": True}
            await send(message | {"count": 100})
    await body(send, b"", more=False)
    await send({"type": "http.response.trailers", "headers": [(b"sum", b"1")]})


async def crowd(scope: Scope, receive: Receive, send: Send) -> None:
    """Send from many tasks, of which one is cancelled, more than the socket takes."""
    await start(send)
    tasks = [asyncio.ensure_future(body(send, bytes(1 << 20))) for _ in range(8)]
    await asyncio.sleep(0)
    tasks[-2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def leak(scope: Scope, receive: Receive, send: Send) -> None:
    """Keep something: for the test of the test."""
    kept.append(object())
    await respond(send)


kept: list[object] = []

PARTS = {
    part.__name__: part
    for part in (
        hello,
        echo,
        stream,
        ignore,
        wait,
        endless,
        stuck,
        stuck_and_cancelled,
        wait_cancelled,
        stubborn,
        shielded,
        error,
        error_later,
        nothing,
        wrong_messages,
        cancelled,
        receive_cancelled,
        receive_timeout,
        never_awaited,
        tasks,
        background,
        context,
        kept_scope,
        file,
        no_file,
        parts,
        crowd,
        leak,
    )
}
PARTS["wsgi"] = wsgi
PARTS.update(WEB_SOCKET_PARTS | ENDS)


class Application:
    """Runs the parts, and knows when no request is open."""

    def __init__(self) -> None:
        self.open = 0
        self.quiet = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what the path's first part says; /quiet answers when all others have ended.

        The interpreter's cache of attributes keeps every name that was ever asked for, until
        another takes its place: it is emptied before a measurement.
        """
        name = scope["path"].split("/")[1]
        if name == "quiet":
            while self.open:
                self.quiet.clear()
                await self.quiet.wait()
            getattr(sys, "_clear_type_cache")()  # noqa: B009
            return await respond(send)
        self.open += 1
        try:
            await PARTS[name](scope, receive, send)
        finally:
            self.open -= 1
            self.quiet.set()
