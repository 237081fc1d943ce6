# SPDX-License-Identifier: MIT
"""Middleware: both kinds stacked, and those that Starlette ships."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tests.conftest import Serve
from tests.frameworks.support import ON_EVERY_LOOP, client_of, in_memory, same_answer, take
from tests.support.asgi import App, Notes, Receive, Scope, Send

NAME = contextvars.ContextVar("NAME", default="unset")


class Pure:
    """Plain ASGI middleware that reports every message that passes."""

    def __init__(self, app: App, name: str, note: Callable[[Any], object]) -> None:
        self.app = app
        self.name = name
        self.note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note what passes, and set NAME."""

        async def seen_receive() -> Any:
            message = await receive()
            self.note((self.name, message["type"]))
            return message

        async def seen_send(message: Any) -> None:
            self.note((self.name, message["type"]))
            await send(message)

        NAME.set(self.name)
        await self.app(scope, seen_receive, seen_send)
        self.note((self.name, "end"))


def plain_app() -> FastAPI:
    """Endpoints under the middleware that a test adds."""
    app = FastAPI()

    @app.get("/plain")
    async def plain() -> PlainTextResponse:
        return PlainTextResponse("plain")

    @app.get("/large")
    async def large() -> PlainTextResponse:
        return PlainTextResponse("large " * 100_000)

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.get("/name")
    async def name() -> str:
        return NAME.get()

    @app.get("/sync-name")
    def sync_name() -> str:
        return NAME.get()

    @app.get("/url")
    async def url(request: Request) -> list[str]:
        assert request.client is not None
        return [request.client.host, request.url.scheme, str(request.url_for("plain"))]

    @app.get("/user")
    async def user(request: Request) -> list[Any]:
        return [request.user.display_name, sorted(request.auth.scopes)]

    @app.get("/crash")
    async def crash() -> None:
        raise LookupError("in the endpoint")

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.sleep(0)
            raise LookupError("in the stream")

        return StreamingResponse(pieces())

    return app


@ON_EVERY_LOOP
def test_messages_pass_every_layer_in_order(serve: Serve, notes: Notes) -> None:
    app = plain_app()
    app.add_middleware(Pure, name="inner", note=notes.put)
    app.add_middleware(Pure, name="outer", note=notes.put)
    expected = [
        *(("outer", "http.request"), ("inner", "http.request")),
        *(("inner", "http.response.start"), ("outer", "http.response.start")),
        *(("inner", "http.response.body"), ("outer", "http.response.body")),
        *(("inner", "end"), ("outer", "end")),
    ]
    with serve(app) as server, client_of(server) as client:
        for _ in range(2):
            assert client.post("/size", content=b"12345").json() == 5
            assert take(notes, len(expected)) == expected
        assert notes.empty()


@pytest.mark.parametrize("path", ["/name", "/sync-name"])
def test_a_context_variable_set_by_middleware_reaches_the_endpoint(
    serve: Serve, notes: Notes, path: str
) -> None:
    app = plain_app()
    app.add_middleware(Pure, name="pure", note=notes.put)
    with serve(app) as server, client_of(server) as client:
        assert client.get(path).json() == "pure"


async def refuse(request: Request, call_next: Any) -> Response:
    """Answer without a look at the body."""
    if "x-token" not in request.headers:
        return PlainTextResponse("no token", 401)
    response: Response = await call_next(request)
    return response


@ON_EVERY_LOOP
@pytest.mark.parametrize("size", [0, 100, 5_000_000])
def test_an_answer_before_the_body_was_read(serve: Serve, size: int) -> None:
    """The client gets the 401 whole, and its next requests work: here or on a new connection."""
    app = plain_app()
    app.add_middleware(BaseHTTPMiddleware, dispatch=refuse)
    with serve(app) as server, client_of(server) as client:
        data = b"x" * size
        for _ in range(3):
            refused = client.post("/size", content=data)
            assert (refused.status_code, refused.text) == (401, "no token")
            answer = client.post("/size", content=data, headers={"x-token": "1"})
            assert answer.json() == size


