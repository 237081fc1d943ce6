# SPDX-License-Identifier: MIT
"""A FastAPI application that uses most of what FastAPI has."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    UploadFile,
)
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

from tests.frameworks.support import ReportingResponse
from tests.support.asgi import Notes


class Item(BaseModel):
    """What clients post."""

    name: str = Field(min_length=1)
    price: float = Field(gt=0)
    tags: list[str] = []


class Teapot(Exception):
    """Has a handler of its own."""


def make_app(notes: Notes, *, middleware: bool = True) -> FastAPI:
    """Return the application; what it does aside of answering goes to `notes`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        app.state.gate = asyncio.Event()
        yield {"words": ["from", "lifespan"]}
        notes.put("lifespan ended")

    app = FastAPI(lifespan=lifespan)
    add_plain(app)
    add_bodies(app)
    add_streams(app, notes)
    add_dependencies(app, notes)
    add_errors(app)
    if middleware:
        add_middleware(app)
    router = APIRouter(prefix="/router")

    @router.get("/deep/{rest:path}")
    async def deep(rest: str) -> str:
        return rest

    app.include_router(router)
    return app


def add_plain(app: FastAPI) -> None:
    """Endpoints that take parameters and answer at once."""

    @app.get("/json")
    async def json_(name: str = "world") -> dict[str, Any]:
        return {"hello": name, "list": [1, 2.5, None, True, "\u20ac"]}

    @app.get("/items/{item_id}")
    async def item(
        item_id: Annotated[int, Path(ge=1)],
        q: Annotated[list[str] | None, Query(max_length=3)] = None,
        user_agent: Annotated[str | None, Header()] = None,
        visits: Annotated[int, Cookie()] = 0,
    ) -> dict[str, Any]:
        return {"item_id": item_id, "q": q, "agent": user_agent, "visits": visits}

    @app.get("/sync")
    def sync() -> dict[str, bool]:
        return {"main": threading.current_thread() is threading.main_thread()}

    @app.get("/thread")
    def thread() -> str:
        return threading.current_thread().name

    @app.get("/empty", status_code=204)
    async def empty() -> None:
        return None

    @app.get("/redirect")
    async def redirect() -> Response:
        return RedirectResponse("/json?name=redirected")

    @app.get("/cookies")
    async def cookies(response: Response) -> dict[str, int]:
        response.set_cookie("a", "1", httponly=True)
        response.set_cookie("b", "2", path="/x")
        response.headers["x-custom"] = "caf\u00e9"
        return {"set": 2}

    @app.get("/large")
    async def large() -> Response:
        return PlainTextResponse("x" * 3_000_000)

    @app.get("/state")
    async def state(request: Request) -> list[str]:
        words: list[str] = request.state.words
        return words

    @app.get("/url")
    async def url(request: Request) -> dict[str, Any]:
        return {
            "path": request.url.path,
            "query": request.url.query,
            "made": str(request.url_for("item", item_id="7").path),
            "host": request.headers["host"],
        }


def add_bodies(app: FastAPI) -> None:
    """Endpoints that take bodies."""

    @app.post("/items", status_code=201)
    async def create(item: Item) -> Item:
        return item

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, Any]:
        body = await request.body()
        return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}

    @app.post("/chunks")
    async def chunks(request: Request) -> dict[str, Any]:
        seen, size = hashlib.sha256(), 0
        async for chunk in request.stream():
            seen.update(chunk)
            size += len(chunk)
        return {"size": size, "sha256": seen.hexdigest()}

    @app.post("/form")
    async def form(name: Annotated[str, Form()], age: Annotated[int, Form()]) -> dict[str, Any]:
        return {"name": name, "age": age}

    @app.post("/upload")
    async def upload(
        files: Annotated[list[UploadFile], File()], note: Annotated[str, Form()] = ""
    ) -> dict[str, Any]:
        found = []
        for file in files:
            data = await file.read()
            found.append([file.filename, len(data), hashlib.sha256(data).hexdigest()])
        return {"files": found, "note": note}

    @app.post("/sync-upload")
    def sync_upload(file: Annotated[bytes, File()]) -> int:
        return len(file)

    @app.put("/two")
    async def two(item: Item, count: Annotated[int, Body()]) -> dict[str, Any]:
        return {"item": item, "count": count}


def add_streams(app: FastAPI, notes: Notes) -> None:
    """Endpoints that stream, work in the background, or watch their client."""

    @app.get("/stream")
    async def stream(count: int = 10) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for number in range(count):
                yield f"line {number}\n"
                await asyncio.sleep(0)

        return StreamingResponse(lines(), media_type="text/plain")

    @app.get("/sync-stream")
    def sync_stream() -> StreamingResponse:
        def lines() -> Iterator[bytes]:
            for number in range(10):
                yield b"line %d\n" % number

        return StreamingResponse(lines(), media_type="text/plain")

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def ticks() -> AsyncIterator[bytes]:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.001)

        return ReportingResponse(ticks(), notes, "stream closed")

    @app.get("/silent-stream")
    async def silent_stream() -> StreamingResponse:
        async def once() -> AsyncIterator[bytes]:
            yield b"one\n"
            await asyncio.Event().wait()

        return ReportingResponse(once(), notes, "silent stream closed")

    @app.get("/watch")
    async def watch(request: Request) -> None:
        notes.put("watching")
        while not await request.is_disconnected():
            await asyncio.sleep(0.001)
        notes.put("client gone")

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> dict[str, str]:
        async def wait() -> None:
            await app.state.gate.wait()
            notes.put("async task ran")

        def work() -> None:
            notes.put("sync task ran")

        tasks.add_task(wait)
        tasks.add_task(work)
        return {"state": "accepted"}

    @app.get("/open-gate")
    async def open_gate() -> None:
        app.state.gate.set()


def add_dependencies(app: FastAPI, notes: Notes) -> None:
    """Dependencies, with cleanup, nested, sync and async."""

    async def outer() -> AsyncIterator[str]:
        notes.put("outer open")
        try:
            yield "outer"
        finally:
            notes.put("outer closed")

    def inner(outer: str = Depends(outer)) -> Iterator[str]:
        notes.put("inner open")
        try:
            yield f"inner of {outer}"
        finally:
            notes.put("inner closed")

    @app.get("/dependency")
    async def dependency(value: str = Depends(inner)) -> str:
        notes.put("endpoint")
        return value

    @app.get("/dependency-fails")
    async def dependency_fails(value: str = Depends(inner)) -> str:
        raise HTTPException(409, "conflict")


def add_errors(app: FastAPI) -> None:
    """Endpoints that fail."""

    @app.exception_handler(Teapot)
    async def teapot(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"short": "stout"}, status_code=418)

    @app.get("/teapot")
    async def make_tea() -> None:
        raise Teapot

    @app.get("/http-error")
    async def http_error() -> None:
        raise HTTPException(403, "no entry", headers={"x-reason": "closed"})

    @app.get("/crash")
    async def crash() -> None:
        raise LookupError("in the endpoint")

    @app.get("/sync-crash")
    def sync_crash() -> None:
        raise LookupError("in a thread")


def add_middleware(app: FastAPI) -> None:
    """A middleware in FastAPI's own style."""

    @app.middleware("http")
    async def add_field(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers["x-middleware"] = request.method
        return response
