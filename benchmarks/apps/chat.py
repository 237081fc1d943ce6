"""WebSocket applications: one sends back what it gets, others tell all connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ACCEPT: Message = {"type": "websocket.accept"}

connections: set[Send] = set()


async def accept(scope: Message, receive: Receive, send: Send) -> None:
    """Let the client in."""
    if scope["type"] != "websocket":
        raise RuntimeError(f"no {scope['type']} here")
    await receive()
    await send(ACCEPT)


def again(message: Message) -> Message:
    """The same message on its way out."""
    text = message.get("text")
    if text is not None:
        return {"type": "websocket.send", "text": text}
    return {"type": "websocket.send", "bytes": message["bytes"]}


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message back."""
    await accept(scope, receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send(again(message))


async def broadcast(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message to all, one after the other."""
    await accept(scope, receive, send)
    connections.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            told = again(message)
            for other in list(connections):
                await other(told)
    finally:
        connections.discard(send)


async def gather(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message to all, in tasks that run beside each other."""
    await accept(scope, receive, send)
    connections.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            told = again(message)
            await asyncio.gather(*[other(told) for other in connections])
    finally:
        connections.discard(send)
