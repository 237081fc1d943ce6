# SPDX-License-Identifier: MIT
"""Clients that leave, and servers that stop, while a WSGI application works for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, Notes

Environ = dict[str, Any]
Start = Callable[..., Any]
LEAVING = pytest.mark.parametrize("how", ["fin", "close", "rst"])


@LEAVING
def test_the_iterable_is_closed(serve_wsgi: Serve, notes: Notes, how: str) -> None:
    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield b"tick"
        finally:
            notes.put("closed")

    with serve_wsgi(app) as server, server.connect(rcvbuf=8192) as client:
        client.get()
        client.read_until(b"tick")
        client.leave(how)
        assert notes.get() == "closed"
        assert notes.empty()


@LEAVING
def test_writing_raises(serve_wsgi: Serve, notes: Notes, how: str) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        try:
            while True:
                write(b"tick")
        except OSError as exc:
            notes.put(type(exc).__name__)
            raise

    with serve_wsgi(app) as server, server.connect(rcvbuf=8192) as client:
        client.get()
        client.read_until(b"tick")
        client.leave(how)
        assert notes.get() == "ClientDisconnected"


def test_what_fails_afterwards_is_logged(serve_wsgi: Serve, notes: Notes) -> None:
    gate = threading.Event()

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        notes.put("called")
        assert gate.wait(WAIT)
        raise LookupError("nobody sees it")

    with serve_wsgi(app) as server, server.connect() as client:
        client.get()
        assert notes.get() == "called"
        client.close()
        server.settle()
        gate.set()
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info
        assert record.exc_info[0] is LookupError


def test_requests_of_who_has_gone_are_not_begun(serve_wsgi: Serve, notes: Notes) -> None:
    """With --on-disconnect cancel; otherwise they go on without their client, as always."""
    gate = threading.Event()

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        notes.put(environ["PATH_INFO"])
        assert gate.wait(WAIT)
        start_response("200 OK", [])
        return [b"hello"]

    with serve_wsgi(app, wsgi_threads=1, on_disconnect="cancel") as server:
        with server.connect() as first, server.connect() as second, server.connect() as third:
            first.get("/first")
            assert notes.get() == "/first"
            second.get("/second")
            server.settle()
            second.rst()
            server.settle()
            third.get("/third")
            gate.set()
            assert first.read_response().status == third.read_response().status == 200
        assert notes.get() == "/third"
        assert notes.empty()


def test_a_stopping_server_waits_for_its_threads(serve_wsgi: Serve, notes: Notes) -> None:
    gate = threading.Event()

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        notes.put("called")
        assert gate.wait(WAIT)
        start_response("200 OK", [])
        return [b"hello"]

    with serve_wsgi(app) as server, server.connect() as client:
        client.get()
        assert notes.get() == "called"
        server.server.should_exit = True
        server.log.expect("Waiting for connections to close.")
        gate.set()
        assert client.read_response().body == b"hello"
        assert server.join() is None


def test_but_not_for_ever(serve_wsgi: Serve, notes: Notes) -> None:
    """What a thread that was given up sends or reads goes nowhere, and ends it."""
    gate = threading.Event()

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        notes.put("called")
        assert gate.wait(WAIT)
        start_response("200 OK", [])
        try:
            yield b"hello"
        finally:
            notes.put("closed")

    with serve_wsgi(app, timeout_graceful_shutdown=0.1) as server, server.connect() as client:
        client.get()
        assert notes.get() == "called"
        server.server.should_exit = True
        assert server.join() is None
        server.log.expect("Cancel 1 running task(s), timeout graceful shutdown exceeded")
        server.log.expect("Exception in ASGI application")
        gate.set()
        assert notes.get() == "closed"


def test_a_request_that_takes_too_long(serve_wsgi: Serve, notes: Notes) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as exc:
            notes.put(type(exc).__name__)
        return []

    with serve_wsgi(app, timeout_request=0.1) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        assert client.read_response().status == 504
        assert notes.get() == "ClientDisconnected"
