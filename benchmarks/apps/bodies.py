"""Requests and answers with bodies: echoed, taken, streamed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BINARY = (b"content-type", b"application/octet-stream")
CHUNK = b"x" * 16384
CHUNKS = 100
TAKEN: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"0")],
}
STREAM: Message = {"type": "http.response.start", "status": 200, "headers": [BINARY]}
PIECE: Message = {"type": "http.response.body", "body": CHUNK, "more_body": True}
LAST: Message = {"type": "http.response.body", "body": b"", "more_body": False}


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Send back what came, when it is all there."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    headers = [BINARY, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def upload(scope: Message, receive: Receive, send: Send) -> None:
    """Count a body as it comes; answer, without a body, when all that was announced is there."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    left = int(dict(scope["headers"])[b"content-length"])
    more = True
    while more:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)
    if left:
        raise RuntimeError(f"{left} bytes did not come")
    await send(TAKEN)
    await send(LAST)


async def stream(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with 100 x 16 KB, without saying how long it will be."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    await send(STREAM)
    for _ in range(CHUNKS):
        await send(PIECE)
    await send(LAST)
