# SPDX-License-Identifier: MIT
"""The application that is attacked: it greets, reads what it is sent, and has something large to give."""

from __future__ import annotations

from tests.support.asgi import Receive, Scope, Send, respond

PIECE = bytes(1 << 16)
PIECES = 16


class Attacked:
    """Does what the path says, and counts the requests for ranges."""

    def __init__(self) -> None:
        self.ranges = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.ranges += any(name == b"range" for name, _ in scope["headers"])
        more = scope["method"] == "POST"
        while more:
            more = (await receive()).get("more_body", False)
        if scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for left in reversed(range(PIECES)):
                await send({"type": "http.response.body", "body": PIECE, "more_body": left > 0})
        else:
            await respond(send, b"%d" % self.ranges)


app = Attacked()
