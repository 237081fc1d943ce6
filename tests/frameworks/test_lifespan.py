# SPDX-License-Identifier: MIT
"""Lifespans of FastAPI and Starlette: state, order, tasks that live as long as the server."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from fastapi import APIRouter, FastAPI, Request

from tests.conftest import Serve
from tests.frameworks.support import ON_EVERY_LOOP, client_of, on_loop, take
from tests.support.asgi import WAIT, Notes

LEVEL = contextvars.ContextVar("LEVEL", default="unset")


@ON_EVERY_LOOP
def test_state_is_shared_in_depth_and_copied_at_the_top(serve: Serve) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"visits": [], "name": "first"}

    app = FastAPI(lifespan=lifespan)

    @app.get("/visit")
    async def visit(request: Request) -> list[Any]:
        request.state.visits.append(len(request.state.visits))
        name, request.state.name = request.state.name, "changed"
        return [name, request.state.visits]

    with serve(app, lifespan="on") as server, client_of(server) as client:
        assert [client.get("/visit").json() for _ in range(3)] == [
            ["first", [0]],
            ["first", [0, 1]],
            ["first", [0, 1, 2]],
        ]


@ON_EVERY_LOOP
def test_the_order_of_a_servers_life(serve: Serve, notes: Notes) -> None:
    """Start-up before any request, shut-down behind the last one's background task."""
    gate = asyncio.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        notes.put("start")
        await asyncio.sleep(0)
        notes.put("started")
        yield
        notes.put("stop")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def endpoint() -> str:
        notes.put("request")
        await gate.wait()
        notes.put("answer")
        return "answer"

    with serve(app, lifespan="on", timeout_graceful_shutdown=WAIT) as server:
        with server.connect() as client:
            client.get()
            assert take(notes, 3) == ["start", "started", "request"]
            server.server.should_exit = True
            server.log.expect("Waiting for connections to close.")
            assert notes.empty()
            on_loop(server, gate.set)
            assert client.read_response().body == b'"answer"'
        assert server.join() is None
    assert take(notes, 2) == ["answer", "stop"]


@ON_EVERY_LOOP
def test_a_task_group_that_lives_as_long_as_the_server(serve: Serve, notes: Notes) -> None:
    """The lifespan runs in one task from start to stop, as anyio's cancel scopes ask."""

    async def worker(queue: asyncio.Queue[str]) -> None:
        try:
            while True:
                notes.put(f"did {await queue.get()}")
        finally:
            notes.put("worker ended")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        async with anyio.create_task_group() as group:
            group.start_soon(worker, queue)
            yield {"queue": queue}
            group.cancel_scope.cancel()
        notes.put("group left")

    app = FastAPI(lifespan=lifespan)

    @app.post("/do/{what}")
    async def do(request: Request, what: str) -> None:
        request.state.queue.put_nowait(what)

    with serve(app, lifespan="on") as server, client_of(server) as client:
        for what in ("this", "that"):
            assert client.post(f"/do/{what}").status_code == 200
            assert notes.get() == f"did {what}"
        assert notes.empty()
    assert take(notes, 2) == ["worker ended", "group left"]


def test_lifespans_of_included_and_mounted_parts(serve: Serve, notes: Notes) -> None:
    """Those of included routers run inside the application's; a mounted application has none."""

    def named(name: str) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
            notes.put(f"{name} starts")
            yield {name: "here"}
            notes.put(f"{name} stops")

        return lifespan

    router = APIRouter(lifespan=named("router"))

    @router.get("/")
    async def endpoint(request: Request) -> list[str]:
        return [request.state.app, request.state.router]

    app = FastAPI(lifespan=named("app"))
    app.include_router(router)
    app.mount("/mounted", FastAPI(lifespan=named("mounted")))
    with serve(app, lifespan="on") as server, client_of(server) as client:
        assert client.get("/").json() == ["here", "here"]
        assert client.get("/mounted/docs").status_code == 200
        assert take(notes, 2) == ["app starts", "router starts"]
        assert notes.empty()
    assert take(notes, 2) == ["router stops", "app stops"]


def test_a_lifespan_that_fails_keeps_the_server_from_starting(serve: Serve) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not app.state.database:
            raise LookupError("no database")
        yield

    app = FastAPI(lifespan=lifespan)
    app.state.database = None
    with serve(app, lifespan="on") as server:
        server.join()
        assert not server.server.started
        assert "no database" in server.log.expect("Traceback").getMessage()
        server.log.expect("Application startup failed. Exiting.")


def test_context_variables_of_the_lifespan_do_not_reach_requests(serve: Serve) -> None:
    """The lifespan has a task, and so a context, of its own."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        LEVEL.set("lifespan")
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def endpoint() -> str:
        return LEVEL.get()

    with serve(app, lifespan="on") as server, client_of(server) as client:
        assert client.get("/").json() == "unset"


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_an_application_without_a_lifespan_of_its_own(serve: Serve, mode: str) -> None:
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> str:
        return "served"

    with serve(app, lifespan=mode) as server, client_of(server) as client:
        assert client.get("/").json() == "served"
        server.log.expect("Application startup complete.")
