# SPDX-License-Identifier: MIT
"""Background tasks: the client has its whole answer before they start, and they do finish."""

import asyncio
import threading
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

from tests.conftest import Serve
from tests.frameworks.support import ON_EVERY_LOOP, client_of, on_loop, take
from tests.support.asgi import WAIT, Notes


async def pass_on(request: Request, call_next: Any) -> Response:
    """Middleware of Starlette's own kind that does nothing."""
    response: Response = await call_next(request)
    return response


def make_app(gate: asyncio.Event, notes: Notes) -> FastAPI:
    """Endpoints whose background tasks wait for `gate`."""
    app = FastAPI()

    async def wait(name: str) -> None:
        notes.put(f"{name} waits")
        await gate.wait()
        notes.put(f"{name} done")

    def work(name: str) -> None:
        worker = threading.current_thread().name.startswith("AnyIO worker")
        notes.put((name, "in a worker" if worker else "elsewhere"))

    def fail() -> None:
        raise LookupError("in a background task")

    @app.get("/json")
    async def json(tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(wait, "json")
        return {"state": "accepted"}

    @app.get("/stream")
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:
        tasks.add_task(wait, "stream")
        return StreamingResponse(iter(["one", "two"]))

    @app.get("/file")
    async def file(tasks: BackgroundTasks) -> FileResponse:
        tasks.add_task(wait, "file")
        return FileResponse(__file__)

    @app.get("/sync")
    def sync(tasks: BackgroundTasks) -> str:
        tasks.add_task(wait, "sync")
        return "accepted"

    @app.get("/several")
    async def several(tasks: BackgroundTasks) -> str:
        for number in range(3):
            tasks.add_task(work, f"task {number}")
        tasks.add_task(wait, "last")
        return "accepted"

    @app.get("/fails")
    async def fails(tasks: BackgroundTasks) -> str:
        tasks.add_task(work, "before")
        tasks.add_task(fail)
        tasks.add_task(work, "after")
        return "accepted"

    @app.get("/blocks")
    async def blocks(tasks: BackgroundTasks) -> str:
        free = threading.Event()
        app.state.free = free
        tasks.add_task(free.wait, WAIT)
        tasks.add_task(notes.put, "thread is free")
        return "accepted"

    @app.get("/plain")
    async def plain() -> PlainTextResponse:
        return PlainTextResponse("plain")

    return app


@ON_EVERY_LOOP
@pytest.mark.parametrize("middleware", [False, True], ids=["bare", "middleware"])
@pytest.mark.parametrize("path", ["/json", "/stream", "/file", "/sync"])
def test_the_answer_and_the_next_one_come_while_the_task_waits(
    serve: Serve, notes: Notes, path: str, middleware: bool
) -> None:
    gate = asyncio.Event()
    app = make_app(gate, notes)
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    name = path[1:]
    with serve(app) as server, server.connect() as client:
        assert client.ask(path).status == 200
        assert notes.get() == f"{name} waits"
        assert client.ask("/plain").body == b"plain"
        assert notes.empty()
        on_loop(server, gate.set)
        assert notes.get() == f"{name} done"


@ON_EVERY_LOOP
@pytest.mark.parametrize("how", ["fin", "close", "rst"])
def test_a_task_goes_on_when_its_client_has_gone(serve: Serve, notes: Notes, how: str) -> None:
    gate = asyncio.Event()
    with serve(make_app(gate, notes)) as server, server.connect() as client:
        assert client.ask("/json").status == 200
        assert notes.get() == "json waits"
        client.leave(how)
        with server.connect() as other:
            assert other.ask("/plain").body == b"plain"
        assert notes.empty()
        on_loop(server, gate.set)
        assert notes.get() == "json done"


def test_tasks_run_one_after_another(serve: Serve, notes: Notes) -> None:
    gate = asyncio.Event()
    with serve(make_app(gate, notes)) as server, client_of(server) as client:
        assert client.get("/several").json() == "accepted"
        assert take(notes, 4) == [
            *((f"task {number}", "in a worker") for number in range(3)),
            "last waits",
        ]
        on_loop(server, gate.set)
        assert notes.get() == "last done"


def test_a_task_that_fails_is_logged_and_ends_the_row(serve: Serve, notes: Notes) -> None:
    with serve(make_app(asyncio.Event(), notes)) as server, server.connect() as client:
        assert client.ask("/fails").body == b'"accepted"'
        assert notes.get() == ("before", "in a worker")
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info
        assert isinstance(record.exc_info[1], LookupError)
        client.assert_open("/plain")
        assert notes.empty()


def test_a_thread_that_blocks_holds_nobody_back(serve: Serve, notes: Notes) -> None:
    app = make_app(asyncio.Event(), notes)
    with serve(app) as server, client_of(server) as client:
        assert client.get("/blocks").json() == "accepted"
        assert client.get("/plain").text == "plain"
        assert notes.empty()
        app.state.free.set()
        assert notes.get() == "thread is free"


@ON_EVERY_LOOP
def test_the_server_waits_for_tasks_when_it_stops(serve: Serve, notes: Notes) -> None:
    gate = asyncio.Event()
    app = make_app(gate, notes)
    with serve(app, timeout_graceful_shutdown=WAIT) as server:
        with server.connect() as client:
            assert client.ask("/json").status == 200
        assert notes.get() == "json waits"
        server.server.should_exit = True
        server.log.expect("Waiting for background tasks to complete.")
        assert notes.empty()
        on_loop(server, gate.set)
        assert server.join() is None
        assert notes.get() == "json done"


def test_many_tasks_at_once(serve: Serve, notes: Notes) -> None:
    gate = asyncio.Event()
    with serve(make_app(gate, notes)) as server, server.connect() as client:
        for _ in range(100):
            assert client.ask("/json").status == 200
        assert take(notes, 100) == ["json waits"] * 100
        on_loop(server, gate.set)
        assert take(notes, 100) == ["json done"] * 100
