# SPDX-License-Identifier: MIT
"""Applications of the leak scenarios whose WebSocket ends in a way of its own; the path says which."""

from __future__ import annotations

import asyncio
import contextlib

from tests.leaks.web_socket_parts import Part
from tests.support.asgi import Receive, Scope, Send

ACCEPT = {"type": "websocket.accept"}


async def till_disconnect(receive: Receive) -> None:
    """Receive until the client has gone."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def ws_chosen(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept with a subprotocol and fields, after an attempt that is refused; keep what was given."""
    scope["self"] = scope, receive, send
    for headers in ([(b"bad name", b"")], [(b"x-first", b"1"), b"half"]):
        with contextlib.suppress(Exception):
            await send({**ACCEPT, "headers": headers})
    fields = ((name, b"value") for name in (b"x-one", b"x-two"))
    await send({**ACCEPT, "subprotocol": scope["subprotocols"][-1], "headers": fields})
    await till_disconnect(receive)


async def ws_half_denied(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail within such an answer."""
    await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"part", "more_body": True})
    raise LookupError(scope["path"])


async def ws_deaf(scope: Scope, receive: Receive, send: Send) -> None:
    """Leave messages waiting until the client has gone, then take them."""
    await send(dict(ACCEPT))
    with contextlib.suppress(OSError):
        while True:
            await send({"type": "websocket.send", "text": "tick"})
            await asyncio.sleep(0)
    await till_disconnect(receive)
    await till_disconnect(receive)


async def ws_deaf_to_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    """The same, but nobody takes them."""
    await send(dict(ACCEPT))
    while True:
        await send({"type": "websocket.send", "bytes": b"tick"})
        await asyncio.sleep(0)


async def ws_wait(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer no handshake before the client goes, and in vain after that."""
    await till_disconnect(receive)
    with contextlib.suppress(OSError):
        await send(dict(ACCEPT))


ENDS: dict[str, Part] = {
    part.__name__: part
    for part in (ws_chosen, ws_half_denied, ws_deaf, ws_deaf_to_the_end, ws_wait)
}
