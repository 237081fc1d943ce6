# SPDX-License-Identifier: MIT
"""Falcon at its current release: the shape of its tutorials, then what notices that the client goes.

Falcon watches for http.disconnect beside `resp.sse` only, and looks at that behind each event it has sent.
It cancels nothing: `resp.stream` and handlers go on to their end, and a body that breaks off ends like one
that is complete.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks.falcon_app import make_app
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
        assert notes.get() == "started"
        yield running
    assert notes.get() == "stopped"


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with client_of(server) as client:
        yield client


@ON_EVERY_LOOP
def test_the_tutorial(client: httpx.Client, notes: Notes) -> None:
    added = client.post("/items", json={"name": "\u20ac"}, headers={"x-visitor": "somebody"})
    assert (added.status_code, added.headers["location"]) == (201, "/items/1")
    assert added.headers["x-signed"] == "yes"
    assert notes.get() == "somebody asks Items"
    assert client.get("/items/1").json() == {"name": "\u20ac"}
    assert client.get("/items", params={"least": "1"}).json() == [1]
    assert client.get("/items", params={"least": "2"}).json() == []
    assert client.get("/items", params={"least": "x"}).status_code == 400
    assert client.post("/items", json={"name": 1}).json()["title"] == "no name"
    assert client.post("/items", content=b"{").status_code == 400
    missing = client.get("/items/2")
    assert (missing.status_code, missing.json()["title"]) == (404, "no such item")
    assert missing.headers["x-succeeded"] == "False"
    assert client.get("/items/0").status_code == 404
    assert client.delete("/items/1").status_code == 204
    assert client.get("/items").json() == []
    assert client.put("/items").status_code == 405
    assert client.head("/background").status_code == 405
    options = client.options("/items")
    assert (options.status_code, options.headers["allow"]) == (200, "GET, POST")


def test_errors(client: httpx.Client) -> None:
    trouble = client.get("/errors/trouble")
    assert (trouble.status_code, trouble.json()) == (418, {"trouble": "as asked for"})
    assert client.get("/errors/redirect").headers["location"] == "/items"
    assert client.get("/errors/other").status_code == 500
    origin = {"origin": "https://example.org"}
    assert client.get("/items", headers=origin).headers["access-control-allow-origin"] == "*"


def test_cookies(client: httpx.Client) -> None:
    assert [client.get("/visits").json() for _ in range(3)] == [1, 2, 3]


def test_a_form_with_a_file(client: httpx.Client) -> None:
    data = os.urandom(2_000_000)
    answer = client.post("/form", data={"title": "t"}, files={"file": ("a name", data)})
    expected = {"title": "t", "file": ["a_name", hashlib.sha256(data).hexdigest()]}
    assert answer.json() == expected


def test_files(client: httpx.Client, files: Path) -> None:
    data = (files / "large.bin").read_bytes()
    sent = client.get("/file")
    assert sent.content == data
    assert sent.headers["content-length"] == str(len(data))
    assert client.get("/static/large.bin").content == data
    part = client.get("/static/large.bin", headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    assert client.get("/static/nothing").status_code == 404


def test_work_behind_the_answer(
    server: RunningServer, client: httpx.Client, notes: Notes, steps: asyncio.Semaphore
) -> None:
    assert client.get("/background").text == "answered"
    assert client.get("/items").json() == []
    assert notes.empty()
    on_loop(server, steps.release)
    assert notes.get() == "background done"


def test_many_at_once(server: RunningServer) -> None:
    paths = ["/items", "/visits", "/file", "/static/small.txt", "/static/large.bin"] * 6
    assert {answer.status_code for answer in at_once(server, paths)} == {200}


@pytest.mark.parametrize("path", ["/stream", "/events"])
def test_a_piece_arrives_before_the_next_is_made(
    server: RunningServer, notes: Notes, steps: asyncio.Semaphore, path: str
) -> None:
    with server.connect() as client:
        client.get(path)
        for number in range(4):
            on_loop(server, steps.release)
            assert notes.get() == f"makes {number}"
            client.read_until(b"piece %d\n" % number if path == "/stream" else b"\n\n\r\n")
            assert notes.empty() or number == 3
        client.read_until(b"0\r\n\r\n")
        assert notes.get() == "closed"
        client.assert_open("/items")


@LEAVING_ON_EVERY_LOOP
def test_events_end_behind_the_next_one(
    server: RunningServer, notes: Notes, steps: asyncio.Semaphore, how: str
) -> None:
    """Nothing is cancelled: what waits for an event waits on, until it has one for nobody."""
    with server.connect() as client:
        client.get("/events")
        on_loop(server, steps.release)
        assert notes.get() == "makes 0"
        client.read_until(b"\n\n\r\n")
        client.leave(how)
        server.settle()
        assert notes.empty()
        on_loop(server, steps.release)
        assert take(notes, 2) == ["makes 1", "closed"]


@LEAVING_ON_EVERY_LOOP
def test_a_stream_never_notices(
    server: RunningServer, notes: Notes, steps: asyncio.Semaphore, how: str
) -> None:
    """Falcon does not look, so what it asks for is made to the end, for nobody."""
    with server.connect() as client:
        client.get("/stream")
        on_loop(server, steps.release)
        assert notes.get() == "makes 0"
        client.read_until(b"piece 0\n")
        client.leave(how)
        server.settle()
        for number in range(1, 4):
            assert notes.empty()
            on_loop(server, steps.release)
            assert notes.get() == f"makes {number}"
        assert notes.get() == "closed"


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
def test_an_upload_that_breaks_off_looks_complete(
    server: RunningServer, notes: Notes, how: str
) -> None:
    """Only the declared length tells."""
    with server.connect() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\none")
        assert notes.get() == b"one"
        client.leave(how)
        assert notes.get() == ("read", 3, 9)
    with server.connect() as other:
        other.assert_open("/items")


def test_an_upload_is_read_as_it_comes(server: RunningServer, notes: Notes) -> None:
    with server.connect() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"three"):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
            assert notes.get() == part
        client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"8"
        assert notes.get() == ("read", 8, None)
