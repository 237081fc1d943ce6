# SPDX-License-Identifier: MIT
"""Dependencies with `yield`: when they open and close, and what they make of exceptions.

Each story is told twice, by the server and by an in-memory transport; both must tell the same.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials, OAuth2PasswordBearer

from tests.conftest import Serve
from tests.frameworks.support import (
    ON_EVERY_LOOP,
    client_of,
    in_memory,
    on_loop,
    same_answer,
    take,
)
from tests.support.asgi import Notes

USER = contextvars.ContextVar("USER", default="nobody")


class Refused(Exception):
    """Has a handler of its own."""


def make_app(notes: Notes) -> FastAPI:
    """Endpoints that depend on things which open and close."""
    app = FastAPI()

    async def outer() -> AsyncIterator[str]:
        notes.put("outer open")
        try:
            yield "outer"
        except BaseException as error:
            notes.put(f"outer sees {type(error).__name__}")
            raise
        finally:
            notes.put("outer closed")

    def inner(below: Annotated[str, Depends(outer)]) -> Iterator[str]:
        notes.put("inner open")
        try:
            yield f"inner of {below}"
        except BaseException as error:
            notes.put(f"inner sees {type(error).__name__}")
            raise
        finally:
            notes.put("inner closed")

    def translating() -> Iterator[None]:
        try:
            yield
        except LookupError as error:
            raise HTTPException(404, f"translated {error}") from error

    Both = Annotated[str, Depends(inner)]

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Exception) -> JSONResponse:
        notes.put("handler")
        return JSONResponse({"refused": True}, status_code=409)

    @app.get("/works")
    async def works(value: Both) -> str:
        notes.put("endpoint")
        return value

    @app.get("/sync-works")
    def sync_works(value: Both) -> str:
        notes.put("endpoint")
        return value

    @app.get("/http-error")
    async def http_error(value: Both) -> str:
        raise HTTPException(403, "no entry")

    @app.get("/own-error")
    async def own_error(value: Both) -> str:
        raise Refused

    @app.get("/crash")
    async def crash(value: Both) -> str:
        raise LookupError("crash")

    @app.get("/translated", dependencies=[Depends(translating)])
    async def translated(value: Both) -> str:
        raise LookupError("missing")

    @app.get("/invalid")
    async def invalid(value: Both, number: int) -> str:
        raise AssertionError("called without a number")

    @app.get("/stream")
    async def stream(value: Both) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                notes.put(f"piece {number}")
                yield f"{number} with {value}\n"
                await asyncio.sleep(0)

        return StreamingResponse(pieces())

    @app.get("/early-stream")
    async def early_stream(
        value: Annotated[str, Depends(outer, scope="function")],
    ) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                notes.put(f"piece {number}")
                yield f"{number} with {value}\n"

        return StreamingResponse(pieces())

    @app.get("/background")
    async def background(value: Both, tasks: BackgroundTasks) -> str:
        tasks.add_task(notes.put, "task")
        return value

    @app.get("/twice")
    async def twice(
        one: Annotated[str, Depends(outer)], two: Annotated[str, Depends(outer, use_cache=False)]
    ) -> list[str]:
        return [one, two]

    return app


STORIES = {
    "/works": (200, ["outer open", "inner open", "endpoint", "inner closed", "outer closed"]),
    "/sync-works": (200, ["outer open", "inner open", "endpoint", "inner closed", "outer closed"]),
    "/http-error": (403, None),
    "/own-error": (409, None),
    "/crash": (500, None),
    "/translated": (404, None),
    "/invalid": (422, None),
    "/stream": (
        200,
        [
            "outer open",
            "inner open",
            *(f"piece {number}" for number in range(3)),
            "inner closed",
            "outer closed",
        ],
    ),
    "/early-stream": (
        200,
        ["outer open", "outer closed", *(f"piece {number}" for number in range(3))],
    ),
    "/background": (200, ["outer open", "inner open", "task", "inner closed", "outer closed"]),
    "/twice": (200, ["outer open", "outer open", "outer closed", "outer closed"]),
}


def told(notes: Notes) -> list[str]:
    """Return everything that was noted."""
    found = []
    while not notes.empty():
        found.append(notes.get())
    return found


@ON_EVERY_LOOP
@pytest.mark.parametrize("path", STORIES)
def test_a_story_is_the_same_as_in_memory(serve: Serve, notes: Notes, path: str) -> None:
    status, story = STORIES[path]
    app = make_app(notes)
    expected = in_memory(app, "GET", path)
    expected_story = told(notes)
    assert expected.status_code == status
    assert expected_story[0] == "outer open"
    assert expected_story.count("outer open") == expected_story.count("outer closed")
    if story is not None:
        assert expected_story == story
    with serve(app) as server:
        with client_of(server) as client:
            for _ in range(2):
                got = client.get(path)
                assert (got.status_code, got.content) == (status, expected.content)
                assert take(notes, len(expected_story)) == expected_story
        if path == "/crash":
            for _ in range(2):
                server.log.expect("Exception in ASGI application")
        server.settle()
        assert notes.empty()


@ON_EVERY_LOOP
def test_a_dependency_closes_behind_the_answer(serve: Serve, notes: Notes) -> None:
    """The client has the whole answer while the clean-up still waits."""
    gate = asyncio.Event()
    app = FastAPI()

    async def lease() -> AsyncIterator[None]:
        yield
        notes.put("closing")
        await gate.wait()
        notes.put("closed")

    @app.get("/", dependencies=[Depends(lease)])
    async def endpoint() -> str:
        return "answer"

    @app.get("/other")
    async def other() -> str:
        return "other"

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b'"answer"'
        assert notes.get() == "closing"
        assert client.ask("/other").body == b'"other"'
        assert notes.empty()
        on_loop(server, gate.set)
        assert notes.get() == "closed"


@ON_EVERY_LOOP
@pytest.mark.parametrize("how", ["fin", "close", "rst"])
def test_a_dependency_closes_when_the_client_of_a_stream_goes(
    serve: Serve, notes: Notes, how: str
) -> None:
    app = FastAPI()

    async def lease() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.sleep(0)
            notes.put("lease closed")

    @app.get("/", dependencies=[Depends(lease)])
    async def endpoint() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.Event().wait()
            finally:
                notes.put("stream closed")

        return StreamingResponse(pieces())

    with serve(app) as server, server.connect() as client:
        client.get()
        client.read_until(b"first")
        server.settle()
        assert notes.empty()
        client.leave(how)
        assert take(notes, 2) == ["stream closed", "lease closed"]


def test_sync_dependencies_run_in_threads(serve: Serve) -> None:
    app = FastAPI()

    def name() -> str:
        return threading.current_thread().name

    async def async_name() -> str:
        return threading.current_thread().name

    @app.get("/")
    async def endpoint(
        sync: Annotated[str, Depends(name)], here: Annotated[str, Depends(async_name)]
    ) -> list[str]:
        return [sync, here]

    with serve(app) as server, client_of(server) as client:
        sync, here = client.get("/").json()
        assert sync.startswith("AnyIO worker")
        assert here == "server"


@ON_EVERY_LOOP
def test_a_context_variable_set_by_a_dependency(serve: Serve) -> None:
    """It reaches the endpoint, async or not, and never the next request of the connection."""
    app = FastAPI()

    async def user(x_user: Annotated[str | None, Header()] = None) -> AsyncIterator[None]:
        if x_user is None:
            yield
            return
        token = USER.set(x_user)
        yield
        USER.reset(token)

    @app.get("/async", dependencies=[Depends(user)])
    async def here() -> str:
        return USER.get()

    @app.get("/sync", dependencies=[Depends(user)])
    def there() -> str:
        return USER.get()

    with serve(app) as server, client_of(server) as client:
        for path in ("/async", "/sync"):
            for name in ("anna", "bert"):
                assert client.get(path, headers={"x-user": name}).json() == name
                assert client.get(path).json() == "nobody"


def secured_app() -> FastAPI:
    """FastAPI's security dependencies."""
    app = FastAPI()

    @app.get("/basic")
    async def basic(who: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> list[str]:
        return [who.username, who.password]

    @app.get("/token")
    async def token(
        value: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))],
    ) -> PlainTextResponse:
        return PlainTextResponse(value)

    return app


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/basic", {}, 401),
        ("/basic", {"authorization": "Basic YW5uYTpwdw=="}, 200),
        ("/basic", {"authorization": "Basic ???"}, 401),
        ("/token", {}, 401),
        ("/token", {"authorization": "Bearer abc.def"}, 200),
        ("/token", {"authorization": "Basic YW5uYTpwdw=="}, 401),
    ],
)
def test_security(serve: Serve, path: str, headers: dict[str, str], status: int) -> None:
    app = secured_app()
    with serve(app) as server:
        response = same_answer(server, app, "GET", path, headers=headers)
        assert response.status_code == status
        assert ("www-authenticate" in response.headers) == (status == 401)


def test_overrides(serve: Serve) -> None:
    """dependency_overrides, which tests of applications live on, work behind a server too."""
    app = FastAPI()

    def setting() -> str:
        return "real"

    @app.get("/")
    async def endpoint(value: Annotated[str, Depends(setting)]) -> str:
        return value

    with serve(app) as server, client_of(server) as client:
        answers: list[httpx.Response] = [client.get("/")]
        app.dependency_overrides[setting] = lambda: "other"
        answers.append(client.get("/"))
        app.dependency_overrides.clear()
        answers.append(client.get("/"))
    assert [answer.json() for answer in answers] == ["real", "other", "real"]
