# SPDX-License-Identifier: MIT
"""A graceful stop: which requests are answered, what requests are told, and when connections end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
import time

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, App, Notes, Receive, Scope, Send, hello, respond
from tests.support.raw import Incomplete, RawClient
from tests.support.server import RunningServer
from tests.support.server_process import get

DISCONNECT = {"type": "http.disconnect"}


TRIES = 3
"""How often a test may come too late for what a stopping server takes from idle clients."""


def is_late(began: float) -> bool:
    """Tell whether the second may be over that an idle connection has since `began`."""
    return time.monotonic() - began > 0.9


def assert_last(client: RawClient) -> None:
    """Read the last answer of a connection, which says that it is."""
    response = client.read_response()
    assert (response.body, response.get(b"connection")) == (b"hello", b"close")
    client.assert_closed()


def test_an_idle_connection_may_still_send_a_last_request(serve: Serve) -> None:
    for _ in range(TRIES):
        with serve(hello) as server, server.connect() as client:
            began = time.monotonic()
            assert client.ask().get(b"connection") is None
            server.server.should_exit = True
            server.log.expect("Shutting down")
            client.get()
            if is_late(began):
                continue
            assert_last(client)
            return
    raise AssertionError("the machine is too busy")


def test_a_connection_without_a_request_closes_by_itself(serve: Serve) -> None:
    with serve(hello) as server, server.connect() as fresh, server.connect() as kept:
        assert kept.ask().status == 200
        server.settle()
        server.server.should_exit = True
        for client in (fresh, kept):
            client.assert_closed()
        assert server.join() is None
        assert not any("Waiting for connections" in line for line in server.log.lines())


def test_the_grace_ends_idle_connections_too(serve: Serve) -> None:
    with (
        serve(hello, timeout_graceful_shutdown=0) as server,
        server.connect() as fresh,
        server.connect() as kept,
    ):
        assert kept.ask().status == 200
        server.server.should_exit = True
        for client in (fresh, kept):
            client.assert_closed()
        assert server.join() is None
        assert not any("Cancel" in line for line in server.log.lines())


def test_the_grace_breaks_off_what_only_the_end_of_the_connection_ends(
    serve: Serve, notes: Notes
) -> None:
    """What an HTTP/1.0 client has of it does not look like the whole."""

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        notes.put("here")
        await asyncio.Event().wait()

    with serve(endless, timeout_graceful_shutdown=0) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert notes.get() == "here"
        server.server.should_exit = True
        client.read_to_end()
        assert client.reset
        server.log.expect("Cancel 1 running task(s), timeout graceful shutdown exceeded")
        server.log.expect("Exception in ASGI application")


def streaming(notes: Notes) -> App:
    """An application whose answers have begun before a stop, and end after it."""
    first = True

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal first
        if not first:
            await respond(send)
            return
        first = False
        go_on = asyncio.Event()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        loop = asyncio.get_running_loop()
        notes.put(lambda: loop.call_soon_threadsafe(go_on.set))
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"b"})

    return app


def test_who_was_promised_another_request_has_it(serve: Serve, notes: Notes) -> None:
    """The head of the answer went out before the stop, and did not say that it is the last."""
    for _ in range(TRIES):
        with serve(streaming(notes)) as server, server.connect() as client:
            client.get()
            go_on = notes.get()
            server.server.should_exit = True
            server.log.expect("Waiting for connections to close")
            began = time.monotonic()
            go_on()
            assert client.read_response().body == b"ab"
            client.get()
            if is_late(began):
                continue
            assert_last(client)
            return
    raise AssertionError("the machine is too busy")


def test_requests_that_wait_behind_an_open_one_are_answered(serve: Serve, notes: Notes) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("in")
        # Not until the test says so: they are answered within a second.
        while not any("Shutting down" in line for line in server.log.lines()):
            await asyncio.sleep(0)
        await respond(send, scope["path"].encode())

    with serve(slow) as server, server.connect() as client:
        client.send(*(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % i for i in range(3)))
        assert notes.get() == "in"
        server.settle()
        server.server.should_exit = True
        answers = [client.read_response() for _ in range(3)]
        assert [answer.body for answer in answers] == [b"/0", b"/1", b"/2"]
        assert [answer.get(b"connection") for answer in answers] == [None, None, b"close"]
        client.assert_closed()


def test_connections_that_wait_to_be_accepted_are_served(serve: Serve) -> None:
    """More of them than the server accepts in a few turns."""
    block = threading.Event()
    blocked = threading.Event()

    async def blocking(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/block":
            blocked.set()
            assert block.wait(WAIT)
        await respond(send)

    with serve(blocking) as server, contextlib.ExitStack() as stack:
        client = stack.enter_context(server.connect())
        client.get("/block")
        assert blocked.wait(WAIT)
        waiting = [stack.enter_context(server.connect()) for _ in range(400)]
        for one in waiting:
            one.get()
        server.server.should_exit = True
        block.set()
        assert client.read_response().status == 200
        for one in waiting:
            assert one.read_response().status == 200


def test_connections_beyond_their_limit_are_served_at_the_stop(serve: Serve) -> None:
    with serve(hello, limit_connections=1) as server, server.connect() as first:
        assert first.ask().status == 200
        with server.connect() as second, server.connect() as third:
            second.get()
            third.get()
            server.server.should_exit = True
            for client in (second, third):
                assert client.read_response().get(b"connection") == b"close"


class KeepAliveClient(threading.Thread):
    """Sends request after request on a kept-alive connection, until an answer or a FIN ends it.

    `lost` is what was sent and not answered, though no end had been seen before. What came when the
    connection may have been idle for a second does not count: an end may have been on its way.
    """

    def __init__(self, client: RawClient, seed: int) -> None:
        super().__init__()
        self.client = client
        self.pauses = random.Random(seed)
        self.answers = 0
        self.lost = ""

    def run(self) -> None:
        """Work."""
        sent = time.monotonic()
        while True:
            if not self.client.quiet():
                self.client.assert_closed()
                return
            before, sent = sent, time.monotonic()
            was_late = False
            try:
                self.client.get()
                was_late = is_late(before)
                response = self.client.read_response()
            except (Incomplete, OSError) as exc:
                self.lost = "" if was_late else repr(exc)
                return
            self.answers += 1
            if response.get(b"connection") == b"close":
                return
            time.sleep(self.pauses.random() / 50)


@pytest.mark.parametrize("seed", range(3))
def test_no_request_of_clients_that_go_on_is_lost(serve: Serve, seed: int) -> None:
    with serve(hello) as server:
        clients = [KeepAliveClient(server.connect(), seed * 100 + i) for i in range(16)]
        for client in clients:
            client.start()
        while not all(client.answers for client in clients):
            time.sleep(0.001)
        server.server.should_exit = True
        for client in clients:
            client.join(WAIT)
            client.client.close()
        assert [client.lost for client in clients if client.lost] == []


# ---- what requests are told -----------------------------------------------------------------------


def listener(notes: Notes) -> App:
    """An application that begins to answer, and ends when it hears of a disconnect."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        while (message := await receive())["type"] == "http.request":
            notes.put(message)
        notes.put(message)
        notes.put(await receive())
        await send({"type": "http.response.body", "body": b"b"})

    return app


