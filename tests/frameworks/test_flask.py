# SPDX-License-Identifier: MIT
"""Flask, a WSGI framework, in the threads of the server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks.flask_app import make_app
from tests.frameworks.support import LEAVING, ON_EVERY_LOOP, at_once, client_of
from tests.support.asgi import Notes
from tests.support.server import RunningServer


@pytest.fixture
def server(serve: Serve, notes: Notes, files: Path) -> Iterator[RunningServer]:
    """The application behind a server, as `--interface wsgi` has it served."""
    with serve(make_app(notes, files), interface="wsgi", lifespan="on") as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with client_of(server) as client:
        yield client


@ON_EVERY_LOOP
def test_the_quickstart(client: httpx.Client, server: RunningServer) -> None:
    assert client.get("/", params={"name": "caf\u00e9"}).json() == {"hello": "caf\u00e9"}
    there = client.get("/a%20b/\u5c0f/there?x=1")
    assert there.json()["path"] == "a b/\u5c0f"
    assert there.json()["url"] == f"{server.url}/a%20b/\u5c0f/there?x=1"
    assert client.get("/name").text == "<p>nobody</p>"
    assert client.post("/form", data={"name": "Ada"}).headers["location"] == "/name"
    assert client.get("/name").text == "<p>Ada</p>"
    missing = client.get("/missing")
    assert (missing.status_code, "not found" in missing.json()["error"]) == (404, True)
    assert client.delete("/").status_code == 405
    assert client.head("/").headers["content-length"] == str(len(client.get("/").content))
    assert "GET" in client.options("/").headers["allow"]


def test_under_a_root_path(serve: Serve, notes: Notes, files: Path) -> None:
    app = make_app(notes, files)
    with serve(app, interface="wsgi", root_path="/api") as server, client_of(server) as client:
        assert client.get("/x/there").json() == {
            "path": "x",
            "url": f"{server.url}/api/x/there",
            "root": "/api",
        }
        assert client.post("/form", data={"name": "x"}).headers["location"] == "/api/name"


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_bodies(client: httpx.Client, size: int) -> None:
    data = os.urandom(size)
    digest = hashlib.sha256(data).hexdigest()
    uploaded = client.post("/upload", files={"file": ("name", data)}).json()
    assert uploaded == {"name": "name", "sha256": digest}
    assert client.put("/stream-in", content=data).json()["sha256"] == digest
    chunks = (data[at : at + 100_000] for at in range(0, size, 100_000))
    assert client.put("/stream-in", content=chunks).json()["sha256"] == digest


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # Werkzeug, for HEAD and 304
def test_streams_and_files(client: httpx.Client, notes: Notes, files: Path) -> None:
    stream = client.get("/stream-out")
    assert stream.text == "0\n1\n2\n3\n4\n"
    assert {notes.get(), notes.get()} == {"stream closed", "torn down: /stream-out"}
    large = client.get("/file/large.bin")
    assert large.content == (files / "large.bin").read_bytes()
    assert large.headers["content-length"] == str(1 << 20)
    part = client.get("/file/large.bin", headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, large.content[1000:2000])
    same = client.get("/file/small.txt")
    again = client.get("/file/small.txt", headers={"if-none-match": same.headers["etag"]})
    assert (same.text, again.status_code) == ("small", 304)
    assert client.head("/file/large.bin").headers["content-length"] == str(1 << 20)


def test_a_failing_view(client: httpx.Client, server: RunningServer) -> None:
    """Flask logs it and answers itself."""
    assert client.get("/fail").status_code == 500
    assert client.get("/").status_code == 200
    assert not server.log.unexpected()


def test_many_at_once(server: RunningServer) -> None:
    paths = ["/", "/name", "/stream-out", "/file/small.txt"] * 8
    assert {answer.status_code for answer in at_once(server, paths)} == {200}


@LEAVING
def test_a_stream_is_closed_when_its_client_goes(
    server: RunningServer, notes: Notes, how: str
) -> None:
    with server.connect(rcvbuf=8192) as client:
        client.get("/stream-out?count=1000000000")
        client.read_until(b"1\n\r\n")
        assert notes.get() == "torn down: /stream-out"  # the view's; the stream has its own
        client.leave(how)
        assert notes.get() == "stream closed"


@LEAVING
def test_an_upload_that_breaks_off(
    server: RunningServer, client: httpx.Client, notes: Notes, how: str
) -> None:
    """Werkzeug makes a 400 of it, which nobody gets; nothing is logged."""
    with server.connect() as leaving:
        leaving.send(b"PUT /stream-in HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345")
        server.settle()
        leaving.leave(how)
        assert notes.get() == "torn down: /stream-in"
    assert client.get("/").status_code == 200
