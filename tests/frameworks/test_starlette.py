# SPDX-License-Identifier: MIT
"""Starlette at its current release: middleware of both kinds, sessions, files, CORS, GZip."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.conftest import Serve
from tests.frameworks.support import ReportingResponse
from tests.support.asgi import WAIT, App, Notes, Receive, Scope, Send
from tests.support.server import RunningServer


class PureMiddleware:
    """Adds a field, as the ASGI documentation shows."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap send."""

        async def wrapped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-pure", b"yes")]
            await send(message)

        await self.app(scope, receive, wrapped)


class BaseMiddleware(BaseHTTPMiddleware):
    """Starlette's own kind, which runs the rest in a task of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Add a field; read the body first where the client asks for it."""
        if "x-read-first" in request.headers:
            await request.body()
        response = await call_next(request)
        response.headers["x-base"] = "yes"
        return response


def make_app(notes: Notes, files: Path) -> Starlette:
    """Return the application."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, int]]:
        yield {"started": 1}

    async def plain(request: Request) -> Response:
        return PlainTextResponse("plain")

    async def count(request: Request) -> Response:
        request.session["count"] = request.session.get("count", 0) + 1
        return JSONResponse(dict(request.session))

    async def forget(request: Request) -> Response:
        request.session.clear()
        return PlainTextResponse("forgotten")

    async def body(request: Request) -> Response:
        return Response(await request.body())

    async def form(request: Request) -> Response:
        async with request.form() as fields:
            items = []
            for key, value in fields.multi_items():
                items.append([key, value if isinstance(value, str) else (await value.read()).hex()])
        return JSONResponse(items)

    async def stream(request: Request) -> Response:
        async def lines() -> AsyncIterator[bytes]:
            for number in range(100):
                yield b"%d " % number * 50
                await asyncio.sleep(0)

        return StreamingResponse(lines(), media_type="text/plain")

    async def endless(request: Request) -> Response:
        async def ticks() -> AsyncIterator[bytes]:
            while True:
                yield b"tick\n" * 100
                await asyncio.sleep(0.001)

        return ReportingResponse(ticks(), notes, "endless closed")

    async def background(request: Request) -> Response:
        gate: asyncio.Event = request.app.state.gate
        gate.clear()

        async def later() -> None:
            await gate.wait()
            notes.put("background done")

        return PlainTextResponse("answered", background=BackgroundTask(later))

    async def open_gate(request: Request) -> Response:
        request.app.state.gate.set()
        return PlainTextResponse("open")

    async def slow_upload(request: Request) -> Response:
        notes.put("in")
        try:
            await request.body()
        except ClientDisconnect:
            notes.put("ClientDisconnect")
            raise
        return PlainTextResponse("complete")

    async def missing(request: Request) -> Response:
        raise HTTPException(410, "gone")

    async def download(request: Request) -> Response:
        return FileResponse(files / "large.bin")

    async def state(request: Request) -> Response:
        request.state.started += 1
        return JSONResponse(request.state.started)

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/plain", plain),
            Route("/count", count),
            Route("/forget", forget),
            Route("/body", body, methods=["POST"]),
            Route("/form", form, methods=["POST"]),
            Route("/stream", stream),
            Route("/endless", endless),
            Route("/background", background),
            Route("/open-gate", open_gate),
            Route("/slow-upload", slow_upload, methods=["POST"]),
            Route("/missing", missing),
            Route("/download", download),
            Route("/state", state),
            Mount("/static", StaticFiles(directory=files)),
        ],
        middleware=[
            Middleware(PureMiddleware),
            Middleware(SessionMiddleware, secret_key="secret"),
            Middleware(
                CORSMiddleware,
                allow_origins=["https://example.org"],
                allow_methods=["POST"],
                allow_headers=["x-token"],
            ),
            Middleware(GZipMiddleware, minimum_size=500),
            Middleware(BaseMiddleware),
        ],
    )
    app.state.gate = asyncio.Event()
    return app


@pytest.fixture
def server(serve: Serve, notes: Notes, files: Path) -> Iterator[RunningServer]:
    """The application behind a server."""
    with serve(make_app(notes, files), lifespan="on") as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with httpx.Client(base_url=server.url, timeout=WAIT, trust_env=False) as client:
        yield client


def test_both_kinds_of_middleware(client: httpx.Client) -> None:
    for _ in range(20):
        response = client.get("/plain")
        assert (response.text, response.status_code) == ("plain", 200)
        assert response.headers["x-pure"] == response.headers["x-base"] == "yes"


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_body_through_middleware(client: httpx.Client, first: bool, size: int) -> None:
    data = os.urandom(size)
    headers = {"x-read-first": "1"} if first else {}
    assert client.post("/body", content=data, headers=headers).content == data


def test_sessions(client: httpx.Client) -> None:
    assert [client.get("/count").json()["count"] for _ in range(3)] == [1, 2, 3]
    assert client.get("/forget").text == "forgotten"
    assert client.get("/count").json() == {"count": 1}


def test_forms(client: httpx.Client) -> None:
    assert client.post("/form", data={"a": "1", "b": "\u20ac &"}).json() == [
        ["a", "1"],
        ["b", "\u20ac &"],
    ]
    data = os.urandom(2_000_000)
    answer = client.post("/form", data={"a": "1"}, files={"f": ("name", data)}).json()
    assert answer == [["a", "1"], ["f", data.hex()]]


def test_gzip(client: httpx.Client) -> None:
    response = client.get("/stream", headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    plain = client.get("/stream", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert response.content == plain.content


def test_cors(client: httpx.Client) -> None:
    asked = {
        "origin": "https://example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-token",
    }
    response = client.options("/plain", headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://example.org"
    other = client.options("/plain", headers=asked | {"origin": "https://other.org"})
    assert other.status_code == 400
    simple = client.get("/plain", headers={"origin": "https://example.org"})
    assert simple.headers["access-control-allow-origin"] == "https://example.org"


def test_static_files(client: httpx.Client, files: Path) -> None:
    response = client.get("/static/small.txt")
    assert response.text == "small"
    etag = response.headers["etag"]
    cached = client.get("/static/small.txt", headers={"if-none-match": etag})
    assert (cached.status_code, cached.content) == (304, b"")
    head = client.head("/static/large.bin")
    assert head.headers["content-length"] == str(1 << 20)
    assert client.get("/static/nothing").status_code == 404
    assert client.get("/static/large.bin").content == (files / "large.bin").read_bytes()


def test_file_response_and_ranges(client: httpx.Client, files: Path) -> None:
    data = (files / "large.bin").read_bytes()
    assert client.get("/download").content == data
    part = client.get("/download", headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(data)}"


def test_background_task(client: httpx.Client, notes: Notes) -> None:
    assert client.get("/background").text == "answered"
    assert client.get("/plain").text == "plain"
    assert notes.empty()
    assert client.get("/open-gate").text == "open"
    assert notes.get() == "background done"


def test_errors(client: httpx.Client) -> None:
    assert (client.get("/missing").status_code, client.get("/missing").text) == (410, "gone")
    assert client.get("/nowhere").status_code == 404
    assert client.put("/plain").status_code == 405


def test_state_is_each_requests_own(client: httpx.Client) -> None:
    assert [client.get("/state").json() for _ in range(3)] == [2, 2, 2]


@pytest.mark.parametrize("how", ["fin", "close", "rst"])
def test_a_stream_behind_middleware_ends_with_its_client(
    server: RunningServer, notes: Notes, how: str
) -> None:
    with server.connect() as client:
        client.get("/endless")
        client.read_until(b"tick\n")
        client.leave(how)
        assert notes.get() == "endless closed"


@pytest.mark.parametrize("how", ["close", "rst"])
def test_client_disconnect_is_raised(server: RunningServer, notes: Notes, how: str) -> None:
    with server.connect() as client:
        client.send(b"POST /slow-upload HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345")
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == "ClientDisconnect"
    server.log.expect("Exception in ASGI application")


def test_many_clients_of_everything(server: RunningServer) -> None:
    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=server.url, timeout=WAIT, trust_env=False) as client:
            paths = ["/plain", "/count", "/stream", "/download", "/static/small.txt"] * 20
            answers = await asyncio.gather(*(client.get(path) for path in paths))
            return [answer.status_code for answer in answers]

    assert set(asyncio.run(ask())) == {200}
