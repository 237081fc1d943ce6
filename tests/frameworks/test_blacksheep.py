# SPDX-License-Identifier: MIT
"""BlackSheep at its current release: the shape of its tutorials, then what notices that the client goes.

BlackSheep cancels nothing, and does not look: a handler, `StreamedContent` and events go on to their end. The
application can ask: `Request.is_disconnected()`; and a body that breaks off raises `MessageAborted`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks.blacksheep_app import make_app
from tests.frameworks.support import (
    LEAVING,
    LEAVING_ON_EVERY_LOOP,
    ON_EVERY_LOOP,
    at_once,
    client_of,
    on_loop,
    take,
)
from tests.support.asgi import Notes
from tests.support.server import RunningServer


@pytest.fixture
def steps() -> asyncio.Semaphore:
    """The steps that the application may take."""
    return asyncio.Semaphore(0)


@pytest.fixture
def server(
    serve: Serve, notes: Notes, steps: asyncio.Semaphore, files: Path
) -> Iterator[RunningServer]:
    """The application behind a server."""
    with serve(make_app(notes, steps, files), lifespan="on") as running:
        assert take(notes, 2) == ["started", "routes are ready"]
        yield running
    assert notes.get() == "stopped"


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with client_of(server) as client:
        yield client


@ON_EVERY_LOOP
def test_the_tutorial(client: httpx.Client) -> None:
    added = client.post("/cats", json={"name": "\u00d6zg\u00fcr", "age": 3})
    assert (added.status_code, added.headers["location"]) == (201, "/cats/1")
    assert added.headers["x-signed"] == "POST"
    assert client.get("/cats/1").json() == {"name": "\u00d6zg\u00fcr", "age": 3}
    asked: Any = {"params": {"oldest": "9"}, "headers": {"x-visitor": "me"}}
    listed = client.get("/cats", **asked).json()
    assert (listed["visitor"], len(listed["cats"])) == ("me", 1)
    assert client.get("/cats", params={"oldest": "x"}).status_code == 400
    assert client.get("/cats", params={"oldest": "9"}).status_code == 400
    assert client.post("/cats", json={"name": "no age"}).status_code == 400
    assert client.post("/cats", content=b"{").status_code == 400
    assert client.get("/cats/2").status_code == 404
    assert client.get("/cats/two").status_code == 404
    assert client.delete("/cats/1").status_code == 204
    assert client.get("/cats/1").status_code == 404
    assert client.get("/old-cats").headers["location"] == "/cats"


def test_errors(client: httpx.Client) -> None:
    trouble = client.get("/trouble")
    assert (trouble.status_code, trouble.text) == (418, "as asked for")
    assert client.get("/fail").status_code == 500
    asked = {"origin": "https://example.org", "access-control-request-method": "POST"}
    allowed = client.options("/cats", headers=asked)
    assert allowed.headers["access-control-allow-origin"] == "https://example.org"


def test_sessions(client: httpx.Client) -> None:
    assert [client.get("/visits").json() for _ in range(3)] == [1, 2, 3]


def test_forms(client: httpx.Client) -> None:
    cat = client.post("/cat-form", data={"name": "a & b", "age": "3"})
    assert cat.text == "a & b"
    data = os.urandom(2_000_000)
    answer = client.post("/form", data={"title": "t"}, files={"file": ("a name", data)})
    title, file = hashlib.sha256(b"t").hexdigest(), hashlib.sha256(data).hexdigest()
    assert answer.json() == {"title": [None, title], "file": ["a name", file]}


def test_files(client: httpx.Client, files: Path) -> None:
    data = (files / "large.bin").read_bytes()
    assert client.get("/static/large.bin").content == data
    part = client.get("/static/large.bin", headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    small = client.get("/static/small.txt")
    again = client.get("/static/small.txt", headers={"if-none-match": small.headers["etag"]})
    assert (small.text, again.status_code) == ("small", 304)
    assert client.get("/static/nothing.txt").status_code == 404


def test_many_at_once(server: RunningServer) -> None:
    paths = ["/cats/1", "/visits", "/trouble", "/static/small.txt", "/static/large.bin"] * 6
    assert {answer.status_code for answer in at_once(server, paths)} == {200, 404, 418}


@pytest.mark.parametrize("path", ["/stream", "/events"])
def test_a_piece_arrives_before_the_next_is_made(
    server: RunningServer, notes: Notes, steps: asyncio.Semaphore, path: str
) -> None:
    """The fields that BlackSheep gives for framing are the server's: they stand there once."""
    with server.connect() as client:
        client.get(path)
        for number in range(4):
            on_loop(server, steps.release)
            assert notes.get() == f"makes {number}"
            if number == 0:
                head = client.read_head()
                assert head.chunked
                assert head.all(b"connection") in ([], [b"Keep-Alive"])
            client.read_until(b"piece %d\n" % number if path == "/stream" else b"\n\n\r\n")
            assert notes.empty() or number == 3
        client.read_until(b"0\r\n\r\n")
        assert notes.get() == "closed"
        client.assert_open("/visits")


@LEAVING_ON_EVERY_LOOP
@pytest.mark.parametrize("path", ["/stream", "/events"])
def test_a_stream_never_notices(
    server: RunningServer, notes: Notes, steps: asyncio.Semaphore, path: str, how: str
) -> None:
    """What is asked for is made to the end, for nobody."""
    with server.connect() as client:
        client.get(path)
        on_loop(server, steps.release)
        assert notes.get() == "makes 0"
        client.read_until(b"\n\r\n")
        client.leave(how)
        server.settle()
        for number in range(1, 4):
            assert notes.empty()
            on_loop(server, steps.release)
            assert notes.get() == f"makes {number}"
        assert notes.get() == "closed"


@LEAVING_ON_EVERY_LOOP
def test_a_stream_that_asks_is_told(
    server: RunningServer, notes: Notes, steps: asyncio.Semaphore, how: str
) -> None:
    with server.connect() as client:
        client.get("/watched-events")
        on_loop(server, steps.release)
        assert notes.get() == "makes 0"
        client.read_until(b"\n\n\r\n")
        client.leave(how)
        server.settle()
        assert notes.empty()
        on_loop(server, steps.release)
        assert take(notes, 3) == ["makes 1", "gone", "closed"]


@LEAVING
def test_a_handler_works_to_its_end(
    server: RunningServer, notes: Notes, steps: asyncio.Semaphore, how: str
) -> None:
    with server.connect() as client:
        client.get("/wait")
        assert notes.get() == "waits"
        client.leave(how)
        server.settle()
        assert notes.empty()
        on_loop(server, steps.release)
        assert notes.get() == "worked"


@LEAVING_ON_EVERY_LOOP
def test_an_upload_that_breaks_off(server: RunningServer, notes: Notes, how: str) -> None:
    with server.connect() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\none")
        assert notes.get() == b"one"
        client.leave(how)
        assert notes.get() == "aborted"
    with server.connect() as other:
        other.assert_open("/visits")


def test_an_upload_is_read_as_it_comes(server: RunningServer, notes: Notes) -> None:
    with server.connect() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"three"):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
            assert notes.get() == part
        client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"8"
