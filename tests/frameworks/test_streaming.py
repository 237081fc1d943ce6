# SPDX-License-Identifier: MIT
"""Streams in both directions: what one side has sent, the other has before it sends more."""

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, File, Request, UploadFile
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route

from tests.conftest import Serve
from tests.frameworks.support import LEAVING, ON_EVERY_LOOP, client_of, on_loop
from tests.support.asgi import Notes

KINDS = {
    "/response": b"piece %d\n",
    "/threaded": b"piece %d\n",
    "/events": b'data: {"piece":%d}\n\n',
    "/raw-events": b"event: piece\ndata: %d\nid: %d\n\n",
    "/json-lines": b'{"piece":%d}\n',
}


class Steps:
    """Lets a generator make one piece at a time."""

    def __init__(self) -> None:
        self.here = asyncio.Semaphore(0)
        self.in_threads = threading.Semaphore(0)

    def give(self) -> None:
        """Allow one piece more; called on the loop."""
        self.here.release()
        self.in_threads.release()


def stepping_app(steps: Steps, notes: Notes, count: int = 4) -> FastAPI:
    """Every way in which FastAPI streams, a piece for each step, then a note."""
    app = FastAPI()

    @app.get("/response")
    async def response() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            notes.put("began")
            try:
                for number in range(count):
                    await steps.here.acquire()
                    yield f"piece {number}\n"
            finally:
                notes.put("closed")

        return StreamingResponse(pieces(), media_type="text/plain")

    @app.get("/threaded")
    def threaded() -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            notes.put("began")
            for number in range(count):
                steps.in_threads.acquire()
                yield b"piece %d\n" % number
            notes.put("closed")

        return StreamingResponse(pieces(), media_type="text/plain")

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterable[dict[str, int]]:
        notes.put("began")
        try:
            for number in range(count):
                await steps.here.acquire()
                yield {"piece": number}
        finally:
            notes.put("closed")

    @app.get("/raw-events", response_class=EventSourceResponse)
    async def raw_events() -> AsyncIterable[ServerSentEvent]:
        notes.put("began")
        try:
            for number in range(count):
                await steps.here.acquire()
                yield ServerSentEvent(raw_data=str(number), event="piece", id=str(number))
        finally:
            notes.put("closed")

    @app.get("/json-lines")
    async def json_lines() -> AsyncIterable[dict[str, int]]:
        notes.put("began")
        try:
            for number in range(count):
                await steps.here.acquire()
                yield {"piece": number}
        finally:
            notes.put("closed")

    return app


async def pass_on(request: StarletteRequest, call_next: Any) -> Response:
    """Middleware of Starlette's own kind that does nothing."""
    response: Response = await call_next(request)
    return response


def piece(path: str, number: int) -> bytes:
    """Return what stands on the wire for one piece."""
    pattern = KINDS[path]
    return pattern % ((number,) * pattern.count(b"%d"))


@ON_EVERY_LOOP
@pytest.mark.parametrize("middleware", [False, True], ids=["bare", "middleware"])
@pytest.mark.parametrize("path", KINDS)
def test_a_piece_arrives_before_the_next_is_made(
    serve: Serve, notes: Notes, path: str, middleware: bool
) -> None:
    steps = Steps()
    app = stepping_app(steps, notes)
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with serve(app) as server, server.connect() as client:
        client.get(path)
        assert notes.get() == "began"
        on_loop(server, steps.give)
        assert client.read_head().chunked
        for number in range(4):
            expected = piece(path, number)
            assert client.read_until(b"\r\n") == b"%x\r\n" % len(expected)
            assert client.read(len(expected) + 2) == expected + b"\r\n"
            if number < 3:
                assert client.quiet()
                assert notes.empty()
                on_loop(server, steps.give)
        assert client.read(5) == b"0\r\n\r\n"
        assert notes.get() == "closed"
        client.assert_open("/openapi.json")


@ON_EVERY_LOOP
@LEAVING
@pytest.mark.parametrize("path", ["/response", "/events", "/raw-events", "/json-lines"])
def test_a_generator_is_closed_when_its_client_goes(
    serve: Serve, notes: Notes, path: str, how: str
) -> None:
    """It waits for an event of its own, so nothing but the disconnect can end it."""
    steps = Steps()
    with serve(stepping_app(steps, notes)) as server, server.connect() as client:
        client.get(path)
        assert notes.get() == "began"
        on_loop(server, steps.give)
        client.read_until(piece(path, 0))
        server.settle()  # the generator waits inside itself again, not in a yield
        assert notes.empty()
        client.leave(how)
        assert notes.get() == "closed"
        assert client_is_served(server)


def client_is_served(server: Any) -> bool:
    """Ask for something else on a connection of its own."""
    with server.connect() as other:
        return bool(other.ask("/openapi.json").status == 200)


def test_a_stream_is_cancelled_by_an_exception_of_its_own_kind(serve: Serve, notes: Notes) -> None:
    """The generator sees CancelledError, as asyncio promises, and may tidy up in peace."""

    async def endpoint(request: StarletteRequest) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                notes.put("cancelled")
                raise

        return StreamingResponse(pieces())

    app = Starlette(routes=[Route("/", endpoint)])
    with serve(app) as server, server.connect() as client:
        client.get()
        client.read_until(b"first")
        server.settle()
        client.close()
        assert notes.get() == "cancelled"


