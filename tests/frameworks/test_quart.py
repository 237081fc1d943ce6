# SPDX-License-Identifier: MIT
"""Quart at its current release: the shape of its tutorials, then what ends when the client goes.

Quart reads the body and waits for http.disconnect in a task of its own, beside the one that runs the
handler and sends its answer. At a disconnect it cancels that, wherever it stands.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks.quart_app import make_app
from tests.frameworks.support import (
    LEAVING,
    LEAVING_ON_EVERY_LOOP,
    ON_EVERY_LOOP,
    at_once,
    client_of,
    take,
)
from tests.support.asgi import Notes
from tests.support.server import RunningServer


@pytest.fixture
def server(serve: Serve, notes: Notes, files: Path) -> Iterator[RunningServer]:
    """The application behind a server."""
    with serve(make_app(notes, files), lifespan="on") as running:
        assert take(notes, 2) == ["started", "serving"]
        yield running
    assert take(notes, 2) == ["served", "stopped"]


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with client_of(server) as client:
        yield client


@ON_EVERY_LOOP
def test_the_blog(client: httpx.Client) -> None:
    post = {"title": "\u00bfQu\u00e9?", "text": "a & b"}
    assert "nothing yet" in client.get("/").text
    assert client.post("/create", data=post).status_code == 401
    assert client.post("/login", data={"user": "me"}).headers["location"] == "/"
    assert client.post("/create", data={"title": "no text"}).status_code == 400
    shown = client.post("/create", data=post, follow_redirects=True).text
    assert "<p>posted by me</p>" in shown
    assert "<h2>\u00bfQu\u00e9?</h2>a &amp; b" in shown
    assert "<p>" not in client.get("/").text
    client.post("/logout")
    assert client.post("/create", data=post).status_code == 401


@ON_EVERY_LOOP
def test_the_api(client: httpx.Client) -> None:
    got = client.get("/api/items/7", params={"q": ["a", "b"]}, headers={"user-agent": "me"})
    assert got.json() == {"number": 7, "q": ["a", "b"], "agent": "me"}
    assert got.headers["x-signed"] == "yes"
    added = client.post("/api/items", json={"name": "\u20ac"})
    assert (added.status_code, added.json()) == (201, {"name": "\u20ac"})
    bad = client.post("/api/items", json={"name": 1})
    assert (bad.status_code, bad.json()) == (400, {"error": "bad"})
    broken = client.post("/api/items", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 400
    assert client.get("/api/items/seven").status_code == 404
    assert client.delete("/api/items/7").status_code == 405
    assert client.get("/sync").text == "sync /sync"
    assert client.head("/sync").headers["content-length"] == "10"


def test_a_form_with_a_file(client: httpx.Client) -> None:
    data = os.urandom(2_000_000)
    answer = client.post("/api/files", data={"title": "t"}, files={"file": ("name", data)})
    expected = {"title": "t", "name": "name", "sha256": hashlib.sha256(data).hexdigest()}
    assert answer.json() == expected


def test_files(client: httpx.Client, files: Path) -> None:
    data = (files / "large.bin").read_bytes()
    assert client.get("/file").content == data
    part = client.get("/file", headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    small = client.get("/static/small.txt")
    assert small.text == "small"
    again = client.get("/static/small.txt", headers={"if-none-match": small.headers["etag"]})
    assert again.status_code == 304


def test_streams_that_end(client: httpx.Client) -> None:
    numbers = client.get("/numbers")
    assert numbers.headers["transfer-encoding"] == "chunked"
    assert numbers.text.split() == [str(number) for number in range(200)]
    assert client.get("/context").text == "from /context, still /context"


def test_a_background_task(client: httpx.Client, notes: Notes) -> None:
    assert client.get("/background").status_code == 202
    assert notes.empty()
    assert client.get("/open-gate").text == "open"
    assert notes.get() == "background done"


def test_a_failing_handler(client: httpx.Client) -> None:
    """Quart answers and logs it itself; the server hears of nothing."""
    assert client.get("/fail").status_code == 500
    assert client.get("/sync").status_code == 200


def test_many_at_once(server: RunningServer) -> None:
    """Without files: a client that has the last byte of one goes, and Quart is cancelled while it closes the file,
    which it then does not."""
    paths = ["/", "/api/items/7", "/numbers", "/context", "/sync"] * 6
    assert {answer.status_code for answer in at_once(server, paths)} == {200}


@LEAVING_ON_EVERY_LOOP
def test_events_are_cancelled_when_their_client_goes(
    server: RunningServer, notes: Notes, how: str
) -> None:
    with server.connect() as client:
        client.get("/events")
        client.read_until(b"data: 1\n\n")
        server.settle()
        assert notes.empty()
        client.leave(how)
        assert take(notes, 2) == ["cancelled", "closed"]


@LEAVING
def test_a_stream_that_waits_for_its_client_is_closed(
    server: RunningServer, notes: Notes, how: str
) -> None:
    """The client reads nothing: the generator stands in its `yield`, and Quart closes it there."""
    with server.connect(rcvbuf=8192) as client:
        client.get("/flood")
        client.read_until(b"\r\n\r\n")
        assert notes.empty()
        client.leave(how)
        assert notes.get() == "closed"


@LEAVING_ON_EVERY_LOOP
def test_a_handler_is_cancelled_when_its_client_goes(
    server: RunningServer, notes: Notes, how: str
) -> None:
    with server.connect() as client:
        client.get("/wait")
        assert notes.get() == "waits"
        client.leave(how)
        assert notes.get() == "cancelled"


@LEAVING_ON_EVERY_LOOP
@pytest.mark.parametrize("path", ["/api/upload", "/api/whole"])
def test_an_upload_that_breaks_off(
    server: RunningServer, notes: Notes, path: str, how: str
) -> None:
    with server.connect() as client:
        client.send(b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\none" % path.encode())
        assert notes.get() == (b"one" if path == "/api/upload" else "asks")
        client.leave(how)
        assert notes.get() == "cancelled"
    with server.connect() as other:
        other.assert_open("/sync")


def test_an_upload_is_read_as_it_comes(server: RunningServer, notes: Notes) -> None:
    with server.connect() as client:
        client.send(b"POST /api/upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"three"):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
            assert notes.get() == part
        client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"8\n"
