# SPDX-License-Identifier: MIT
"""Requests that come at once on one connection: their answers' order, and whom they keep waiting."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, Notes, Receive, Scope, Send, read_body, respond
from tests.support.server import RunningServer

PIPELINE_RUN = 16
"""Most requests of one connection that go before those of others, as csrc/asgi/service.c has it."""


def pipeline(count: int, prefix: str = "/") -> bytes:
    return b"".join(
        f"GET {prefix}{number} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for number in range(count)
    )


class Gate:
    """A request to /hold that keeps the loop's thread until the test lets it go."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.free = threading.Event()

    def hold(self) -> None:
        """Called by the application."""
        self.held.set()
        assert self.free.wait(WAIT)

    def close(self, server: RunningServer) -> None:
        """Called by the test: return once the loop's thread is held."""
        self.client = server.connect()
        self.client.get("/hold")
        assert self.held.wait(WAIT)

    def open(self) -> None:
        """Called by the test: let the loop's thread go."""
        self.free.set()

    def finish(self) -> None:
        """Called by the test: the request that held the thread is answered, too."""
        assert self.client.read_response().status == 200
        self.client.close()


@pytest.mark.parametrize("which", ["sync", "awaiting", "mixed"])
def test_answers_come_in_order(serve: Serve, which: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        number = int(scope["path"][1:])
        if which == "awaiting" or (which == "mixed" and number % 3 == 0):
            await asyncio.sleep(0)
        if number % 7 == 0:
            assert await read_body(receive) == b""
        await respond(send, scope["path"].encode() * (1 + number % 2 * 1000))

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            client.send(pipeline(100))
            for number in range(100):
                body = client.read_response().body
                assert body == f"/{number}".encode() * (1 + number % 2 * 1000)
        client.assert_open("/0")


def test_bodies_among_pipelined_requests(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, scope["path"].encode() + b"=" + await read_body(receive))

    request = "POST /{0} HTTP/1.1\r\nHost: h\r\nContent-Length: {1}\r\n\r\n{2}"
    with serve(app) as server, server.connect() as client:
        bodies = ["b" * (number * 37 % 2000) for number in range(100)]
        texts = [request.format(number, len(body), body) for number, body in enumerate(bodies)]
        client.send("".join(texts).encode())
        for number, body in enumerate(bodies):
            assert client.read_response().body == f"/{number}={body}".encode()


@pytest.mark.parametrize("work", [0.0, 0.002], ids=["quick", "slow"])
def test_others_wait_for_few_pipelined_requests(serve: Serve, notes: Notes, work: float) -> None:
    """Both connections' requests are there when the loop looks; the pipelined ones came first."""
    gate = Gate()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hold":
            gate.hold()
        else:
            notes.put(scope["path"])
            until = time.perf_counter() + work
            while time.perf_counter() < until:
                pass
        await respond(send, scope["path"].encode())

    with serve(app) as server, server.connect() as client, server.connect() as other:
        client.assert_open("/warm")
        other.assert_open("/warm")
        assert [notes.get(), notes.get()] == ["/warm", "/warm"]
        gate.close(server)
        client.send(pipeline(100))
        other.get("/other")
        gate.open()
        gate.finish()
        assert other.read_response().body == b"/other"
        for number in range(100):
            assert client.read_response().body == f"/{number}".encode()
        order = [notes.get() for _ in range(101)]
    assert [path for path in order if path != "/other"] == [f"/{n}" for n in range(100)]
    assert order.index("/other") <= PIPELINE_RUN


def test_two_pipelines_at_once(serve: Serve) -> None:
    gate = Gate()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hold":
            gate.hold()
        elif scope["path"].endswith("5"):
            await asyncio.sleep(0)
        await respond(send, scope["path"].encode())

    with serve(app) as server:
        clients = [server.connect() for _ in range(3)]
        gate.close(server)
        for at, client in enumerate(clients):
            client.send(pipeline(100, f"/{at}/"))
        gate.open()
        gate.finish()
        for at, client in enumerate(clients):
            for number in range(100):
                assert client.read_response().body == f"/{at}/{number}".encode()
            client.close()


@pytest.mark.parametrize("awaits", [False, True])
@pytest.mark.parametrize("how", ["raise", "close", "half"])
def test_the_end_in_the_middle_of_a_pipeline(
    serve: Serve, notes: Notes, how: str, awaits: bool
) -> None:
    """What came before is answered in whole; nothing behind is even looked at."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        number = int(scope["path"][1:])
        notes.put(number)
        if awaits:
            await asyncio.sleep(0)
        if number < 20:
            await respond(send, scope["path"].encode())
        elif how == "close":
            await respond(send, b"bye", headers=[(b"connection", b"close")])
        else:
            if how == "half":
                start = {"type": "http.response.start", "status": 200}
                await send({**start, "headers": [(b"content-length", b"9")]})
                await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("deliberate")

    with serve(app) as server:
        with server.connect() as client:
            client.send(pipeline(100))
            for number in range(20):
                assert client.read_response().body == f"/{number}".encode()
            if how == "half":
                assert client.read_head().status == 200
                assert client.read_to_end() == b"half"
            else:
                response = client.read_response()
                assert response.status == (200 if how == "close" else 500)
                assert response.get(b"connection") == b"close"
                client.assert_closed()
        if how != "close":
            server.log.expect("Exception in ASGI application")
        with server.connect() as client:
            client.assert_open("/0")
    assert [notes.get() for _ in range(22)] == [*range(21), 0]
    assert notes.empty()


def test_a_client_that_goes_in_the_middle_of_its_pipeline(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        number = int(scope["path"][1:])
        if number == 20:
            notes.put("waiting")
            while (await receive())["type"] != "http.disconnect":
                pass
            notes.put("gone")
        await respond(send, scope["path"].encode())

    with serve(app) as server:
        with server.connect() as client:
            client.send(pipeline(100))
            for number in range(20):
                assert client.read_response().body == f"/{number}".encode()
            assert notes.get() == "waiting"
            client.rst()
        assert notes.get() == "gone"
        with server.connect() as client:
            client.assert_open("/0")