def test_gzip_compresses_a_stream(serve: Serve) -> None:
    async def endpoint(request: StarletteRequest) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(1000):
                yield b"%d " % number

        return StreamingResponse(pieces(), media_type="text/plain")

    app = Starlette(routes=[Route("/", endpoint)], middleware=[Middleware(GZipMiddleware)])
    with serve(app) as server, client_of(server) as client:
        response = client.get("/")
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in response.headers
        assert response.content == b"".join(b"%d " % number for number in range(1000))


def test_a_stream_to_an_old_client_ends_with_the_connection(serve: Serve, notes: Notes) -> None:
    steps = Steps()
    with serve(stepping_app(steps, notes)) as server, server.connect() as client:
        client.send(b"GET /response HTTP/1.0\r\n\r\n")
        assert notes.get() == "began"
        for _ in range(4):
            on_loop(server, steps.give)
        head = client.read_head()
        assert not head.chunked
        assert head.get(b"content-length") is None
        assert client.read_to_end() == b"".join(piece("/response", n) for n in range(4))


def test_a_stream_with_a_known_length_is_not_chunked(serve: Serve) -> None:
    async def endpoint(request: StarletteRequest) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 1000

        return StreamingResponse(pieces(), headers={"content-length": "100000"})

    with serve(Starlette(routes=[Route("/", endpoint)])) as server, server.connect() as client:
        response = client.ask()
        assert not response.chunked
        assert response.body == b"x" * 100_000
        client.assert_open()


def receiving_app(notes: Notes) -> FastAPI:
    """Endpoints that take a body as it comes, and report."""
    app = FastAPI()

    @app.post("/pieces")
    async def pieces(request: Request) -> int:
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                notes.put(part)
        except ClientDisconnect:
            notes.put("gone")
            raise
        return size

    @app.post("/upload")
    async def upload(file: UploadFile = File()) -> int:
        notes.put("parsed")
        return len(await file.read())

    @app.get("/watch")
    async def watch(request: Request) -> None:
        notes.put(await request.is_disconnected())
        while not await request.is_disconnected():
            await asyncio.sleep(0)
        notes.put("gone")

    return app


@ON_EVERY_LOOP
def test_a_body_is_read_while_the_client_sends_it(serve: Serve, notes: Notes) -> None:
    with serve(receiving_app(notes)) as server, server.connect() as client:
        client.send(b"POST /pieces HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
        for part in (b"one", b"two", b"six"):
            assert notes.empty()
            client.send(part)
            assert notes.get() == part
        assert client.read_response().body == b"9"


@ON_EVERY_LOOP
def test_a_chunked_body_is_read_while_the_client_sends_it(serve: Serve, notes: Notes) -> None:
    with serve(receiving_app(notes)) as server, server.connect() as client:
        client.send(b"POST /pieces HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"three", b"eleven"):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
            assert notes.get() == part
        client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"14"


@ON_EVERY_LOOP
@LEAVING
def test_stream_raises_client_disconnect(serve: Serve, notes: Notes, how: str) -> None:
    with serve(receiving_app(notes)) as server, server.connect() as client:
        client.send(b"POST /pieces HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\none")
        assert notes.get() == b"one"
        client.leave(how)
        assert notes.get() == "gone"
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info
        assert isinstance(record.exc_info[1], ClientDisconnect)
        assert client_is_served(server)


@LEAVING
def test_an_upload_that_breaks_off_never_reaches_the_endpoint(
    serve: Serve, notes: Notes, how: str
) -> None:
    """FastAPI reads the form before it calls the endpoint; the half of a file is not given to it."""
    head = (
        b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n"
        b"Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
        b'--cut\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    )
    with serve(receiving_app(notes)) as server:
        assert client_is_served(server)
        with server.connect() as client:
            client.send(head, b"x" * 50_000)
            server.settle()
            client.leave(how)
            server.settle()
        assert client_is_served(server)
        assert notes.empty()


@ON_EVERY_LOOP
@LEAVING
def test_is_disconnected_tells_when_the_client_goes(serve: Serve, notes: Notes, how: str) -> None:
    with serve(receiving_app(notes)) as server, server.connect() as client:
        client.get("/watch")
        assert notes.get() is False
        client.leave(how)
        assert notes.get() == "gone"


@ON_EVERY_LOOP
@LEAVING
@pytest.mark.parametrize("middleware", [False, True], ids=["bare", "middleware"])
def test_who_waits_in_receive_hears_of_it_behind_middleware_too(
    serve: Serve, notes: Notes, middleware: bool, how: str
) -> None:
    """`is_disconnected` does not: it asks in a scope that is cancelled, which ends what Starlette's own
    middleware puts around `receive`. It is False there for ever."""
    gate = asyncio.Event()

    async def endpoint(request: StarletteRequest) -> Response:
        await request.body()
        notes.put("in")
        await gate.wait()
        notes.put([await request.is_disconnected() for _ in range(3)])
        notes.put((await request.receive())["type"])
        return Response()

    app = Starlette(routes=[Route("/", endpoint)])
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with serve(app) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        server.settle()
        on_loop(server, gate.set)
        assert notes.get() == [not middleware] * 3
        assert notes.get() == "http.disconnect"


def test_continue_is_sent_when_the_body_is_asked_for(serve: Serve, notes: Notes) -> None:
    with serve(receiving_app(notes)) as server, server.connect() as client:
        client.send(
            b"POST /pieces HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.read_head().status == 100
        assert notes.empty()
        client.send(b"one")
        assert client.read_response().body == b"3"
