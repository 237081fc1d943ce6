# SPDX-License-Identifier: MIT
"""Limits and timeouts: what they refuse or cut, the log line that names each, and its counter."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, App, Notes, Receive, Scope, Send, hello, read_body, respond
from tests.support.raw import RawClient, Response
from tests.support.server import RunningServer

UPLOAD = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
DISCONNECT = {"type": "http.disconnect"}
MIB = 1 << 20


def limited(server: RunningServer) -> dict[str, int]:
    """Return the counters that are not 0."""
    return {name: count for name, count in server.server.server_state.limited.items() if count}


def wait_for_no_connection(server: RunningServer) -> None:
    """Return when the server has closed every connection."""
    end = time.monotonic() + WAIT
    while len(server.server.server_state.connections):
        assert time.monotonic() < end, "a connection stays open"


def assert_refused(client: RawClient, status: int) -> None:
    """The answer has this status, says that the connection closes, and it does."""
    response = client.read_response()
    assert response.status == status
    assert response.get(b"connection") == b"close"
    client.assert_closed()


async def patient(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer when the whole body is there, or not at all."""
    while (message := await receive())["type"] == "http.request":
        if not message["more_body"]:
            await respond(send)


def collector(notes: Notes, begin: bool = False) -> App:
    """An application that reports its messages to the end; with `begin` it begins to answer first."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begin:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        while True:
            message = await receive()
            notes.put(message)
            if message["type"] == "http.disconnect":
                return

    return app


# ---- the head ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "limit", "good", "bad", "status", "rule"),
    [
        (
            "limit_request_line",
            24,
            b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 10),
            b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 11),
            414,
            "request line longer than --limit-request-line",
        ),
        (
            "limit_request_head",
            60,
            b"GET / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n" % (b"a" * 28),
            b"GET / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n" % (b"a" * 29),
            431,
            "head larger than --limit-request-head",
        ),
        (
            "limit_request_fields",
            3,
            b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
            431,
            "more fields than --limit-request-fields",
        ),
    ],
)
def test_heads_beyond_a_limit(
    serve: Serve, option: str, limit: int, good: bytes, bad: bytes, status: int, rule: str
) -> None:
    with serve(hello, **{option: limit}) as server:
        with server.connect() as client:
            client.send(good)
            assert client.read_response().status == 200
            assert limited(server) == {}
            client.send(bad)
            assert_refused(client, status)
        server.log.expect(f"Invalid HTTP request received. ({rule})")
        assert limited(server) == {option: 1}


def test_a_head_has_its_time(serve: Serve) -> None:
    server = serve(hello, timeout_head=0.1)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\n")  # is there before the server is
    with server, client:
        assert_refused(client, 408)
        server.log.expect(
            "Invalid HTTP request received. (head not complete within --timeout-head)"
        )
        assert limited(server) == {"timeout_head": 1}


def test_silence_is_counted_but_not_logged(serve: Serve) -> None:
    """Neither before the first request nor between two is anything lost."""
    server = serve(hello, timeout_head=0.1, timeout_keep_alive=0.2)
    kept = server.connect()
    kept.get()  # is there before the server is
    with server:
        with kept:
            assert kept.read_response().status == 200
            kept.assert_closed()
        with server.connect() as client:
            client.assert_closed()
        assert limited(server) == {"timeout_head": 1, "timeout_keep_alive": 1}
    assert not [line for line in server.log.lines() if "timeout" in line]


@pytest.mark.parametrize("how", ["blocks", "awaits"])
def test_silence_counts_from_the_answer(serve: Serve, notes: Notes, how: str) -> None:
    """However long the application took to give it, and whether or not it held up the loop."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if how == "blocks":
            time.sleep(0.6)
        else:
            await asyncio.sleep(0.6)
        notes.put(time.monotonic())
        await respond(send)

    with serve(slow, timeout_keep_alive=0.5) as server, server.connect() as client:
        client.assert_open()
        client.assert_closed()
        assert time.monotonic() - notes.get() > 0.49


