# SPDX-License-Identifier: MIT
"""What an application cannot do to others, and a client not to the server, however long they wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, Notes, Receive, Scope, Send
from tests.support.server import LOOPS, RunningServer
from tests.support.web_socket import CLOSE, PING, TEXT, WebSocketClient, frame, handshake, opened
from tests.web_sockets.applications import accept, echo, ended, text
from tests.web_sockets.test_time import SHORT, stays_quiet

pytestmark = pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)

NO_TIMES = {"ws_ping_interval": 0, "ws_idle_timeout": 0, "timeout_keep_alive": 0, "timeout_head": 0}


def wait_until_all_are_gone(server: RunningServer) -> None:
    """Wait until the server has no connection any more."""
    end = time.monotonic() + WAIT
    while len(server.server.server_state.connections):
        assert time.monotonic() < end, "a connection stays open"
        server.settle(1)


def release(server: RunningServer, event: asyncio.Event) -> None:
    """Set an event that the application waits for."""
    assert server.loop is not None
    server.loop.call_soon_threadsafe(event.set)


# ---- an application


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_who_is_deaf_to_the_end_holds_nobody_else(serve: Serve, notes: Notes, kind: str) -> None:
    """It asks for the next message for ever, which is another disconnect each time."""
    is_over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/deaf":
            await echo(scope, receive, send)
            return
        if kind == "websocket":
            await accept(receive, send)
        notes.put("in")
        while not is_over.is_set():
            await receive()

    with serve(app) as server:
        with WebSocketClient(server.address) as deaf:
            if kind == "websocket":
                deaf.open("/deaf")
            else:
                deaf.get("/deaf")
            assert notes.get() == "in"
        for _ in range(3):
            with server.connect() as client:
                assert client.ask("/").status == 200
            with opened(server) as client:
                client.text("hi")
                assert client.read_message() == "hi"
                client.say_goodbye()
        release(server, is_over)


def test_the_end_can_be_heard_often_at_once(serve: Serve, notes: Notes) -> None:
    """Who asks whether there is something right now, and takes no turn for it, is told."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put(ended(await receive())[0])
        for _ in range(10):
            with pytest.raises(StopIteration) as over:
                receive().send(None)  # type: ignore[attr-defined]
            notes.put(ended(over.value.value)[0])
        notes.put("over")

    with serve(app) as server:
        with opened(server) as client:
            client.say_goodbye()
        for _ in range(11):
            assert notes.get() == 1000
        assert notes.get() == "over"


# ---- a client that has left


def test_one_that_left_behind_messages_that_nobody_takes(serve: Serve) -> None:
    """Reading is paused: a ping notices it, and so does the limit of WebSockets."""
    is_over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await is_over.wait()

    times = {"ws_ping_interval": SHORT, "ws_ping_timeout": SHORT}
    with serve(app, ws_max_queue=2, **times) as server:
        with opened(server) as client:
            for _ in range(10):
                client.text("anybody?")
        wait_until_all_are_gone(server)
        release(server, is_over)


