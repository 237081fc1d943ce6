# SPDX-License-Identifier: MIT
"""Litestar at its current release: the shape of its tutorial, then what ends when the client goes.

`Stream` and `ServerSentEvent` wait for http.disconnect beside what they send, and are cancelled. A
handler is not told: it works to its end, unless it asks `request.stream()` for a body.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks.litestar_app import make_app
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

pytestmark = pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount"),
    reason="multidict's C extension, which Litestar uses, crashes in a debug interpreter",
)


@pytest.fixture
def server(serve: Serve, notes: Notes, files: Path) -> Iterator[RunningServer]:
    """The application behind a server."""
    with serve(make_app(notes, files), lifespan="on") as running:
        assert notes.get() == "started"
        yield running
    assert notes.get() == "stopped"


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with client_of(server) as client:
        yield client


@ON_EVERY_LOOP
def test_the_tutorial(client: httpx.Client) -> None:
    first = {"title": "serve", "done": False}
    assert client.post("/todos", json=first).json() == {"number": 1}
    assert client.post("/todos", json={"title": "stop", "done": True}).status_code == 201
    assert client.get("/todos/1").json() == first
    assert list(client.get("/todos", params={"done": "true"}).json()) == ["2"]
    assert client.put("/todos/1", json=first | {"done": True}).json()["done"] is True
    assert client.delete("/todos/2").status_code == 204
    assert client.get("/todos").json() == {"1": first | {"done": True}}
    assert client.get("/todos/2").json()["detail"] == "there is no item 2"
    assert client.get("/todos/0").status_code == 400
    assert client.post("/todos", json={"done": "maybe"}).status_code == 400
    assert client.post("/todos", content=b"{").status_code == 400
    assert client.patch("/todos").status_code == 405
    assert client.get("/nowhere").status_code == 404
    assert client.get("/redirect").headers["location"] == "/todos"


def test_hooks_and_errors(client: httpx.Client, notes: Notes) -> None:
    signed = client.get("/todos", headers={"x-visitor": "me"})
    assert signed.headers["x-signed"] == "yes"
    assert notes.get() == "before /todos"
    trouble = client.get("/trouble")
    assert (trouble.status_code, trouble.json()) == (418, {"trouble": "as asked for"})
    assert client.get("/fail").json() == {"status_code": 500, "detail": "Internal Server Error"}


def test_sessions_and_cookies(client: httpx.Client) -> None:
    assert [client.get("/visits").json() for _ in range(3)] == [1, 2, 3]


def test_a_form_with_a_file(client: httpx.Client) -> None:
    data = os.urandom(2_000_000)
    answer = client.post("/form", data={"title": "t"}, files={"file": ("name", data)})
    expected = {"title": "t", "name": "name", "sha256": hashlib.sha256(data).hexdigest()}
    assert answer.json() == expected


def test_a_background_task(client: httpx.Client, notes: Notes) -> None:
    answer = client.get("/background")
    assert (answer.text, answer.cookies["a"]) == ("answered", "b")
    assert notes.empty()
    assert client.get("/open-gate").text == "open"
    assert notes.get() == "background done"


def test_files(client: httpx.Client, files: Path) -> None:
    data = (files / "large.bin").read_bytes()
    sent = client.get("/file")
    assert sent.content == data
    assert sent.headers["content-length"] == str(len(data))
    assert client.get("/static/small.txt").text == "small"
    assert client.get("/static/nothing").status_code == 404


def test_a_stream_from_a_plain_generator(client: httpx.Client) -> None:
    answer = client.get("/numbers")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.text.split() == [str(number) for number in range(200)]


def test_many_at_once(server: RunningServer) -> None:
    paths = ["/todos", "/visits", "/numbers", "/file", "/static/small.txt"] * 6
    assert {answer.status_code for answer in at_once(server, paths)} == {200}


@LEAVING_ON_EVERY_LOOP
@pytest.mark.parametrize("path", ["/stream", "/events"])
def test_a_stream_is_cancelled_when_its_client_goes(
    server: RunningServer, notes: Notes, path: str, how: str
) -> None:
    """The background task of the answer runs all the same."""
    with server.connect() as client:
        client.get(path)
        client.read_until(b"piece 1")
        server.settle()
        assert notes.empty()
        client.leave(how)
        assert take(notes, 2) == ["cancelled", "closed"]
        if path == "/stream":
            assert notes.get() == "background"


@LEAVING
def test_a_handler_works_to_its_end(
    server: RunningServer, client: httpx.Client, notes: Notes, how: str
) -> None:
    with server.connect() as leaving:
        leaving.get("/wait")
        assert notes.get() == "waits"
        leaving.leave(how)
        server.settle()
    assert notes.empty()
    assert client.get("/open-gate").text == "open"
    assert notes.get() == "worked"


@LEAVING_ON_EVERY_LOOP
def test_an_upload_that_breaks_off(server: RunningServer, notes: Notes, how: str) -> None:
    with server.connect() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\none")
        assert notes.get() == b"one"
        client.leave(how)
        assert notes.get() == "client disconnected prematurely"
    with server.connect() as other:
        other.assert_open("/todos")


def test_an_upload_is_read_as_it_comes(server: RunningServer, notes: Notes) -> None:
    with server.connect() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"three"):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
            assert notes.get() == part
        client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"8"
