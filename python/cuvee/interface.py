# SPDX-License-Identifier: MIT
"""What kind of application there is: how it is called, and what makes it one that ASGI 3 calls."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from cuvee._types import ASGIApplication, Receive, Scope, Send

ASGI2Application: TypeAlias = Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]


def detect(app: Any) -> Literal["asgi3", "asgi2"]:
    """Tell by its looks how `app` is called; a WSGI application is not told from ASGI 2."""
    if inspect.isclass(app):
        return "asgi3" if hasattr(app, "__await__") else "asgi2"
    return "asgi3" if _makes_coroutines(app) or _takes_three(app) else "asgi2"


def _makes_coroutines(app: Any) -> bool:
    function = app if inspect.isfunction(app) else getattr(app, "__call__", None)  # noqa: B004
    # asyncio's knows marked functions too; it goes with Python 3.16, which marks none any more.
    module: Any = inspect if sys.version_info >= (3, 14) else asyncio
    found: bool = module.iscoroutinefunction(function)
    return found


def _takes_three(app: Any) -> bool:
    """Tell whether `app` wants scope, receive and send at once, whatever it then returns."""
    try:
        wanted = inspect.signature(app)
        wanted.bind(None, None, None)
    except (TypeError, ValueError):
        return False
    try:
        wanted.bind(None)
    except TypeError:
        return True
    return False


def adapt(app: Any, interface: str, wsgi_threads: int) -> ASGIApplication:
    """Return what the server calls: a callable that makes coroutines, of ASGI 3."""
    if interface == "wsgi":
        from cuvee.wsgi import WSGIMiddleware

        return WSGIMiddleware(app, wsgi_threads)
    if interface == "asgi2":
        return ASGI2Middleware(app)
    application: ASGIApplication = app
    return application if _makes_coroutines(app) else AwaitingMiddleware(app)


class ASGI2Middleware:
    """Calls an application of ASGI 2, which takes the scope first and then the channels."""

    def __init__(self, app: ASGI2Application) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        await self.app(scope)(receive, send)


class AwaitingMiddleware:
    """Awaits what an application returns that is no coroutine function: any awaitable will do."""

    def __init__(self, app: ASGIApplication) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        await self.app(scope, receive, send)
