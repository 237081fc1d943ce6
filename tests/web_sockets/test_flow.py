# SPDX-License-Identifier: MIT
"""Nobody can make the other side keep what is not taken: flow control both ways."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond
from tests.support.measured import MeasuredServer
from tests.support.server import LOOPS
from tests.support.web_socket import BINARY, WebSocketClient, close_frame, frame, opened
from tests.web_sockets.applications import accept, binary, echo_all, text

pytestmark = pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)

APP = "tests.web_sockets.test_flow:Flow"
MEBIBYTE = 1 << 20


class Flow:
    """Takes nothing until it may, gives more than fits, and tells how far it came."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.stuck = asyncio.Event()
        self.sent = 0
        self.connected: list[Send] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what the path says."""
        if scope["type"] == "http":
            if scope["path"] == "/release":
                self.gate.set()
            elif scope["path"] == "/progress-when-stuck":
                await self.stuck.wait()
                await respond(send, json.dumps(self.sent).encode())
                return
            await respond(send)
            return
        await accept(receive, send)
        await {"/ignore": self.ignore, "/give": self.give, "/all": self.all}.get(
            scope["path"], echo_all
        )(receive, send)

    async def ignore(self, receive: Receive, send: Send) -> None:
        """Receive nothing until the gate opens; then say how much came."""
        await self.gate.wait()
        size = count = 0
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "how much?":
                await send(text(f"{count} {size}"))
            else:
                count += 1
                size += len(message["bytes"])

    async def give(self, receive: Receive, send: Send) -> None:
        """Send a gibibyte in messages of 64 KiB; note when one has waited for half a second."""
        piece = b"x" * 65536
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            for _ in range((1 << 30) // len(piece)):
                timer = loop.call_later(0.5, self.stuck.set)
                await send(binary(piece))
                timer.cancel()
                self.sent += len(piece)

    async def all(self, receive: Receive, send: Send) -> None:
        """Send to everybody who is connected here, each in a task of its own."""
        self.connected.append(send)
        while (message := await receive())["type"] == "websocket.receive":
            tasks = [asyncio.ensure_future(one(binary(message["bytes"]))) for one in self.connected]
            for task in tasks:
                task.add_done_callback(lambda done: done.exception())


def test_an_application_that_does_not_receive(loop_kind: str) -> None:
    """The client is stopped, and what it could send is there in the end."""
    with MeasuredServer(APP, loop=loop_kind, ws_max_queue=4) as server:
        server.served()
        before = server.measure().rss
        with WebSocketClient(server.address, sndbuf=65536) as client:
            client.open("/ignore")
            message = frame(BINARY, b"x" * 65528)
            sent = client.flood(message, 256 * MEBIBYTE)
            assert sent < 32 * MEBIBYTE
            assert server.measure().rss - before < 8 * MEBIBYTE
            server.release()
            count, cut = divmod(sent, len(message))
            if cut:
                client.send(message[cut:])
                count += 1
            client.text("how much?")
            assert client.read_message() == f"{count} {count * 65528}"
            client.say_goodbye()


@pytest.mark.parametrize("queue", [32, 0])
@pytest.mark.parametrize("size", [0, 10, 1000])
def test_small_messages_that_are_not_received(loop_kind: str, size: int, queue: int) -> None:
    """Small ones are counted, or cost more than their bytes, which are the only bound without a limit."""
    with MeasuredServer(APP, loop=loop_kind, ws_max_queue=queue) as server:
        server.served()
        before = server.measure().rss
        with WebSocketClient(server.address, sndbuf=65536) as client:
            client.open("/ignore")
            message = frame(BINARY, b"x" * size)
            block = message * (65536 // len(message))
            sent = client.flood(block, 128 * MEBIBYTE)
            assert sent < 32 * MEBIBYTE
            assert server.measure().rss - before < 8 * MEBIBYTE
            server.release()
            count, cut = divmod(sent, len(message))
            if cut:
                client.send(message[cut:])
                count += 1
            client.text("how much?")
            assert client.read_message() == f"{count} {count * size}"
            client.say_goodbye()


def test_reading_goes_on_when_the_queue_empties(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        for _ in range(500):
            await asyncio.sleep(0)
            notes.put((await receive())["bytes"])
        await echo_all(receive, send)

    with serve(app, ws_max_queue=1) as server, opened(server) as client:
        client.send(b"".join(frame(BINARY, b"%d" % number) for number in range(500)))
        assert [notes.get() for _ in range(500)] == [b"%d" % number for number in range(500)]
        client.say_goodbye()


def test_a_drop_is_noticed_once_the_queue_was_read(serve: Serve, notes: Notes) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await go.wait()
        count = 0
        while (message := await receive())["type"] == "websocket.receive":
            count += 1
        notes.put((count, message["code"]))

    with serve(app, ws_max_queue=2) as server, opened(server) as client:
        client.send(b"".join(frame(BINARY, b"x") for _ in range(100)))
        client.leave("close")
        server.settle(3)
        assert server.loop is not None
        server.loop.call_soon_threadsafe(go.set)
        assert notes.get() == (100, 1006)


def test_a_client_that_does_not_read(loop_kind: str) -> None:
    """Its sends wait; a hundred others, and the memory, do not notice."""
    with MeasuredServer(APP, loop=loop_kind) as server:
        others = [WebSocketClient(server.address) for _ in range(100)]
        for other in others:
            other.open("/echo")
        before = server.measure().rss
        with WebSocketClient(server.address, rcvbuf=4096) as slow:
            slow.open("/give")
            sent = json.loads(server.served("/progress-when-stuck"))
            assert sent < 32 * MEBIBYTE
            for number in range(3):
                for other in others:
                    other.text(f"hi {number}")
                assert [other.read_message() for other in others] == [f"hi {number}"] * 100
            assert server.measure().rss - before < 8 * MEBIBYTE
        for other in others:
            other.say_goodbye()
            other.close()


def test_a_broadcast_with_one_who_does_not_read(loop_kind: str) -> None:
    with MeasuredServer(APP, loop=loop_kind) as server:
        with WebSocketClient(server.address, rcvbuf=4096) as slow:
            slow.open("/all")
            others = [WebSocketClient(server.address) for _ in range(20)]
            for other in others:
                other.open("/all")
            payload = os.urandom(16384)
            for _ in range(100):
                others[0].binary(payload)
                assert all(other.read_message() == payload for other in others)
            for other in others:
                other.say_goodbye()
                other.close()
            assert slow.read_message() == payload


def test_everything_comes_to_a_slow_reader(serve: Serve) -> None:
    """A client that reads a little at a time gets every message, in order."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        for number in range(200):
            await send(binary(b"%06d" % number * 10_000))
        await echo_all(receive, send)

    with serve(app) as server, opened(server, rcvbuf=4096) as client:
        for number in range(200):
            assert client.read_message() == b"%06d" % number * 10_000
        client.say_goodbye()


def test_a_close_waits_behind_what_was_sent(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        for _ in range(50):
            await send(binary(b"x" * 100_000))
        await send({"type": "websocket.close", "code": 4000})

    with serve(app) as server, opened(server, rcvbuf=4096) as client:
        assert all(client.read_message() == b"x" * 100_000 for _ in range(50))
        assert client.read_frame().code == 4000
        client.send(close_frame(4000))
        assert client.read_to_end() == b""


def test_a_slow_echo_both_ways(serve: Serve) -> None:
    """A client that sends and does not read stops itself, and nothing is lost."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await echo_all(receive, send)

    message = frame(BINARY, b"x" * 65528)
    with serve(app, ws_max_queue=4) as server:
        with opened(server, rcvbuf=4096, sndbuf=65536) as client:
            sent = client.flood(message, 256 * MEBIBYTE)
            assert sent < 64 * MEBIBYTE
            whole, cut = divmod(sent, len(message))
            for _ in range(whole):
                assert client.read_message() == b"x" * 65528
            if cut:
                client.send(message[cut:])
                assert client.read_message() == b"x" * 65528
            client.say_goodbye()
