# SPDX-License-Identifier: MIT
"""Server-sent events by sse-starlette. It keeps state per process, and a task in the loop for ever, so it
is served by a process of its own, which gives its notes by HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

NOTES: asyncio.Queue[str] = asyncio.Queue()


async def note(request: Request) -> Response:
    """Wait for the next note, and give it away."""
    return JSONResponse(await NOTES.get())


async def events(request: Request) -> Response:
    """A few events, then silence."""

    async def messages() -> AsyncIterator[ServerSentEvent]:
        try:
            for number in range(3):
                yield ServerSentEvent(data=f"piece {number}", event="piece", id=str(number))
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            NOTES.put_nowait("cancelled")
            raise
        finally:
            NOTES.put_nowait("closed")

    async def on_close(message: Message) -> None:
        NOTES.put_nowait(f"told {message['type']}")

    return EventSourceResponse(messages(), client_close_handler_callable=on_close)


async def flood(request: Request) -> Response:
    """Events without end, as fast as they are taken."""

    async def messages() -> AsyncIterator[ServerSentEvent]:
        try:
            while True:
                yield ServerSentEvent(data="x" * 65536)
        finally:
            NOTES.put_nowait("closed")

    return EventSourceResponse(messages())


async def pings(request: Request) -> Response:
    """Nothing but what keeps the connection alive."""

    async def messages() -> AsyncIterator[ServerSentEvent]:
        await asyncio.Event().wait()
        yield ServerSentEvent()

    def make_ping() -> ServerSentEvent:
        return ServerSentEvent(comment="still here")

    return EventSourceResponse(messages(), ping=0.01, ping_message_factory=make_ping)


async def farewell(request: Request) -> Response:
    """Says goodbye when the server stops."""
    stopping = anyio.Event()

    async def messages() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(data="hello")
        await stopping.wait()
        yield ServerSentEvent(data="goodbye")

    return EventSourceResponse(messages(), shutdown_event=stopping, shutdown_grace_period=10)


application = Starlette(
    routes=[
        Route("/note", note),
        Route("/events", events),
        Route("/flood", flood),
        Route("/pings", pings),
        Route("/farewell", farewell),
    ]
)
