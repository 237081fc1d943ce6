# SPDX-License-Identifier: MIT
"""FastAPI at its current release, unmodified, over real sockets."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks.fastapi_app import make_app
from tests.support.asgi import WAIT, Notes
from tests.support.server import RunningServer

ADDED = {"date", "server", "content-length", "transfer-encoding", "connection"}
"""Fields that a server adds, and an in-memory transport does not."""


@pytest.fixture
def server(serve: Serve, notes: Notes) -> Iterator[RunningServer]:
    """The application behind a server."""
    with serve(make_app(notes), lifespan="on") as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with httpx.Client(base_url=server.url, timeout=WAIT, trust_env=False) as client:
        yield client


REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "json": ("GET", "/json", {}),
    "query": ("GET", "/json", {"params": {"name": "\u20ac & co"}}),
    "path": ("GET", "/items/7", {"params": {"q": ["a", "b"]}, "headers": {"user-agent": "me"}}),
    "cookie in": ("GET", "/items/7", {"headers": {"cookie": "visits=3; x=y", "user-agent": "me"}}),
    "path invalid": ("GET", "/items/seven", {}),
    "path too small": ("GET", "/items/0", {}),
    "query invalid": ("GET", "/items/7", {"params": {"q": ["aaaa"] * 4}}),
    "sync": ("GET", "/sync", {}),
    "204": ("GET", "/empty", {}),
    "redirect": ("GET", "/redirect", {}),
    "cookies out": ("GET", "/cookies", {}),
    "large": ("GET", "/large", {}),
    "head": ("HEAD", "/json", {}),
    "options": ("OPTIONS", "/json", {}),
    "unknown path": ("GET", "/nowhere", {}),
    "wrong method": ("DELETE", "/json", {}),
    "trailing slash": ("GET", "/json/", {}),
    "url": ("GET", "/url", {"params": {"a": "b c"}, "headers": {"host": "example.org"}}),
    "deep path": ("GET", "/router/deep/a/b%20c/%E2%82%AC", {}),
    "post": ("POST", "/items", {"json": {"name": "a", "price": 1, "tags": ["x"]}}),
    "post invalid": ("POST", "/items", {"json": {"name": "", "price": -1}}),
    "post no JSON": (
        "POST",
        "/items",
        {"content": b"{nope", "headers": {"content-type": "application/json"}},
    ),
    "post nothing": ("POST", "/items", {}),
    "two in a body": ("PUT", "/two", {"json": {"item": {"name": "a", "price": 1}, "count": 2}}),
    "raw": ("POST", "/raw", {"content": bytes(range(256)) * 1000}),
    "raw, nothing": ("POST", "/raw", {"content": b""}),
    "chunks": ("POST", "/chunks", {"content": bytes(range(256)) * 10_000}),
    "form": ("POST", "/form", {"data": {"name": "a b&c", "age": "5"}}),
    "form invalid": ("POST", "/form", {"data": {"name": "a", "age": "x"}}),
    "upload": ("POST", "/upload", {"files": {"files": ("a.txt", b"text")}, "data": {"note": "n"}}),
    "upload of none": ("POST", "/upload", {"data": {"note": "n"}}),
    "sync upload": ("POST", "/sync-upload", {"files": {"file": b"x" * 100_000}}),
    "stream": ("GET", "/stream", {}),
    "sync stream": ("GET", "/sync-stream", {}),
    "dependency": ("GET", "/dependency", {}),
    "dependency fails": ("GET", "/dependency-fails", {}),
    "own handler": ("GET", "/teapot", {}),
    "http error": ("GET", "/http-error", {}),
    "openapi": ("GET", "/openapi.json", {}),
    "docs": ("GET", "/docs", {}),
}


async def in_memory(method: str, path: str, options: dict[str, Any]) -> httpx.Response:
    """Ask the application without a server between."""
    transport = httpx.ASGITransport(app=make_app(Notes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_answer_as_without_a_server(client: httpx.Client, name: str) -> None:
    method, path, options = REQUESTS[name]
    expected = asyncio.run(in_memory(method, path, options))
    port = client.base_url.port
    for _ in range(2):
        got = client.request(method, path, **options)
        assert got.status_code == expected.status_code
        if method != "HEAD":
            content = got.content.replace(f"127.0.0.1:{port}".encode(), b"127.0.0.1")
            assert content == expected.content
        fields = [
            (key, value.replace(f"127.0.0.1:{port}", "127.0.0.1"))
            for key, value in got.headers.multi_items()
            if key not in ADDED
        ]
        assert fields == [pair for pair in expected.headers.multi_items() if pair[0] not in ADDED]
        length = expected.headers.get("content-length")
        assert length is None or got.headers["content-length"] == length
        assert (
            ("content-length" in got.headers)
            or ("transfer-encoding" in got.headers)
            or (got.status_code == 204)
        )


def test_an_upload_of_five_megabytes(client: httpx.Client) -> None:
    data = bytes(range(256)) * (5 * 4096)
    files = [("files", ("large.bin", data)), ("files", ("small.txt", b"s"))]
    answer = client.post("/upload", files=files, data={"note": "two"}).json()
    assert answer == {
        "files": [
            ["large.bin", len(data), hashlib.sha256(data).hexdigest()],
            ["small.txt", 1, hashlib.sha256(b"s").hexdigest()],
        ],
        "note": "two",
    }


def test_a_chunked_upload(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(300):
            yield bytes([number % 256]) * 10_000

    answer = client.post("/chunks", content=pieces()).json()
    assert answer == {"size": 3_000_000, "sha256": hashlib.sha256(b"".join(pieces())).hexdigest()}


def test_sync_endpoints_run_in_threads(client: httpx.Client) -> None:
    assert "AnyIO worker" in client.get("/thread").json()


def test_requests_at_once(client: httpx.Client) -> None:
    paths = ["/json", "/thread", "/stream", "/dependency", "/items/3", "/sync-stream"] * 20
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert {r.status_code for r in pool.map(client.get, paths)} == {200}


def test_background_tasks_do_not_hold_the_answer_back(client: httpx.Client, notes: Notes) -> None:
    assert client.get("/background").json() == {"state": "accepted"}
    assert client.get("/json").status_code == 200
    assert notes.empty()
    client.get("/open-gate")
    assert notes.get() == "async task ran"
    assert notes.get() == "sync task ran"


def test_dependencies_open_and_close_in_order(client: httpx.Client, notes: Notes) -> None:
    assert client.get("/dependency").json() == "inner of outer"
    assert [notes.get() for _ in range(5)] == [
        "outer open",
        "inner open",
        "endpoint",
        "inner closed",
        "outer closed",
    ]


def test_a_stream_comes_piece_by_piece(client: httpx.Client) -> None:
    with client.stream("GET", "/stream?count=50") as response:
        assert response.headers["transfer-encoding"] == "chunked"
        assert list(response.iter_lines()) == [f"line {number}" for number in range(50)]


@pytest.mark.parametrize(
    ("path", "closed"),
    [("/endless", "stream closed"), ("/silent-stream", "silent stream closed")],
)
@pytest.mark.parametrize("how", ["fin", "close", "rst"])
def test_a_stream_ends_when_its_client_goes(
    server: RunningServer, notes: Notes, path: str, closed: str, how: str
) -> None:
    with server.connect() as client:
        client.get(path)
        client.read_until(b"\n\r\n")
        client.leave(how)
        assert notes.get() == closed


@pytest.mark.parametrize("how", ["fin", "close", "rst"])
def test_is_disconnected(serve: Serve, notes: Notes, how: str) -> None:
    """Without BaseHTTPMiddleware around it, behind which Starlette itself never answers True."""
    app = make_app(notes, middleware=False)
    with serve(app, lifespan="on") as server, server.connect() as client:
        client.get("/watch")
        assert notes.get() == "watching"
        client.leave(how)
        assert notes.get() == "client gone"


def test_lifespan_state(client: httpx.Client) -> None:
    assert client.get("/state").json() == ["from", "lifespan"]
    assert client.get("/state").json() == ["from", "lifespan"]


def test_lifespan_ends_with_the_server(serve: Serve, notes: Notes) -> None:
    with serve(make_app(notes), lifespan="on") as server, server.connect() as client:
        assert client.ask("/json").status == 200
        assert notes.empty()
    assert notes.get() == "lifespan ended"


@pytest.mark.parametrize("path", ["/crash", "/sync-crash"])
def test_a_crash(server: RunningServer, client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    record = server.log.expect("Exception in ASGI application")
    assert record.exc_info and isinstance(record.exc_info[1], LookupError)
    assert client.get("/json").status_code == 200


def test_large_headers(client: httpx.Client) -> None:
    response = client.get("/json", headers={"cookie": "c=" + "x" * 32_000})
    assert response.status_code == 200


def test_a_thousand_requests_on_one_connection(server: RunningServer) -> None:
    with server.connect() as client:
        for number in range(1000):
            assert client.ask(f"/items/{number + 1}").status == 200
