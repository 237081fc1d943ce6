# SPDX-License-Identifier: MIT
"""The ASGI application around a WSGI application."""

from __future__ import annotations

from cuvee._types import Receive, Scope, Send
from cuvee.wsgi._types import WSGIApplication
from cuvee.wsgi.exchange import Exchange
from cuvee.wsgi.threads import Threads

DEFAULT_WORKERS = 10


class WSGIMiddleware:
    """Runs `app` in one of at most `workers` threads for each request.

    Requests for which no thread is free wait in the order in which they came. It serves in any
    ASGI server, and may be mounted inside an ASGI application.
    """

    def __init__(self, app: WSGIApplication, workers: int = DEFAULT_WORKERS) -> None:
        """Wrap `app`; no thread is started before the first request."""
        if type(workers) is not int or workers < 1:
            raise ValueError(f"workers must be a whole number above 0, not {workers!r}")
        self.app = app
        self.workers = workers
        self._threads = Threads(workers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope; a lifespan is nothing that a WSGI application could hear of."""
        if scope["type"] == "http":
            await Exchange(self, scope, receive, send).serve(self._threads)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})


async def _live(receive: Receive, send: Send) -> None:
    for event in ("startup", "shutdown"):
        message = await receive()
        assert message["type"] == f"lifespan.{event}", message
        await send({"type": f"lifespan.{event}.complete"})