def test_requests_hear_of_a_stop_if_that_is_asked_for(serve: Serve, notes: Notes) -> None:
    options = {"disconnect_on_shutdown": True}
    with serve(listener(notes), **options) as server, server.connect() as client:
        client.get()
        notes.get()
        server.server.should_exit = True
        assert [notes.get(), notes.get()] == [DISCONNECT, DISCONNECT]
        assert client.read_response().body == b"ab"


def test_requests_hear_nothing_of_a_stop_by_default(serve: Serve, notes: Notes) -> None:
    with serve(listener(notes)) as server, server.connect() as client:
        client.get()
        notes.get()
        server.server.should_exit = True
        server.log.expect("Waiting for connections to close")
        server.settle()
        assert notes.empty()
        client.close()
        assert notes.get() == DISCONNECT


def test_an_upload_is_received_to_its_end_all_the_same(serve: Serve, notes: Notes) -> None:
    options = {"disconnect_on_shutdown": True}
    with serve(listener(notes), **options) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab")
        assert notes.get()["body"] == b"ab"
        server.server.should_exit = True
        server.log.expect("Waiting for connections to close")
        client.send(b"cd")
        assert notes.get()["body"] == b"cd"
        assert notes.get() == DISCONNECT
        assert client.read_response().body == b"ab"


