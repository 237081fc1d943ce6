# SPDX-License-Identifier: MIT
"""Applications that many tests serve, in a thread or in a process."""

from __future__ import annotations

from typing import Any

from tests.support.asgi import App, Message, Notes, Receive, Scope, Send, respond

ACCEPT: dict[str, Any] = {"type": "websocket.accept"}
CLOSE: dict[str, Any] = {"type": "websocket.close"}
CONNECT: dict[str, Any] = {"type": "websocket.connect"}


def text(value: str) -> Message:
    """The message that sends a text."""
    return {"type": "websocket.send", "text": value}


def binary(value: Any) -> Message:
    """The message that sends bytes."""
    return {"type": "websocket.send", "bytes": value}


async def accept(receive: Receive, send: Send, **more: Any) -> None:
    """Take the connection."""
    assert await receive() == CONNECT
    await send({**ACCEPT, **more})


async def echo_all(receive: Receive, send: Send) -> Message:
    """Send back what comes, and return the disconnect."""
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    return message


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back what comes; over HTTP, say hello."""
    if scope["type"] == "http":
        await respond(send)
        return
    await accept(receive, send)
    await echo_all(receive, send)


def noted_echo(notes: Notes) -> App:
    """Send back what comes, and tell the test how it ended."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put(ended(await echo_all(receive, send)))

    return app


def ended(message: Message) -> tuple[int, str]:
    """Return the code and the reason of a disconnect."""
    assert message["type"] == "websocket.disconnect", message
    assert set(message) <= {"type", "code", "reason"}, message
    return message["code"], message.get("reason") or ""