@pytest.mark.parametrize("layers", [0, 1, 5])
def test_a_crash_under_middleware_is_a_500(serve: Serve, layers: int) -> None:
    async def pass_on(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    app = plain_app()
    for _ in range(layers):
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with serve(app) as server, server.connect() as client:
        assert client.ask("/crash").status == 500
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info
        assert isinstance(record.exc_info[1], LookupError)
        with server.connect() as other:
            assert other.ask("/plain").body == b"plain"


@ON_EVERY_LOOP
def test_a_stream_that_breaks_is_seen_to_be_broken(serve: Serve, notes: Notes) -> None:
    """No last chunk: the client must not take half of a stream for the whole."""
    app = plain_app()
    app.add_middleware(Pure, name="pure", note=notes.put)
    with serve(app) as server:
        with server.connect() as client:
            client.get("/breaks")
            assert client.read_head().chunked
            assert client.read_to_end() == b"5\r\nfirst\r\n"
        server.log.expect("Exception in ASGI application")
        with client_of(server) as client, pytest.raises(httpx.RemoteProtocolError):
            client.get("/breaks")
        server.log.expect("Exception in ASGI application")


@pytest.mark.parametrize(
    ("host", "status"),
    [("example.org", 200), ("a.example.com", 200), ("example.com", 400), ("evil.org", 400)],
)
def test_trusted_host(serve: Serve, host: str, status: int) -> None:
    app = plain_app()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["example.org", "*.example.com"])
    with serve(app) as server:
        response = same_answer(server, app, "GET", "/plain", headers={"host": host})
        assert response.status_code == status


def test_https_redirect(serve: Serve) -> None:
    app = plain_app()
    app.add_middleware(HTTPSRedirectMiddleware)
    with serve(app) as server:
        response = same_answer(server, app, "GET", "/plain?a=b", headers={"host": "example.org"})
        assert response.status_code == 307
        assert response.headers["location"] == "https://example.org/plain?a=b"


def test_forwarded_fields_through_uvicorns_middleware(serve: Serve) -> None:
    """The server reads them, unless it is told not to; the middleware then does."""
    told = ["203.0.113.7", "https", "https://example.org/plain"]
    headers = {
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "https",
        "host": "example.org",
    }
    with serve(plain_app()) as server, client_of(server, headers=headers) as client:
        assert client.get("/url").json() == told
    with serve(plain_app(), proxy_headers=False) as server:
        with client_of(server, headers=headers) as client:
            assert client.get("/url").json() == ["127.0.0.1", "http", "http://example.org/plain"]
    app = plain_app()
    app.add_middleware(ProxyHeadersMiddleware)
    with serve(app, proxy_headers=False) as server, client_of(server, headers=headers) as client:
        assert client.get("/url").json() == told


CORS: dict[str, tuple[int, str, dict[str, str]]] = {
    "simple": (200, "GET", {"origin": "https://example.org"}),
    "other origin": (200, "GET", {"origin": "https://other.org"}),
    "no origin": (200, "GET", {}),
    "preflight": (
        200,
        "OPTIONS",
        {
            "origin": "https://example.org",
            "access-control-request-method": "PUT",
            "access-control-request-headers": "x-token, content-type",
        },
    ),
    "preflight for a method": (
        400,
        "OPTIONS",
        {"origin": "https://example.org", "access-control-request-method": "DELETE"},
    ),
    "preflight of another origin": (
        400,
        "OPTIONS",
        {"origin": "https://other.org", "access-control-request-method": "PUT"},
    ),
}


@pytest.mark.parametrize("name", CORS)
def test_cors(serve: Serve, name: str) -> None:
    status, method, headers = CORS[name]
    app = plain_app()
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["https://example.org"],
        allow_credentials=True,
        allow_methods=["GET", "PUT"],
        allow_headers=["x-token"],
        expose_headers=["x-count"],
        max_age=60,
    )
    with serve(app) as server:
        response = same_answer(server, app, method, "/plain", headers=headers)
        assert response.status_code == status
        allowed = response.headers.get("access-control-allow-origin")
        ours = headers.get("origin") == "https://example.org"
        assert allowed == ("https://example.org" if ours else None)


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/plain"), ("GET", "/large")])
def test_gzip(serve: Serve, method: str, path: str, accepted: str) -> None:
    app = plain_app()
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    with serve(app) as server:
        headers = {"accept-encoding": accepted}
        response = same_answer(server, app, method, path, headers=headers)
        encoded = response.headers.get("content-encoding") == "gzip"
        assert encoded == (accepted == "gzip" and path == "/large")
        length = int(response.headers["content-length"])
        assert (length < len(response.content)) == encoded