def test_a_fin_before_the_accept_of_a_half_closed_one(serve: Serve, notes: Notes) -> None:
    """Nothing can become of it: with --half-close too."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        notes.put("in")
        notes.put(ended(await receive())[0])

    with serve(app, half_close=True) as server, WebSocketClient(server.address) as client:
        client.send(handshake())
        assert notes.get() == "in"
        client.fin()
        assert notes.get() == 1006


def test_a_fin_behind_a_pipelined_handshake(serve: Serve, notes: Notes) -> None:
    """What came before it is received, and then its end."""
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            notes.put("in")
            await go_on.wait()
            await echo(scope, receive, send)
            return
        await accept(receive, send)
        notes.put((await receive())["text"])
        notes.put(ended(await receive())[0])

    with serve(app, half_close=True) as server, WebSocketClient(server.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" + handshake() + frame(TEXT, b"hi"))
        assert notes.get() == "in"
        client.fin()
        server.settle()
        release(server, go_on)
        assert client.read_response().status == 200
        assert notes.get() == "hi"
        assert notes.get() == 1006
        client.discard_to_end()


def test_messages_that_were_read_before_a_reset(serve: Serve, notes: Notes) -> None:
    """Those behind a full queue, too: they came in one packet with the first."""
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put((await receive())["text"])
        await go_on.wait()
        received = 1
        while (message := await receive())["type"] == "websocket.receive":
            received += 1
        notes.put(received)
        notes.put(ended(message)[0])

    with serve(app, ws_max_queue=4) as server, opened(server) as client:
        client.send(frame(TEXT, b"x") * 100)
        assert notes.get() == "x"
        client.rst()
        wait_until_all_are_gone(server)
        release(server, go_on)
        assert notes.get() == 100
        assert notes.get() == 1006


def test_a_fault_behind_messages_ends_the_connection(serve: Serve, notes: Notes) -> None:
    """With no other time that runs: the one that lets the client read our close frame is enough."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put((await receive())["text"])
        notes.put(ended(await receive())[0])

    with serve(app, timeout_linger=SHORT, **NO_TIMES) as server, opened(server) as client:
        client.send(frame(TEXT, b"hi") + frame(0xB))
        assert notes.get() == "hi"
        assert notes.get() == 1002
        assert client.read_frame().code == 1002
        wait_until_all_are_gone(server)


# ---- times count from what they are about, however long a step or a wait before it was

WAITS = pytest.mark.parametrize("blocks", [True, False], ids=["blocks", "waits"])


async def pass_time(seconds: float, *, blocks: bool) -> None:
    """Let time pass with the loop, or without."""
    if blocks:
        time.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


@WAITS
def test_the_idle_time_counts_from_the_accept(serve: Serve, blocks: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await pass_time(1.7, blocks=blocks)
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send(text(message["text"]))

    with serve(app, ws_idle_timeout=1.5, ws_ping_interval=0) as server, opened(server) as client:
        client.text("hi")
        assert client.read_message() == "hi"
        client.say_goodbye()


@WAITS
def test_the_idle_time_counts_from_what_is_sent(serve: Serve, notes: Notes, blocks: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await receive()
        await pass_time(1.2, blocks=blocks)
        notes.put(time.monotonic())
        await send(text("late"))
        await receive()

    with serve(app, ws_idle_timeout=2, ws_ping_interval=0) as server, opened(server) as client:
        client.text("hi")
        assert client.read_message() == "late"
        assert client.read_frame().opcode == CLOSE
        assert time.monotonic() - notes.get() > 1.9


@WAITS
def test_the_time_for_a_close_counts_from_its_frame(
    serve: Serve, notes: Notes, blocks: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await receive()
        await pass_time(1.2, blocks=blocks)
        notes.put(time.monotonic())
        await send({"type": "websocket.close", "code": 4000})

    with serve(app, ws_close_timeout=1, ws_ping_interval=0) as server, opened(server) as client:
        client.text("hi")
        assert client.read_frame().code == 4000
        assert client.read_to_end() == b""
        assert time.monotonic() - notes.get() > 0.9


def test_the_first_ping_comes_after_its_interval(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(1.2)
        notes.put(time.monotonic())
        await send({"type": "websocket.accept"})
        await receive()

    with serve(app, ws_ping_interval=1) as server, opened(server) as client:
        assert client.read_frame().opcode == PING
        assert time.monotonic() - notes.get() > 0.9


def test_who_is_not_read_is_not_idle(serve: Serve, notes: Notes) -> None:
    """The application is slow; the client has said enough."""
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put("in")
        await go_on.wait()
        for _ in range(12):
            notes.put((await receive())["text"])
        notes.put(ended(await receive())[0])

    times = {"ws_idle_timeout": SHORT, "ws_ping_interval": 0}
    with serve(app, ws_max_queue=2, **times) as server, opened(server) as client:
        for number in range(12):
            client.text(str(number))
        assert notes.get() == "in"
        assert stays_quiet(client)
        release(server, go_on)
        for number in range(12):
            assert notes.get() == str(number)
        client.read_frame()
        client.send(frame(CLOSE))
        assert notes.get() == 1001
