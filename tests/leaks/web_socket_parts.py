# SPDX-License-Identifier: MIT
"""The WebSocket parts of the application of the leak scenarios."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.asgi import Receive, Scope, Send

Part = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

RESPONSE = "websocket.http.response"
LONG = "é" * 40_000


async def accept(receive: Receive, send: Send) -> None:
    """Let the client in, with whatever may come with it."""
    assert (await receive())["type"] == "websocket.connect"
    headers = [(b"x-name", b"value"), (b"set-cookie", b"a=b")]
    await send({"type": "websocket.accept", "subprotocol": "chat", "headers": headers})


async def ws_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back what comes, and look what comes behind the end."""
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    assert (await receive())["type"] == "websocket.disconnect"
    with contextlib.suppress(OSError):
        await send({"type": "websocket.send", "text": "too late"})


async def ws_reject(scope: Scope, receive: Receive, send: Send) -> None:
    """Close before the accept."""
    await receive()
    await send({"type": "websocket.close"})
    await receive()


async def ws_deny(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a response in pieces."""
    await receive()
    await send({"type": f"{RESPONSE}.start", "status": 401, "headers": [(b"x-a", b"b")]})
    await send({"type": f"{RESPONSE}.body", "body": b"x" * 9000, "more_body": True})
    await send({"type": f"{RESPONSE}.body", "body": b"end"})


async def ws_fail(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before the accept."""
    raise ValueError("before")


async def ws_fail_later(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail behind it, with a message that nobody receives."""
    await accept(receive, send)
    await receive()
    raise ValueError("later")


async def ws_return(scope: Scope, receive: Receive, send: Send) -> None:
    """Return without a close."""
    await accept(receive, send)
    await receive()


async def ws_close(scope: Scope, receive: Receive, send: Send) -> None:
    """Close first, and do what may not be done behind that."""
    await accept(receive, send)
    await send({"type": "websocket.close", "code": 4001, "reason": "bye"})
    with contextlib.suppress(RuntimeError):
        await send({"type": "websocket.send", "text": "late"})
    await receive()


async def ws_wrong(scope: Scope, receive: Receive, send: Send) -> None:
    """Send what may not be sent."""
    for message in (
        {"type": "websocket.send", "text": "early"},
        {"type": "websocket.accept", "headers": [(b"a b", b"c")]},
        {"type": "websocket.accept", "subprotocol": "no token"},
        {},
    ):
        with contextlib.suppress(RuntimeError, ValueError, KeyError):
            await send(message)
    await accept(receive, send)
    for more in (
        {"type": "websocket.accept"},
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": b"bytes"},
        {"type": "websocket.send", "bytes": "text"},
        {"type": "websocket.send", "text": "\ud800"},
        {"type": "websocket.close", "code": 1005},
        {"type": "websocket.close", "reason": "x" * 124},
    ):
        with contextlib.suppress(RuntimeError, ValueError, TypeError):
            await send(more)
    await send({"type": "websocket.close"})


async def ws_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    """Cancel a receive that waits; nothing is lost by that."""
    await accept(receive, send)
    message = None
    for _ in range(3):
        waiting = asyncio.create_task(receive())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            message = await waiting
            break  # it was there before the cancellation
    message = message or await receive()
    await send({**message, "type": "websocket.send"})
    await receive()


async def ws_stuck(scope: Scope, receive: Receive, send: Send) -> None:
    """Send more than the client takes, from several tasks, one of which is cancelled."""
    await accept(receive, send)

    async def fill() -> None:
        with contextlib.suppress(OSError):
            while True:
                await send({"type": "websocket.send", "text": LONG})

    tasks = [asyncio.create_task(fill()) for _ in range(3)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    while (await receive())["type"] != "websocket.disconnect":
        pass


WEB_SOCKET_PARTS: dict[str, Part] = {
    part.__name__: part
    for part in (
        ws_echo,
        ws_reject,
        ws_deny,
        ws_fail,
        ws_fail_later,
        ws_return,
        ws_close,
        ws_wrong,
        ws_cancelled,
        ws_stuck,
    )
}