def session_app(**options: Any) -> FastAPI:
    """Counts in a session."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key="secret", **options)

    @app.get("/count")
    async def count(request: Request) -> int:
        request.session["count"] = number = request.session.get("count", 0) + 1
        return int(number)

    @app.get("/sync-count")
    def sync_count(request: Request) -> int:
        request.session["count"] = number = request.session.get("count", 0) + 1
        return int(number)

    @app.get("/login")
    async def login(request: Request) -> Response:
        request.session["user"] = "Zo\u00eb"
        return Response(status_code=303, headers={"location": "/whoami"})

    @app.get("/whoami")
    async def whoami(request: Request) -> JSONResponse:
        return JSONResponse(request.session.get("user"))

    return app


def test_sessions_of_two_clients(serve: Serve) -> None:
    with (
        serve(session_app()) as server,
        client_of(server) as one,
        client_of(server) as two,
    ):
        assert [one.get(path).json() for path in ("/count", "/sync-count", "/count")] == [1, 2, 3]
        assert two.get("/count").json() == 1
        assert one.get("/count").json() == 4


def test_a_session_survives_a_redirect(serve: Serve) -> None:
    with serve(session_app()) as server, client_of(server, follow_redirects=True) as client:
        assert client.get("/whoami").json() is None
        assert client.get("/login").json() == "Zo\u00eb"


def test_a_forged_session_is_none(serve: Serve) -> None:
    with serve(session_app()) as server, client_of(server) as client:
        assert [client.get("/count").json() for _ in range(2)] == [1, 2]
        cookie = client.cookies["session"]
    with serve(session_app()) as server:
        with client_of(server, cookies={"session": cookie}) as client:
            assert client.get("/count").json() == 3
        forged = cookie[:-1] + ("A" if cookie[-1] != "A" else "B")
        forged = ("B" if cookie[0] != "B" else "C") + forged[1:]
        with client_of(server, cookies={"session": forged}) as client:
            assert client.get("/count").json() == 1


def test_the_session_cookies_attributes(serve: Serve) -> None:
    app = session_app(max_age=60, same_site="strict", https_only=True, session_cookie="s")
    with serve(app) as server, client_of(server) as client:
        words = client.get("/count").headers["set-cookie"].split("; ")
    assert words[0].startswith("s=")
    assert set(words[1:]) == {"path=/", "Max-Age=60", "httponly", "samesite=strict", "secure"}


class Backend(AuthenticationBackend):
    """Knows one token."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        """Read the token."""
        token = conn.headers.get("x-token")
        if token is None:
            return None
        if token != "right":
            raise AuthenticationError("wrong token")
        return AuthCredentials(["read"]), SimpleUser("anna")


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 200), ({"x-token": "right"}, 200), ({"x-token": "wrong"}, 400)]
)
def test_authentication(serve: Serve, headers: dict[str, str], status: int) -> None:
    app = plain_app()
    app.add_middleware(AuthenticationMiddleware, backend=Backend())
    with serve(app) as server:
        response = same_answer(server, app, "GET", "/user", headers=headers)
        assert response.status_code == status
        if status == 200:
            assert response.json() == (["anna", ["read"]] if headers else ["", []])


class Limit:
    """Gives up on requests to /never."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 504 where the application takes too long."""
        try:
            async with asyncio.timeout(0.001 if scope["path"] == "/never" else None):
                await self.app(scope, receive, send)
        except TimeoutError:
            await PlainTextResponse("too late", 504)(scope, receive, send)


@ON_EVERY_LOOP
def test_a_middleware_that_times_out(serve: Serve, notes: Notes) -> None:
    """It cancels the endpoint inside the request's task, and the task is fit for its answer."""
    app = plain_app()

    @app.get("/never")
    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            notes.put("cancelled")

    app.add_middleware(Limit)
    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            answer = client.ask("/never")
            assert (answer.status, answer.body) == (504, b"too late")
            assert notes.get() == "cancelled"
            assert client.ask("/plain").body == b"plain"


def test_everything_stacked(serve: Serve, notes: Notes) -> None:
    app = plain_app()
    app.add_middleware(AuthenticationMiddleware, backend=Backend())
    app.add_middleware(SessionMiddleware, secret_key="secret")
    app.add_middleware(GZipMiddleware)
    app.add_middleware(BaseHTTPMiddleware, dispatch=refuse)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1"])
    app.add_middleware(Pure, name="pure", note=notes.put)
    headers = {"x-token": "right", "origin": "https://example.org"}
    expected = in_memory(app, "GET", "/large", headers=headers)
    assert expected.status_code == 200
    with serve(app) as server:
        for _ in range(3):
            response = same_answer(server, app, "GET", "/large", headers=headers)
            assert response.content == expected.content
            assert response.headers["content-encoding"] == "gzip"
