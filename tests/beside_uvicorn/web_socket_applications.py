# SPDX-License-Identifier: MIT
"""WebSocket applications that both servers serve; what they see they write to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.beside_uvicorn.applications import Message, Receive, Scope, Send, app, handler

__all__ = ["app"]

ACCEPT: dict[str, Any] = {"type": "websocket.accept"}
CLOSE: dict[str, Any] = {"type": "websocket.close"}


def tell(what: object) -> None:
    """Write something down, in the order of all lines."""
    print("app:", json.dumps(what, default=repr), file=sys.stderr, flush=True)


async def heard(receive: Receive) -> Message:
    """Receive a message, and write it down."""
    message = await receive()
    tell(dict(message))
    return message


async def attempt(send: Send, message: Message) -> None:
    """Send what may be wrong, and write down what is said about it."""
    try:
        await send(message)
    except RuntimeError as mistake:
        tell(str(mistake))
    else:
        tell("sent")


async def opened(receive: Receive, send: Send, **more: Any) -> None:
    """Take the connection."""
    await heard(receive)
    await send({**ACCEPT, **more})


async def echoed(receive: Receive, send: Send) -> None:
    """Send back what comes."""
    while (message := await heard(receive))["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


@handler
async def ws_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back what comes."""
    await opened(receive, send)
    await echoed(receive, send)


@handler
async def ws_codes(scope: Scope, receive: Receive, send: Send) -> None:
    """Write down only the code of the end."""
    await receive()
    await send(dict(ACCEPT))
    while (message := await receive())["type"] == "websocket.receive":
        pass
    tell(int(message["code"]))


@handler
async def ws_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the scope."""
    await opened(receive, send)
    said = {key: value for key, value in scope.items() if key not in ("client", "server")}
    said["extensions"] = "websocket.http.response" in scope["extensions"]
    await send({"type": "websocket.send", "text": json.dumps(said, default=repr)})
    await echoed(receive, send)


@handler
async def ws_fields(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept with fields and a subprotocol."""
    headers = [(b"X-App", b"1"), (b"x-app", b"2"), (b"set-cookie", b"a=\xe9")]
    await opened(receive, send, headers=headers, subprotocol="chat")
    await echoed(receive, send)


@handler
async def ws_forms(scope: Scope, receive: Receive, send: Send) -> None:
    """Send in every form."""
    await opened(receive, send)
    forms: list[dict[str, Any]] = [
        {"bytes": b"b"},
        {"text": "t"},
        {"bytes": bytearray(b"array")},
        {"bytes": memoryview(b"view")},
        {"bytes": None, "text": "t"},
        {"bytes": b"both", "text": "both"},
    ]
    for form in forms:
        await send({"type": "websocket.send", **form})
    await echoed(receive, send)


@handler
async def ws_closes(scope: Scope, receive: Receive, send: Send) -> None:
    """Close with a code and a reason, and go on."""
    await opened(receive, send)
    await send({**CLOSE, "code": 4001, "reason": "bye"})
    for kind in ("send", "close", "accept"):
        await attempt(send, {"type": f"websocket.{kind}", "text": "x"})
    await heard(receive)


@handler
async def ws_refuses(scope: Scope, receive: Receive, send: Send) -> None:
    """Close before the accept, and go on."""
    await heard(receive)
    await send({**CLOSE, "code": 4000, "reason": "no"})
    for kind in ("accept", "close"):
        await attempt(send, {"type": f"websocket.{kind}"})
    await heard(receive)


@handler
async def ws_mistakes(scope: Scope, receive: Receive, send: Send) -> None:
    """Send out of order, before and after the accept."""
    await heard(receive)
    for kind in ("websocket.send", "http.response.start", "websocket.receive"):
        await attempt(send, {"type": kind, "text": "x"})
    await send(dict(ACCEPT))
    for kind in ("websocket.accept", "websocket.http.response.start", "http.response.body"):
        await attempt(send, {"type": kind})
    await echoed(receive, send)


@handler
async def ws_raises(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before the accept."""
    await heard(receive)
    raise LookupError("before")


@handler
async def ws_raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail behind the accept."""
    await opened(receive, send)
    raise LookupError("late")


@handler
async def ws_returns(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing."""
    await heard(receive)


@handler
async def ws_returns_late(scope: Scope, receive: Receive, send: Send) -> None:
    """End without a close."""
    await opened(receive, send)


@handler
async def ws_denies(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with HTTP."""
    await heard(receive)
    headers = [(b"x-one", b"1"), (b"content-length", b"6")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await attempt(send, dict(ACCEPT))
    await send({"type": "websocket.http.response.body", "body": b"one", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"two"})
    await heard(receive)


@handler
async def ws_sends_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Send when the client has gone; nobody is to hear of it."""
    await opened(receive, send)
    await heard(receive)
    while True:
        await send({"type": "websocket.send", "text": "x" * 1000})


@handler
async def ws_twice(scope: Scope, receive: Receive, send: Send) -> None:
    """Write down what comes behind the end."""
    await receive()
    await send(dict(ACCEPT))
    tell([(await receive())["code"] for _ in range(1)])
