# SPDX-License-Identifier: MIT
"""`wsgi.input`: a request's body, as far as the application reads it, when it reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes

Environ = dict[str, Any]
Start = Callable[..., Any]
Reader = Callable[[Any], bytes]
LINES = b"one\ntwo\n\nfour"
HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"


def by_read(body: Any) -> bytes:
    """All at once."""
    return body.read()  # type: ignore[no-any-return]


def by_pieces(body: Any) -> bytes:
    """In pieces of odd sizes, to the end."""
    pieces = []
    while piece := body.read(7 + len(pieces) * 1000):
        pieces.append(piece)
    return b"".join(pieces)


def by_minus_one(body: Any) -> bytes:
    """The other way to say: all."""
    return body.read(3) + body.read(-1)  # type: ignore[no-any-return]


def by_lines(body: Any) -> bytes:
    """By iteration."""
    return b"".join(body)


def by_readline(body: Any) -> bytes:
    """Line by line, with a limit now and then."""
    pieces = []
    while piece := body.readline(*[2][: len(pieces) % 2]):
        pieces.append(piece)
    return b"".join(pieces)


def by_readlines(body: Any) -> bytes:
    """As a list."""
    return b"".join(body.readlines(3)) + b"".join(body.readlines())


READERS = [by_read, by_pieces, by_minus_one, by_lines, by_readline, by_readlines]


def echo(reader: Reader) -> Any:
    """Return an application that answers with what `reader` reads, and reads on at the end."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        data = reader(environ["wsgi.input"])
        assert environ["wsgi.input"].read() == b""
        assert environ["wsgi.input"].readline() == b""
        start_response("200 OK", [("X-Length", environ.get("CONTENT_LENGTH", "none"))])
        return [data]

    return app


@pytest.mark.parametrize("reader", READERS)
def test_every_way_to_read(serve_wsgi: Serve, reader: Reader) -> None:
    large = b"".join(b"line %d\n" % number for number in range(60_000))
    with serve_wsgi(echo(reader)) as server, server.connect() as client:
        for body in (b"", b"x", LINES, large):
            client.request("POST", "/", body=body)
            answer = client.read_response()
            assert answer.body == body
            assert answer.get(b"x-length") == b"%d" % len(body)
        client.get()
        answer = client.read_response()
        assert (answer.body, answer.get(b"x-length")) == (b"", b"none")
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"one\n", b"two"))
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        answer = client.read_response()
        assert (answer.body, answer.get(b"x-length")) == (b"one\ntwo", b"none")


def test_a_body_in_pieces(serve_wsgi: Serve, notes: Notes) -> None:
    """What is there can be read while the rest is still to come, and answered too."""

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        body = environ["wsgi.input"]
        start_response("200 OK", [])
        for _ in range(3):
            yield b"<%s>" % body.read(3)
        yield body.read()

    with serve_wsgi(app) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 11\r\n\r\n")
        client.send(b"one")
        client.read_until(b"<one>\r\n")
        client.send(b"two")
        client.read_until(b"<two>\r\n")
        client.send(b"six.")
        client.read_until(b"<six>\r\n")
        client.send(b".")
        assert client.read_until(b"\r\n0\r\n\r\n") == b"2\r\n..\r\n0\r\n\r\n"
        client.send(HEAD + b"Content-Length: 11\r\n\r\n")
        client.send(b"onetwosix..")
        assert client.read_response().body == b"<one><two><six>.."


def test_an_answer_before_the_body(serve_wsgi: Serve) -> None:
    """A client may wait for the beginning of the answer before it sends anything."""

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"send it"
        yield environ["wsgi.input"].read()

    with serve_wsgi(app) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\n")
        client.read_until(b"send it\r\n")
        client.send(b"hello")
        client.read_until(b"5\r\nhello\r\n0\r\n\r\n")


def test_nothing_is_read_that_nobody_asks_for(serve_wsgi: Serve, notes: Notes) -> None:
    """A large upload waits in the kernel and with the client."""
    size = 64 << 20

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        notes.put("called")
        gate.get()
        digest = hashlib.sha256()
        while piece := environ["wsgi.input"].read(1 << 16):
            digest.update(piece)
        start_response("200 OK", [])
        return [digest.digest()]

    gate = Notes()
    with serve_wsgi(app) as server, server.connect(sndbuf=65536) as client:
        client.send(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        assert notes.get() == "called"
        piece = b"x" * 65536
        sent = client.send_until_stuck(piece, size)
        assert sent < size / 2
        gate.put("go on")
        client.send(b"x" * (size - sent))
        assert client.read_response().body == hashlib.sha256(b"x" * size).digest()


def test_an_upload_that_is_not_read(serve_wsgi: Serve) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("403 Forbidden", [])
        return [b"no"]

    with serve_wsgi(app) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\n")
        answer = client.read_response()
        assert (answer.status, answer.body) == (403, b"no")
        client.send(b"hello")
        client.get()
        assert client.read_response().status == 403


@pytest.mark.parametrize("reads", [True, False])
def test_continue_is_said_when_the_body_is_asked_for(serve_wsgi: Serve, reads: bool) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        data = environ["wsgi.input"].read() if reads else b"unread"
        start_response("200 OK", [])
        return [data]

    with serve_wsgi(app) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        if reads:
            assert client.read_head().status == 100
            client.send(b"hello")
            assert client.read_response().body == b"hello"
        else:
            assert client.read_response().body == b"unread"


@pytest.mark.parametrize("how", ["fin", "close", "rst"])
def test_reading_raises_when_the_client_has_gone(serve_wsgi: Serve, notes: Notes, how: str) -> None:
    """An OSError, as frameworks expect it; where nobody handles it, nothing is logged."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        notes.put(body.read(3))
        for _ in range(2):
            try:
                body.read()
            except OSError as exc:
                notes.put(type(exc).__name__)
        body.read()
        raise AssertionError

    with serve_wsgi(app) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 11\r\n\r\none")
        assert notes.get() == b"one"
        client.leave(how)
        assert notes.get() == "ClientDisconnected"
        assert notes.get() == "ClientDisconnected"


def test_the_body_of_http_1_0(serve_wsgi: Serve) -> None:
    with serve_wsgi(echo(by_read)) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
        assert client.read_response().body == b"hello"
