# SPDX-License-Identifier: MIT
"""Paths: mounted applications, root_path, redirected slashes, odd targets, methods, large fields."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Host, Route, Router

from tests.conftest import Serve
from tests.frameworks.support import client_of, same_answer


def where(request: StarletteRequest) -> dict[str, Any]:
    """Return what an endpoint knows of its place."""
    return {
        "path": request.scope["path"],
        "raw_path": request.scope["raw_path"].decode("latin-1"),
        "root_path": request.scope["root_path"],
        "url": str(request.url),
        "base_url": str(request.base_url),
        "query": request.scope["query_string"].decode("latin-1"),
    }


def nested_app() -> FastAPI:
    """An application with one mounted in it, and another in that."""
    app, sub, deep = FastAPI(title="app"), FastAPI(title="sub"), FastAPI(title="deep")

    @app.get("/where")
    async def app_where(request: Request) -> dict[str, Any]:
        return where(request)

    @sub.get("/where")
    async def sub_where(request: Request) -> dict[str, Any]:
        return where(request) | {"made": str(request.url_for("sub_where"))}

    @deep.get("/where/{rest:path}")
    async def deep_where(request: Request, rest: str) -> dict[str, Any]:
        return where(request) | {"rest": rest}

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.get("/no-slash")
    async def no_slash() -> str:
        return "no slash"

    sub.mount("/deep", deep)
    app.mount("/sub", sub)
    return app


TARGETS = {
    "/where": 200,
    "/where?a=b&a=c%20d&e": 200,
    "/sub/where": 200,
    "/sub/deep/where/": 200,
    "/sub/deep/where/a/b%20c/%E2%82%AC": 200,
    "/sub/deep/where/a%2Fb": 200,
    "/sub/deep/where/with:colon;and=sign@at": 200,
    "/slash": 307,
    "/slash/": 200,
    "/no-slash/": 307,
    "/no-slash/?a=b": 307,
    "/sub/openapi.json": 200,
    "/sub/deep/openapi.json": 200,
    "/sub/docs": 200,
    "/openapi.json": 200,
    "/docs": 200,
    "/redoc": 200,
    "/sub/nothing": 404,
    "/sub": 307,
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_answer_as_in_memory(serve: Serve, target: str) -> None:
    app = nested_app()
    with serve(app) as server:
        assert same_answer(server, app, "GET", target).status_code == TARGETS[target]


def test_mounted_applications_know_where_they_are(serve: Serve) -> None:
    with serve(nested_app()) as server, client_of(server) as client:
        answer = client.get("/sub/deep/where/a%20b").json()
        assert answer["root_path"] == "/sub/deep"
        assert answer["path"] == "/sub/deep/where/a b"
        assert answer["raw_path"] == "/sub/deep/where/a%20b"
        assert answer["rest"] == "a b"
        assert client.get("/sub/where").json()["made"] == f"{server.url}/sub/where"
        assert client.get("/sub/openapi.json").json()["servers"] == [{"url": "/sub"}]


def test_root_path_of_the_server(serve: Serve) -> None:
    """As behind a proxy that strips /api."""
    with serve(nested_app(), root_path="/api") as server, client_of(server) as client:
        answer = client.get("/where").json()
        assert answer["root_path"] == "/api"
        assert answer["path"] == "/api/where"
        assert answer["url"] == f"{server.url}/api/where"
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/api"}]
        assert "/api/openapi.json" in client.get("/docs").text
        below = client.get("/sub/where").json()
        assert below["root_path"] == "/api/sub"
        assert below["made"] == f"{server.url}/api/sub/where"


def test_a_redirect_is_followed(serve: Serve) -> None:
    with serve(nested_app()) as server, client_of(server, follow_redirects=True) as client:
        assert client.get("/slash").json() == "slash"
        response = client.get("/no-slash/?a=b")
        assert response.json() == "no slash"
        assert str(response.url) == f"{server.url}/no-slash?a=b"


def test_hosts(serve: Serve) -> None:
    async def api(request: StarletteRequest) -> Response:
        return PlainTextResponse(f"api of {request.path_params['tenant']}")

    async def other(request: StarletteRequest) -> Response:
        return PlainTextResponse("other")

    app = Starlette(
        routes=[
            Host("{tenant}.example.org", Router([Route("/", api)])),
            Route("/", other),
        ]
    )
    with serve(app) as server, client_of(server) as client:
        assert client.get("/", headers={"host": "a.example.org"}).text == "api of a"
        assert client.get("/", headers={"host": "b.example.org:8000"}).text == "api of b"
        assert client.get("/").text == "other"


def test_an_absolute_target(serve: Serve) -> None:
    with serve(nested_app()) as server, server.connect() as client:
        client.send(b"GET http://example.org/where?a=1 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        response = client.read_response()
        assert response.status == 200
        assert b'"path":"/where"' in response.body
        assert b'"query":"a=1"' in response.body


def methods_app() -> Starlette:
    """Answers with the method."""

    class Verbs(HTTPEndpoint):
        async def get(self, request: StarletteRequest) -> Response:
            return JSONResponse({"method": request.method})

        async def delete(self, request: StarletteRequest) -> Response:
            return Response(status_code=204)

    async def any_of(request: StarletteRequest) -> Response:
        return PlainTextResponse(f"{request.method} {len(await request.body())}")

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE"]
    return Starlette(routes=[Route("/verbs", Verbs), Route("/any", any_of, methods=methods)])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/verbs", 200),
        ("HEAD", "/verbs", 200),
        ("DELETE", "/verbs", 204),
        ("PUT", "/verbs", 405),
        *((method, "/any", 200) for method in ("PATCH", "PUT", "DELETE", "OPTIONS", "TRACE")),
        *((method, "/any", 200) for method in ("PROPFIND", "PURGE", "HEAD")),
        ("LOCK", "/any", 405),
    ],
)
def test_methods(serve: Serve, method: str, path: str, status: int) -> None:
    app = methods_app()
    with serve(app) as server:
        assert same_answer(server, app, method, path).status_code == status


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_methods_with_a_body(serve: Serve, method: str) -> None:
    app = methods_app()
    with serve(app) as server:
        response = same_answer(server, app, method, "/any", content=b"x" * 1000)
        assert response.text == f"{method} 1000"


def test_head_of_everything_leaves_the_connection_usable(serve: Serve) -> None:
    with serve(methods_app()) as server, server.connect() as client:
        for path, length in (("/verbs", b"17"), ("/any", None), ("/nowhere", b"9")):
            client.request("HEAD", path)
            head = client.read_response("HEAD")
            assert length is None or head.get(b"content-length") == length
        assert client.ask("/verbs").body == b'{"method":"GET"}'


def test_large_and_many_fields(serve: Serve) -> None:
    app = FastAPI()

    @app.get("/")
    async def endpoint(request: Request) -> dict[str, int]:
        return {key: len(value) for key, value in request.headers.items() if key[:2] == "x-"}

    with serve(app) as server:
        large = {"x-large": "v" * 30_000}
        assert same_answer(server, app, "GET", "/", headers=large).json() == {"x-large": 30_000}
        many = {f"x-{number}": "v" * number for number in range(80)}
        answer = same_answer(server, app, "GET", "/", headers=many).json()
        assert answer == {f"x-{number}": number for number in range(80)}


def test_a_large_answer_head(serve: Serve) -> None:
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> Response:
        headers = {f"x-{number}": "v" * 1000 for number in range(60)}
        return PlainTextResponse("small", headers=headers)

    with serve(app) as server:
        response = same_answer(server, app, "GET", "/")
        assert response.headers["x-59"] == "v" * 1000


def test_a_long_query(serve: Serve) -> None:
    app = nested_app()
    with serve(app) as server:
        answer = same_answer(server, app, "GET", "/where?q=" + "x" * 12_000).json()
        assert answer["query"] == "q=" + "x" * 12_000


def test_included_routers(serve: Serve) -> None:
    app, outer, inner = FastAPI(), APIRouter(prefix="/outer"), APIRouter(prefix="/inner")

    @inner.get("/{name}")
    async def leaf(name: str) -> str:
        return name

    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    app.include_router(outer, prefix="/v2")
    with serve(app) as server:
        for version in ("v1", "v2"):
            assert same_answer(server, app, "GET", f"/{version}/outer/inner/leaf").json() == "leaf"
        assert same_answer(server, app, "GET", "/outer/inner/leaf").status_code == 404
