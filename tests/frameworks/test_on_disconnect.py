# SPDX-License-Identifier: MIT
"""--on-disconnect cancel under Starlette and FastAPI: streams, plain endpoints, middleware, dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.conftest import Serve
from tests.frameworks.support import ON_EVERY_LOOP, on_loop, take
from tests.support.asgi import Notes
from tests.support.server import RunningServer

LEAVING = pytest.mark.parametrize("how", ["fin", "close", "rst"])
POLICIES = pytest.mark.parametrize("policy", ["notify", "cancel", "cancel:0.1"])
CANCELLING = pytest.mark.parametrize("policy", ["cancel", "cancel:0.1"])
BARE_OR_NOT = pytest.mark.parametrize("middleware", [False, True], ids=["bare", "middleware"])


async def pass_on(request: Request, call_next: Any) -> Response:
    """Middleware of Starlette's own kind that does nothing."""
    response: Response = await call_next(request)
    return response


def starlette(endpoint: Callable[..., Any], middleware: bool) -> Starlette:
    """One endpoint, with middleware that runs it in a task of its own, or without."""
    between = [Middleware(BaseHTTPMiddleware, dispatch=pass_on)] if middleware else []
    return Starlette(
        routes=[Route("/", endpoint), Route("/hello", lambda _: PlainTextResponse("hello"))],
        middleware=between,
    )


def still_serves(server: RunningServer) -> None:
    """Ask for something else on a connection of its own."""
    with server.connect() as other:
        other.assert_open("/hello")


async def wait(notes: Notes) -> None:
    """Wait for ever, and report how that ends."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        notes.put("cancelled")
        raise


@ON_EVERY_LOOP
@LEAVING
@POLICIES
@BARE_OR_NOT
def test_an_idle_stream_is_cancelled(
    serve: Serve, notes: Notes, how: str, policy: str, middleware: bool
) -> None:
    """By Starlette, which listens, or by the server: once, and nobody logs an error."""

    async def endpoint(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            try:
                await wait(notes)
            finally:
                with anyio.CancelScope(shield=True):
                    await asyncio.sleep(0)
                notes.put("closed")

        return StreamingResponse(pieces())

    with serve(starlette(endpoint, middleware), on_disconnect=policy) as server:
        with server.connect() as client:
            client.get()
            client.read_until(b"first")
            server.settle()
            client.leave(how)
            assert take(notes, 2) == ["cancelled", "closed"]
        still_serves(server)
    assert notes.empty()


@ON_EVERY_LOOP
@LEAVING
@CANCELLING
@BARE_OR_NOT
def test_a_plain_endpoint_is_cancelled(
    serve: Serve, notes: Notes, how: str, policy: str, middleware: bool
) -> None:
    """It never looks at its client."""

    async def endpoint(request: Request) -> Response:
        notes.put("in")
        await wait(notes)
        return PlainTextResponse("late")

    with serve(starlette(endpoint, middleware), on_disconnect=policy) as server:
        with server.connect() as client:
            client.get()
            assert notes.get() == "in"
            client.leave(how)
            assert notes.get() == "cancelled"
        still_serves(server)


@BARE_OR_NOT
@CANCELLING
def test_a_group_of_anyio_is_cancelled(
    serve: Serve, notes: Notes, policy: str, middleware: bool
) -> None:
    """With all of its tasks, and what is shielded comes to its end."""

    async def endpoint(request: Request) -> Response:
        try:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(wait, notes)
                notes.put("in")
                with anyio.fail_after(60):
                    await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0)
            notes.put("out")
        return PlainTextResponse("late")

    with serve(starlette(endpoint, middleware), on_disconnect=policy) as server:
        with server.connect() as client:
            client.get()
            assert notes.get() == "in"
            client.rst()
            assert take(notes, 4) == ["cancelled"] * 3 + ["out"]
        still_serves(server)


def fastapi(notes: Notes) -> FastAPI:
    """Endpoints of FastAPI's, with a dependency that cleans up and work behind the answer."""
    app = FastAPI()
    gate = asyncio.Event()
    app.state.gate = gate

    async def session() -> AsyncIterator[str]:
        try:
            yield "session"
        finally:
            notes.put("rolled back")

    @app.get("/query")
    async def query(session: str = Depends(session)) -> str:
        notes.put("in")
        await wait(notes)
        return session

    async def behind() -> None:
        notes.put("behind")
        await gate.wait()
        notes.put("done")

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(behind)
        return "answer"

    @app.get("/late")
    async def late(request: Request, tasks: BackgroundTasks) -> str:
        notes.put("in")
        while not await request.is_disconnected():
            await asyncio.sleep(0)
        tasks.add_task(behind)
        return "answer"

    @app.get("/shielded")
    async def shielded(request: Request) -> str:
        request.scope["extensions"]["cuvee.disconnect"].shield()
        notes.put("in")
        await gate.wait()
        notes.put("done")
        return "answer"

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    return app


@ON_EVERY_LOOP
@LEAVING
@CANCELLING
def test_a_dependency_cleans_up(serve: Serve, notes: Notes, how: str, policy: str) -> None:
    with serve(fastapi(notes), on_disconnect=policy) as server, server.connect() as client:
        client.get("/query")
        assert notes.get() == "in"
        client.leave(how)
        assert take(notes, 2) == ["cancelled", "rolled back"]
        still_serves(server)


def cancel_another(server: RunningServer, notes: Notes) -> None:
    """Let another request run out of the time that it has behind its client."""
    with server.connect() as client:
        client.get("/query")
        assert notes.get() == "in"
        client.rst()
        assert take(notes, 2) == ["cancelled", "rolled back"]


@LEAVING
@CANCELLING
@pytest.mark.parametrize("middleware", [False, True], ids=["bare", "middleware"])
def test_background_tasks_come_to_their_end(
    serve: Serve, notes: Notes, how: str, policy: str, middleware: bool
) -> None:
    app = fastapi(notes)
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with serve(app, on_disconnect=policy) as server:
        with server.connect() as client:
            assert client.ask("/background").body == b'"answer"'
            assert notes.get() == "behind"
            client.leave(how)
        cancel_another(server, notes)
        on_loop(server, app.state.gate.set)
        assert notes.get() == "done"


@LEAVING
def test_background_tasks_of_an_answer_to_nobody_come_to_their_end(
    serve: Serve, notes: Notes, how: str
) -> None:
    """The endpoint saw that its client was gone, and answered in its time all the same."""
    app = fastapi(notes)
    with serve(app, on_disconnect="cancel:0.5") as server:
        with server.connect() as client:
            client.get("/late")
            assert notes.get() == "in"
            client.leave(how)
            assert notes.get() == "behind"
        cancel_another(server, notes)
        on_loop(server, app.state.gate.set)
        assert notes.get() == "done"


@LEAVING
@CANCELLING
def test_an_endpoint_that_is_shielded_goes_on(
    serve: Serve, notes: Notes, how: str, policy: str
) -> None:
    app = fastapi(notes)
    with serve(app, on_disconnect=policy) as server:
        with server.connect() as client:
            client.get("/shielded")
            assert notes.get() == "in"
            client.leave(how)
        cancel_another(server, notes)
        on_loop(server, app.state.gate.set)
        assert notes.get() == "done"