def test_the_counters_outlive_the_server(serve: Serve) -> None:
    with serve(hello, timeout_head=0.1) as server, server.connect() as client:
        assert limited(server) == {}
        client.assert_closed()
    assert limited(server) == {"timeout_head": 1}


# ---- the body ---------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [UPLOAD % 10, CHUNKED])
def test_a_body_may_not_pause_too_long(serve: Serve, notes: Notes, head: bytes) -> None:
    with serve(collector(notes), timeout_body=0.1) as server, server.connect() as client:
        client.send(head)
        assert_refused(client, 408)
        assert notes.get() == DISCONNECT
        server.log.expect(
            "Invalid HTTP request received. (nothing of a body came within --timeout-body)"
        )
        assert limited(server) == {"timeout_body": 1}


def test_a_pause_behind_the_start_of_the_answer_cuts_it(serve: Serve, notes: Notes) -> None:
    with serve(collector(notes, begin=True), timeout_body=0.1) as server:
        with server.connect() as client:
            client.send(CHUNKED)
            assert client.read_head().status == 200
            assert client.read_to_end() == b"4\r\npart\r\n"
            assert notes.get() == DISCONNECT
        server.log.expect("--timeout-body")


@pytest.mark.parametrize("begun", [False, True])
def test_a_body_that_was_let_come_has_its_time(serve: Serve, notes: Notes, begun: bool) -> None:
    """Also where the application began its answer before it asked for the body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if begun:
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        notes.put(await receive())

    with serve(app, timeout_body=0.1) as server, server.connect() as client:
        client.send((UPLOAD % 10)[:-2] + b"Expect: 100-continue\r\n\r\n")
        if begun:
            assert client.read_head().get(b"connection") == b"close"
            assert client.read_to_end() == b"4\r\npart\r\n"
        else:
            assert client.read_head().status == 100
            assert_refused(client, 408)
        assert notes.get() == DISCONNECT
        server.log.expect("--timeout-body")


def test_a_body_may_be_slow(serve: Serve) -> None:
    """The time bounds a pause, not the body."""
    with serve(patient, timeout_body=1) as server, server.connect() as client:
        client.assert_open()
        began = time.monotonic()
        client.send(UPLOAD % 100_000)
        sent = 0
        while time.monotonic() - began < 2.0:
            client.send(b"x")
            sent += 1
            server.settle()
        client.send(b"x" * (100_000 - sent))
        assert client.read_response().status == 200
        assert limited(server) == {}


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_a_body_that_says_it_is_too_large_is_refused_unread(serve: Serve, expect: bytes) -> None:
    """The application never hears of it."""
    with serve(patient, limit_request_body=10) as server:
        with server.connect() as client:
            client.send(UPLOAD % 10 + b"x" * 10)
            assert client.read_response().status == 200
            client.send((UPLOAD % 11)[:-2] + expect + b"\r\n")
            assert_refused(client, 413)
            assert server.server.server_state.total_requests == 1
        server.log.expect("Invalid HTTP request received. (body larger than --limit-request-body)")
        assert limited(server) == {"limit_request_body": 1}


def test_chunks_are_counted(serve: Serve, notes: Notes) -> None:
    with serve(collector(notes), limit_request_body=10) as server:
        with server.connect() as client:
            client.send(CHUNKED + b"a\r\n0123456789\r\n")
            assert notes.get() == {"type": "http.request", "body": b"0123456789", "more_body": True}
            client.send(b"1\r\nx\r\n")
            assert notes.get() == DISCONNECT
            assert_refused(client, 413)
        server.log.expect("Invalid HTTP request received. (body larger than --limit-request-body)")
        assert limited(server) == {"limit_request_body": 1}


def test_chunks_up_to_the_limit_are_served(serve: Serve) -> None:
    with serve(patient, limit_request_body=10) as server, server.connect() as client:
        for _ in range(2):
            client.send(CHUNKED + b"9\r\n012345678\r\n1\r\nx\r\n0\r\n\r\n")
            assert client.read_response().status == 200


def test_too_many_chunks_behind_the_start_of_the_answer_cut_it(serve: Serve, notes: Notes) -> None:
    with serve(collector(notes, begin=True), limit_request_body=10) as server:
        with server.connect() as client:
            client.send(CHUNKED)
            assert client.read_head().status == 200
            client.send(b"b\r\n01234567890\r\n")
            assert client.read_to_end() == b"4\r\npart\r\n"
            assert notes.get() == DISCONNECT
        server.log.expect("--limit-request-body")


def test_who_sends_too_much_can_read_the_answer(serve: Serve) -> None:
    """What still comes is read and dropped: closing would destroy the answer on its way."""
    with serve(patient, limit_request_body=10) as server, server.connect() as client:
        client.send(UPLOAD % (4 * MIB), b"x" * 4 * MIB)
        assert_refused(client, 413)
        assert not client.reset
        server.log.expect("--limit-request-body")


def test_no_body_at_all(serve: Serve) -> None:
    with serve(hello, limit_request_body=0) as server, server.connect() as client:
        client.assert_open()
        client.send(UPLOAD % 0)
        assert client.read_response().status == 200
        client.send(UPLOAD % 1)
        assert_refused(client, 413)
        server.log.expect("--limit-request-body")


def test_a_slow_body_is_refused(serve: Serve, notes: Notes) -> None:
    """The C units have shorter times and the cases; here it is the default that has an effect."""
    with serve(collector(notes)) as server, server.connect() as client:
        began = time.monotonic()
        client.send(CHUNKED + b"5\r\nhello\r\n")
        assert notes.get() == {"type": "http.request", "body": b"hello", "more_body": True}
        assert_refused(client, 408)
        assert time.monotonic() - began >= 5
        assert notes.get() == DISCONNECT
        server.log.expect("Invalid HTTP request received. (body slower than --limit-body-rate)")
        assert limited(server) == {"limit_body_rate": 1}


def test_a_body_that_is_fast_enough_is_served(serve: Serve) -> None:
    with serve(patient, limit_body_rate=1000) as server, server.connect() as client:
        for _ in range(3):
            client.send(UPLOAD % 10 + b"x" * 10)
            assert client.read_response().status == 200
        assert limited(server) == {}


def test_an_unread_body_has_its_time(serve: Serve) -> None:
    with serve(hello, timeout_unread_body=0.1) as server, server.connect() as client:
        client.send(UPLOAD % 10 + b"12345")
        assert client.read_response().body == b"hello"
        client.assert_closed()
        server.log.expect(
            "Connection closed. (rest of a body not there within --timeout-unread-body)"
        )
        assert limited(server) == {"timeout_unread_body": 1}


def test_what_came_while_the_loop_was_held_up_came_in_time(serve: Serve, notes: Notes) -> None:
    """The loop looks at the time before it reads what came meanwhile."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/early":
            await respond(send)
        elif scope["path"] == "/block":
            notes.put("blocked")
            time.sleep(2.5)
            await respond(send)
        else:
            await respond(send, await read_body(receive))

    bounds = {"timeout_head": 2, "timeout_body": 2, "timeout_unread_body": 2}
    with (
        serve(app, **bounds) as server,
        server.connect() as blocking,
        server.connect() as head,
        server.connect() as body,
        server.connect() as unread,
    ):
        unread.send(b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        assert unread.read_response().status == 200
        head.send(b"GET / HTTP/1.1\r\n")
        body.send(UPLOAD % 5)
        server.settle()
        blocking.get("/block")
        assert notes.get() == "blocked"
        head.send(b"Host: h\r\n\r\n")
        body.send(b"hello")
        unread.send(b"x" * 5 + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        for client in (head, body, unread, blocking):
            assert client.read_response().status == 200
        assert limited(server) == {}


# ---- the end ----------------------------------------------------------------------------------


def test_a_client_that_does_not_close_is_not_waited_for(serve: Serve) -> None:
    with serve(hello, timeout_linger=0.1) as server, server.connect() as client:
        client.send(b"NONSENSE\r\n\r\n")
        assert client.read_response().status in (400, 501)
        wait_for_no_connection(server)
        assert limited(server) == {"timeout_linger": 1}
        server.log.expect("Invalid HTTP request received.")


def test_a_client_that_takes_nothing_is_cut(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 32 * MIB, "more_body": True})
        notes.put(await receive())

    with serve(app, timeout_write=0.1) as server, server.connect(rcvbuf=4096) as client:
        client.get()
        assert notes.get() == DISCONNECT
        client.discard_to_end()
        assert client.reset
        server.log.expect(
            "Connection closed. (nothing of an answer was taken within --timeout-write)"
        )
        assert limited(server) == {"timeout_write": 1}


# ---- the marks --------------------------------------------------------------------------------


def test_reading_stops_at_its_mark(serve: Serve) -> None:
    """A high mark takes what a low one leaves to the client, while nobody receives."""
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            gate.set()
        await gate.wait()
        await respond(send, b"%d" % len(await read_body(receive)))

    size = 32 * MIB
    with serve(app, limit_read_buffer=1000) as server, server.connect() as client:
        client.send(UPLOAD % size)
        sent = client.send_until_stuck(b"x" * MIB, size)
        assert sent < size
        with server.connect() as other:
            other.assert_open()
        client.send(b"x" * (size - sent))
        assert client.read_response().body == b"%d" % size
    gate = asyncio.Event()
    with serve(app, limit_read_buffer=2 * size) as server, server.connect() as client:
        client.send(UPLOAD % size, b"x" * size)
        with server.connect() as other:
            other.assert_open()
        assert client.read_response().body == b"%d" % size


def test_send_waits_at_its_mark(serve: Serve, notes: Notes) -> None:
    size = 32 * MIB
    headers = [(b"content-length", b"%d" % size), (b"connection", b"close")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        notes.put("sent")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    with serve(app, limit_write_buffer=2 * size) as server, server.connect() as client:
        client.get()
        assert notes.get() == "sent"
        client.read_head()
        assert client.discard_to_end() == size
    with serve(app, limit_write_buffer=1000) as server, server.connect() as client:
        client.get()
        client.read_head()
        server.settle()
        assert notes.empty()
        assert client.discard_to_end() == size
        assert notes.get() == "sent"


# ---- numbers ----------------------------------------------------------------------------------


class Gate:
    """An application whose /wait waits until the gate is open."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.event = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what the path says."""
        if scope["path"] == "/wait":
            self.notes.put("waits")
            await self.event.wait()
        await respond(send)


def open_gate(server: RunningServer) -> None:
    """Let what waits go on."""
    assert server.loop is not None
    server.loop.call_soon_threadsafe(server.config.loaded_app.event.set)


def assert_busy(client: RawClient, path: str = "/") -> Response:
    """A request gets 503, in uvicorn's words, and the connection closes."""
    response = client.ask(path)
    assert response.status == 503
    assert response.body == b"Service Unavailable"
    assert response.get(b"content-type") == b"text/plain; charset=utf-8"
    assert response.get(b"connection") == b"close"
    client.assert_closed()
    return response


def test_concurrency_counts_connections_as_uvicorn_does(serve: Serve) -> None:
    """Also those that are idle, and the one that asks."""
    with serve(hello, limit_concurrency=2) as server:
        with server.connect() as first:
            first.assert_open()
            with server.connect() as second:
                response = assert_busy(second)
                assert response.get(b"retry-after") is None
        server.log.expect("Exceeded concurrency limit. (--limit-concurrency)", logging.WARNING)
        assert limited(server) == {"limit_concurrency": 1}
        assert server.server.server_state.total_requests == 2
        wait_for_no_connection(server)
        with server.connect() as client:
            client.assert_open()


def test_concurrency_of_one_refuses_everything(serve: Serve) -> None:
    with serve(hello, limit_concurrency=1) as server, server.connect() as client:
        assert_busy(client)


def test_concurrency_counts_requests_whose_client_is_gone(serve: Serve, notes: Notes) -> None:
    with serve(Gate(notes), limit_concurrency=3) as server:
        for _ in range(3):
            with server.connect() as client:
                client.get("/wait")
                assert notes.get() == "waits"
            wait_for_no_connection(server)
        with server.connect() as client:
            assert_busy(client)
        open_gate(server)


def test_requests_alone_are_limited(serve: Serve, notes: Notes) -> None:
    """Idle connections don't count; what is under way goes on."""
    with serve(Gate(notes), limit_requests=1) as server:
        idle = [server.connect() for _ in range(5)]
        for client in idle:
            client.assert_open()
        with server.connect() as waiting, server.connect() as other:
            waiting.get("/wait")
            assert notes.get() == "waits"
            assert assert_busy(other).get(b"retry-after") == b"1"
            server.log.expect("Request refused. (more requests than --limit-requests)")
            assert limited(server) == {"limit_requests": 1}
            open_gate(server)
            assert waiting.read_response().status == 200
            waiting.assert_open()
        for client in idle:
            client.assert_open()
            client.close()


def test_a_refused_request_is_in_the_access_log(serve: Serve) -> None:
    with serve(hello, limit_concurrency=1, access_log=True) as server, server.connect() as client:
        logger = logging.getLogger("uvicorn.access")
        logger.addHandler(server.log)
        try:
            assert_busy(client, "/busy?a")
            server.log.expect('"GET /busy?a HTTP/1.1" 503')
        finally:
            logger.removeHandler(server.log)


def test_a_refused_body_is_not_read(serve: Serve) -> None:
    with serve(hello, limit_concurrency=1) as server, server.connect() as client:
        client.send(UPLOAD % 10 + b"01234")
        assert client.read_response().status == 503
        client.assert_closed()


def test_accepting_pauses_at_so_many_connections(serve: Serve) -> None:
    """Who comes later waits, and is served when another one goes."""
    with serve(hello, limit_connections=2) as server:
        first, second = server.connect(), server.connect()
        first.assert_open()
        second.assert_open()
        server.log.expect("Accepting connections pauses: there are 2. (--limit-connections)")
        waiting = [server.connect() for _ in range(3)]
        for client in waiting:
            client.get()
        first.assert_open()
        second.assert_open()
        assert all(client.quiet() for client in waiting)
        assert len(server.server.server_state.connections) == 2
        second.close()
        for client in waiting:
            assert client.read_response().status == 200
            client.close()
        first.assert_open()
        first.close()
        assert limited(server)["limit_connections"] >= 2
        assert not [line for line in server.log.lines() if "Accepting" in line]


def test_a_full_server_can_stop(serve: Serve) -> None:
    with serve(hello, limit_connections=1) as server, server.connect() as client:
        client.assert_open()
        server.log.expect("--limit-connections")


def test_a_connection_has_so_many_requests(serve: Serve) -> None:
    with serve(hello, limit_connection_requests=3) as server:
        for _ in range(2):
            with server.connect() as client:
                for _ in range(2):
                    assert client.ask().get(b"connection") is None
                assert client.ask().get(b"connection") == b"close"
                client.assert_closed()
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 5)
            assert client.read_to_end().count(b"HTTP/1.1 200") == 3
        assert limited(server) == {"limit_connection_requests": 3}


def test_a_connection_that_closes_anyway_is_not_counted(serve: Serve) -> None:
    with serve(hello, limit_connection_requests=1) as server, server.connect() as client:
        assert client.ask("/", "Connection: close").status == 200
        client.assert_closed()
        assert limited(server) == {}


# ---- the whole request ------------------------------------------------------------------------


class Endless:
    """An application that never ends by itself, and reports how it is ended."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin to answer, answer, or do nothing, then wait for ever."""
        if scope["path"] == "/begin":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        elif scope["path"] in ("/answer", "/hello"):
            await respond(send)
        if scope["path"] == "/hello":
            return
        self.notes.put("in")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.notes.put("cancelled")
            if scope["path"] == "/stubborn":
                await self.go_on(receive, send)
            raise

    async def go_on(self, receive: Receive, send: Send) -> None:
        """Nothing that is done now reaches the client."""
        self.notes.put(await receive())
        await respond(send)
        await asyncio.Event().wait()


def assert_timed_out(client: RawClient, path: str = "/") -> None:
    """The request is answered with 504, and the connection closes."""
    response = client.ask(path)
    assert (response.status, response.body) == (504, b"Gateway Timeout")
    assert response.get(b"connection") == b"close"
    client.assert_closed()


def test_a_request_has_its_time(serve: Serve, notes: Notes) -> None:
    with serve(Endless(notes), timeout_request=0.1) as server, server.connect() as client:
        began = time.monotonic()
        assert_timed_out(client)
        assert time.monotonic() - began >= 0.1
        assert (notes.get(), notes.get()) == ("in", "cancelled")
        record = server.log.expect(
            "Request cancelled. (answer not complete within --timeout-request)"
        )
        assert record.levelno == logging.WARNING
        assert limited(server) == {"timeout_request": 1}
        assert server.server.server_state.total_requests == 1


def test_an_answer_that_has_begun_is_cut(serve: Serve, notes: Notes) -> None:
    with serve(Endless(notes), timeout_request=0.1) as server, server.connect() as client:
        client.get("/begin")
        assert client.read_head().status == 200
        assert client.read_to_end() == b"4\r\npart\r\n"
        assert client.reset
        assert (notes.get(), notes.get()) == ("in", "cancelled")
        server.log.expect("--timeout-request")
        assert limited(server) == {"timeout_request": 1}


def test_a_request_whose_client_is_gone_has_its_time_too(serve: Serve, notes: Notes) -> None:
    with serve(Endless(notes), timeout_request=0.2) as server:
        with server.connect() as client:
            client.get()
            assert notes.get() == "in"
        assert notes.get() == "cancelled"
        server.log.expect("--timeout-request")
        assert limited(server) == {"timeout_request": 1}


def test_many_requests_have_their_time(serve: Serve, notes: Notes) -> None:
    with serve(Endless(notes), timeout_request=0.1) as server:
        clients = [server.connect() for _ in range(30)]
        for client in clients:
            client.get()
        for client in clients:
            assert client.read_response().status == 504
            client.close()
        assert limited(server) == {"timeout_request": 30}


def cancel_the_one_that_is_left(server: RunningServer) -> None:
    """A request that no time limit has ended."""
    server.settle()  # the others are cancelled, and now they have ended
    core = server.server.server_state.core
    assert core is not None
    assert core.requests == 1
    assert server.loop is not None
    server.loop.call_soon_threadsafe(core.cancel_requests, "test")


def test_what_runs_behind_the_answer_is_not_cancelled(serve: Serve, notes: Notes) -> None:
    """Others run out of time meanwhile, twice."""
    with serve(Endless(notes), timeout_request=0.1) as server:
        with server.connect() as client:
            assert client.ask("/answer").status == 200
            assert notes.get() == "in"
            client.assert_open("/hello")
        for _ in range(2):
            with server.connect() as client:
                assert_timed_out(client)
            assert (notes.get(), notes.get()) == ("in", "cancelled")
        assert limited(server) == {"timeout_request": 2}
        cancel_the_one_that_is_left(server)
        assert notes.get() == "cancelled"
        server.log.expect("Exception in ASGI application")


def test_nobody_is_cancelled_twice(serve: Serve, notes: Notes) -> None:
    """Who goes on all the same has no client any more, and is in nobody's way."""
    with serve(Endless(notes), timeout_request=0.1) as server:
        with server.connect() as client:
            assert_timed_out(client, "/stubborn")
        assert (notes.get(), notes.get(), notes.get()) == ("in", "cancelled", DISCONNECT)
        for _ in range(2):
            with server.connect() as client:
                assert_timed_out(client)
            assert (notes.get(), notes.get()) == ("in", "cancelled")
        assert limited(server) == {"timeout_request": 3}
        cancel_the_one_that_is_left(server)


def test_a_server_stops_with_requests_that_have_time(serve: Serve, notes: Notes) -> None:
    with serve(hello, timeout_request=60) as server, server.connect() as client:
        client.assert_open()
        assert limited(server) == {}
