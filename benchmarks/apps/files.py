"""A file as the whole answer, by its name."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]

FILE = os.environ["BENCH_FILE"]
START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"%d" % os.stat(FILE).st_size)],
}
PATHSEND: Message = {"type": "http.response.pathsend", "path": FILE}


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Send it, whatever was asked for."""
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    await send(START)
    await send(PATHSEND)
