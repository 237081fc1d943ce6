# SPDX-License-Identifier: MIT
"""Exceptions: handlers of one's own, those that nobody handles, debug pages."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from tests.conftest import Serve
from tests.frameworks.support import ON_EVERY_LOOP, client_of, same_answer
from tests.support.asgi import Notes


class Special(Exception):
    """Has a handler."""


class MoreSpecial(Special):
    """Has its parent's handler."""


def make_app(**options: Any) -> FastAPI:
    """Endpoints that raise, and handlers for most of it."""
    app = FastAPI(**options)

    @app.exception_handler(Special)
    async def special(request: Request, error: Exception) -> Response:
        return JSONResponse({"special": type(error).__name__}, 418)

    @app.exception_handler(ArithmeticError)
    def arithmetic(request: Request, error: Exception) -> Response:
        return PlainTextResponse("handled in a thread", 422)

    @app.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> Response:
        return JSONResponse({"nothing at": request.url.path}, 404)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return PlainTextResponse(str(error.errors()[0]["loc"]), 400)

    @app.get("/special")
    async def raise_special() -> None:
        raise Special

    @app.get("/more-special")
    def raise_more_special() -> None:
        raise MoreSpecial

    @app.get("/divide/{number}")
    async def divide(number: int) -> float:
        return 1 / number

    @app.get("/http/{status}")
    async def http(status: int) -> None:
        raise HTTPException(status, {"what": ["a", 1]}, headers={"x-why": "because"})

    @app.get("/starlette")
    async def starlette() -> None:
        raise StarletteHTTPException(402, "pay")

    @app.get("/group")
    async def group() -> None:
        raise ExceptionGroup("two", [Special(), LookupError("inside")])

    @app.get("/crash")
    async def crash() -> None:
        raise LookupError("nobody handles this")

    @app.get("/plain")
    async def plain() -> PlainTextResponse:
        return PlainTextResponse("plain")

    return app


HANDLED = {
    "/special": 418,
    "/more-special": 418,
    "/divide/0": 422,
    "/divide/2": 200,
    "/divide/x": 400,
    "/http/400": 400,
    "/http/404": 404,
    "/http/503": 503,
    "/http/204": 204,
    "/http/304": 304,
    "/starlette": 402,
    "/nowhere": 404,
}


@pytest.mark.parametrize("path", HANDLED)
def test_handled_errors_are_answered_as_in_memory(serve: Serve, path: str) -> None:
    app = make_app()
    with serve(app) as server:
        assert same_answer(server, app, "GET", path).status_code == HANDLED[path]
        with server.connect() as client:
            for _ in range(2):
                assert client.ask(path).status == HANDLED[path]
            client.assert_open("/plain")


@ON_EVERY_LOOP
@pytest.mark.parametrize(("path", "kind"), [("/crash", LookupError), ("/group", ExceptionGroup)])
def test_unhandled_errors_are_500_and_logged(
    serve: Serve, path: str, kind: type[BaseException]
) -> None:
    app = make_app()
    with serve(app) as server:
        response = same_answer(server, app, "GET", path)
        assert (response.status_code, response.text) == (500, "Internal Server Error")
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info
        assert isinstance(record.exc_info[1], kind)
        with server.connect() as client:
            assert client.ask("/plain").body == b"plain"


def test_a_handler_for_everything_answers_and_the_error_is_logged_still(serve: Serve) -> None:
    app = make_app()

    @app.exception_handler(Exception)
    async def anything(request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"sorry: {error}", 500)

    with serve(app) as server, client_of(server) as client:
        response = client.get("/crash")
        assert (response.status_code, response.text) == (500, "sorry: nobody handles this")
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info
        assert isinstance(record.exc_info[1], LookupError)


@pytest.mark.parametrize(
    ("accept", "kind"), [("text/html", "text/html"), ("text/plain", "text/plain")]
)
def test_the_debug_page(serve: Serve, accept: str, kind: str) -> None:
    with serve(make_app(debug=True)) as server, client_of(server) as client:
        response = client.get("/crash", headers={"accept": accept})
        assert response.status_code == 500
        assert response.headers["content-type"].startswith(kind)
        assert "nobody handles this" in response.text
        server.log.expect("Exception in ASGI application")


@ON_EVERY_LOOP
def test_an_answer_that_is_already_under_way_is_cut(serve: Serve, notes: Notes) -> None:
    """With a length, and without: the client can tell, and handlers are not asked any more."""
    app = make_app()

    @app.get("/counted")
    async def counted() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"12345"
            await asyncio.sleep(0)
            raise LookupError("after five")

        return StreamingResponse(pieces(), headers={"content-length": "10"})

    @app.get("/special-stream")
    async def special_stream() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"12345"
            await asyncio.sleep(0)
            raise Special

        return StreamingResponse(pieces())

    with serve(app) as server:
        for path, rest in {"/counted": b"12345", "/special-stream": b"5\r\n12345\r\n"}.items():
            with server.connect() as client:
                client.get(path)
                assert client.read_head().status == 200
                assert client.read_to_end() == rest
            server.log.expect("Exception in ASGI application")


def test_what_a_response_may_not_hold_is_a_500(serve: Serve) -> None:
    """A line break in a field would split the answer; nothing of it goes out."""
    app = make_app()

    @app.get("/split")
    async def split() -> Response:
        return PlainTextResponse("x", headers={"x-value": "a\r\nx-injected: b"})

    with serve(app) as server:
        with server.connect() as client:
            response = client.ask("/split")
            assert response.status == 500
            assert response.get(b"x-injected") is None
        server.log.expect("Exception in ASGI application")


@ON_EVERY_LOOP
def test_a_body_that_breaks_off_can_be_handled(serve: Serve, notes: Notes) -> None:
    """An application that expects ClientDisconnect is not an error for anybody."""
    app = make_app()

    @app.post("/")
    async def endpoint(request: Request) -> str:
        notes.put("in")
        try:
            await request.body()
        except ClientDisconnect:
            notes.put("gone")
            return "to nobody"
        return "complete"

    with serve(app) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345")
        assert notes.get() == "in"
        client.close()
        assert notes.get() == "gone"
        with server.connect() as other:
            assert other.ask("/plain").body == b"plain"
