# SPDX-License-Identifier: MIT
"""At log level "trace", logs each message between server and application, to `uvicorn.asgi`."""

from __future__ import annotations

import itertools
import logging
from typing import Any

from cuvee._types import ASGIApplication, Message, Receive, Scope, Send
from cuvee.logging import TRACE_LOG_LEVEL

logger = logging.getLogger("uvicorn.asgi")
_BULKY = ("body", "bytes", "text", "headers")


class MessageLogger:
    """An application around an application that logs what passes, without bodies and headers."""

    def __init__(self, app: ASGIApplication) -> None:
        """Wrap `app`."""
        self.app = app
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        client = scope.get("client")
        prefix = f"{client[0]}:{client[1]}" if client else "ASGI"
        number = next(self._numbers)

        def log(what: str, *args: object) -> None:
            logger.log(TRACE_LOG_LEVEL, f"%s - ASGI [%d] {what}", prefix, number, *args)

        async def logged_receive() -> Message:
            message = await receive()
            log("Receive %s", _abridged(message))
            return message

        async def logged_send(message: Message) -> None:
            log("Send %s", _abridged(message))
            await send(message)

        log("Started scope=%s", _abridged(scope))
        try:
            await self.app(scope, logged_receive, logged_send)
        except BaseException:
            log("Raised exception")
            raise
        log("Completed")


def _abridged(message: Message) -> dict[str, Any]:
    """Return a copy of `message` with the size of long values in place of the values."""
    short = dict(message)
    for key in _BULKY:
        if short.get(key) is not None:
            unit = {"body": "bytes", "bytes": "bytes", "text": "chars", "headers": "..."}[key]
            short[key] = "<...>" if unit == "..." else f"<{len(short[key])} {unit}>"
    return short
