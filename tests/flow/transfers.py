# SPDX-License-Identifier: MIT
"""The application of long transfers: it takes what comes, or gives as much as the path says."""

from __future__ import annotations

from tests.support.asgi import Receive, Scope, Send, respond

PIECE = 1 << 16


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve `/take`, answered with the number of bytes that came, and `/give/BYTES`."""
    _, word, *more = scope["path"].split("/")
    if word == "give":
        await give(send, int(more[0]))
    else:
        await respond(send, b"%d" % await take(receive))


async def take(receive: Receive) -> int:
    """Receive a body, and keep nothing of it."""
    count = 0
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        count += len(message["body"])
        if not message["more_body"]:
            return count


async def give(send: Send, size: int) -> None:
    """Send pieces of which each is an object of its own."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(size // PIECE):
        await send({"type": "http.response.body", "body": bytes(PIECE), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
