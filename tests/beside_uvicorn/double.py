# SPDX-License-Identifier: MIT
"""Applications of ASGI 2 and 3, in every form that a server has to tell apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

Channels = Callable[[Any, Any], Awaitable[None]]


async def answer(scope: Any, send: Any) -> None:
    """Tell the version that the server speaks."""
    body = json.dumps(scope["asgi"]).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def lived(receive: Any, send: Any) -> None:
    """Serve a lifespan."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Serve whatever it is."""
    if scope["type"] == "lifespan":
        await lived(receive, send)
    else:
        await answer(scope, send)


def asgi2_function(scope: Any) -> Channels:
    """ASGI 2: called with the scope, then with the channels."""

    async def instance(receive: Any, send: Any) -> None:
        await serve(scope, receive, send)

    return instance


class ASGI2Class:
    """ASGI 2, as a class."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await serve(self.scope, receive, send)


class ASGI2Object:
    """ASGI 2, as an object."""

    def __call__(self, scope: Any) -> Channels:
        return asgi2_function(scope)


class ASGI3Object:
    """ASGI 3, as an object."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await serve(scope, receive, send)

    async def method(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI 3, as a method."""
        await serve(scope, receive, send)


class ASGI3Class:
    """ASGI 3, as a class whose instances are awaited."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.arguments = scope, receive, send

    def __await__(self) -> Any:
        return serve(*self.arguments).__await__()


def asgi3_in_disguise(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    """ASGI 3, though no coroutine function: uvicorn takes it for ASGI 2."""
    return asyncio.ensure_future(serve(scope, receive, send))


asgi2_object = ASGI2Object()
asgi3_object = ASGI3Object()
asgi3_method = asgi3_object.method
asgi3_partial = partial(serve)
asgi2_partial = partial(asgi2_function)

APPLICATIONS: dict[str, Any] = {
    "asgi2_function": asgi2_function,
    "asgi2_class": ASGI2Class,
    "asgi2_object": asgi2_object,
    "asgi2_partial": asgi2_partial,
    "asgi3_function": serve,
    "asgi3_object": asgi3_object,
    "asgi3_class": ASGI3Class,
}
"""Both servers tell all of these rightly."""

DISGUISED: dict[str, Any] = {
    "asgi3_in_disguise": asgi3_in_disguise,
    "asgi3_method": asgi3_method,
    "asgi3_partial": asgi3_partial,
}
"""Uvicorn takes these for ASGI 2, and every request fails."""