def test_who_ends_a_stream_because_of_it_is_no_error(serve: Serve, notes: Notes) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await receive()
        notes.put("here")
        await receive()

    options = {"disconnect_on_shutdown": True}
    with serve(stream, **options) as server, server.connect() as client:
        client.get()
        notes.get()
        server.server.should_exit = True
        assert client.read_head().status == 200
        assert client.read_to_end() == b"1\r\na\r\n"


def test_who_has_not_begun_to_answer_is_answered_for(serve: Serve, notes: Notes) -> None:
    async def long_poll(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        notes.put("here")
        await receive()

    options = {"disconnect_on_shutdown": True}
    with serve(long_poll, **options) as server, server.connect() as client:
        client.get()
        notes.get()
        server.server.should_exit = True
        response = client.read_response()
        assert (response.status, response.body) == (503, b"Service Unavailable")
        client.assert_closed()


def test_a_request_of_after_the_stop_hears_it_at_once(serve: Serve, notes: Notes) -> None:
    options = {"disconnect_on_shutdown": True}
    with serve(listener(notes), **options) as server, server.connect() as client:
        client.get()
        notes.get()
        server.server.should_exit = True
        assert client.read_response().body == b"ab"
        assert client.ask().get(b"connection") == b"close"
        assert notes.get() == DISCONNECT


# ---- --idle-exit ----------------------------------------------------------------------------------


def test_a_server_without_a_connection_stops(serve: Serve) -> None:
    with serve(hello, idle_exit=0.05) as server:
        assert server.join() is None
        server.log.expect("Nothing to do for 0.05 seconds. (--idle-exit)")


def test_a_connection_keeps_the_server(serve: Serve) -> None:
    server = serve(hello, idle_exit=0.05)
    client = server.connect()  # before it runs: it does not run for long without one
    with server:
        with client:
            assert client.ask().status == 200
            with pytest.raises(AssertionError, match="no log line"):
                expect_soon(server, "Nothing to do")
            assert client.ask().status == 200
        assert server.join() is None


def expect_soon(server: RunningServer, text: str) -> None:
    """Look for a log line for some times the time that a server may be idle."""
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        if any(text in line for line in server.log.lines()):
            return
    raise AssertionError("no log line")


def test_background_work_keeps_the_server(serve: Serve, notes: Notes) -> None:
    async def working(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)
        go_on = asyncio.Event()
        loop = asyncio.get_running_loop()
        notes.put(lambda: loop.call_soon_threadsafe(go_on.set))
        await go_on.wait()

    server = serve(working, idle_exit=0.05)
    client = server.connect()
    with server:
        with client:
            assert client.ask().status == 200
        go_on = notes.get()
        with pytest.raises(AssertionError, match="no log line"):
            expect_soon(server, "Nothing to do")
        go_on()
        assert server.join() is None


def test_no_connection_is_lost_to_the_exit(serve: Serve) -> None:
    """Each comes about when the one before has been gone for long enough."""
    server = serve(hello, idle_exit=0.02)
    first = server.connect()
    with server:
        with first:
            assert first.ask().body == b"hello"
        time.sleep(0.02)
        is_there = True
        while is_there:
            with socket.socket() as client:
                client.settimeout(WAIT)
                is_there = client.connect_ex(("127.0.0.1", server.port)) == 0
                if is_there:
                    assert get(client) == b"hello"
            time.sleep(0.02)
        assert server.join() is None
