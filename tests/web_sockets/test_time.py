# SPDX-License-Identifier: MIT
"""Pings, the times that an end may take, the limit of WebSockets, and a stop of the server."""

from __future__ import annotations

import asyncio
import select
import signal
import time
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send
from tests.support.measured import ROOT
from tests.support.server_process import ServerProcess
from tests.support.web_socket import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    WebSocketClient,
    close_frame,
    connect,
    frame,
    handshake,
    opened,
)
from tests.web_sockets.applications import accept, echo, ended, noted_echo

SHORT = 0.2
LONG = 60.0


def stays_quiet(client: WebSocketClient, seconds: float = 4 * SHORT) -> bool:
    """Tell whether nothing comes for a while, not even an end."""
    return not client.buffer and not select.select([client.sock], [], [], seconds)[0]


# ---- pings


def read_past_pings(client: WebSocketClient) -> Frame:
    """Read the next frame that is no ping."""
    while (found := client.read_frame()).opcode == PING:
        pass
    return found


def test_pings_come_while_they_are_answered(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes), ws_ping_interval=SHORT, ws_ping_timeout=LONG) as server:
        begin = time.monotonic()
        with opened(server) as client:
            payloads = []
            for _ in range(3):
                ping = client.read_frame()
                assert ping.opcode == PING
                client.send(frame(PONG, ping.payload))
                payloads.append(ping.payload)
            assert 2.5 * SHORT < time.monotonic() - begin < 15
            client.text("hi")
            assert read_past_pings(client) == Frame(TEXT, b"hi")
            client.send(close_frame())
            assert read_past_pings(client).code == 1000
            assert client.read_to_end() == b""
            assert notes.get() == (1000, "")


def test_no_pong(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes), ws_ping_interval=SHORT, ws_ping_timeout=SHORT) as server:
        with opened(server) as client:
            assert client.read_frame().opcode == PING
            close = client.read_frame()
            while close.opcode == PING:
                close = client.read_frame()
            assert (close.code, close.reason) == (1011, "keepalive ping timeout")
            client.discard_to_end()
            assert notes.get()[0] in (1006, 1011)


def test_a_pong_for_nothing_is_no_answer(serve: Serve) -> None:
    with serve(echo, ws_ping_interval=SHORT, ws_ping_timeout=2 * SHORT) as server:
        with opened(server) as client:
            assert client.read_frame().opcode == PING
            client.send(frame(PONG, b"something else"))
            close = client.read_frame()
            while close.opcode == PING:
                close = client.read_frame()
            assert close.code == 1011
            client.discard_to_end()


@pytest.mark.parametrize("interval", [None, 0])
def test_no_pings(serve: Serve, interval: float | None) -> None:
    with serve(echo, ws_ping_interval=interval, ws_ping_timeout=SHORT) as server:
        with opened(server) as client:
            assert stays_quiet(client)
            client.say_goodbye()


@pytest.mark.parametrize("timeout", [None, 0])
def test_pings_that_need_no_answer(serve: Serve, timeout: float | None) -> None:
    with serve(echo, ws_ping_interval=SHORT, ws_ping_timeout=timeout) as server:
        with opened(server) as client:
            assert [client.read_frame().opcode for _ in range(4)] == [PING] * 4
            client.send(close_frame())
            close = client.read_frame()
            while close.opcode == PING:
                close = client.read_frame()
            assert close.code == 1000


def test_pings_do_not_cut_a_message(serve: Serve) -> None:
    """A ping goes out between two frames, while the peer sends slowly."""
    with serve(echo, ws_ping_interval=SHORT, ws_ping_timeout=LONG) as server:
        with opened(server) as client:
            data = frame(TEXT, b"x" * 40)
            client.send(data[:20])
            assert client.read_frame().opcode == PING
            client.send(data[20:])
            message = client.read_frame()
            while message.opcode == PING:
                message = client.read_frame()
            assert message == Frame(TEXT, b"x" * 40)


# ---- an end that takes too long


async def closes(scope: Scope, receive: Receive, send: Send) -> None:
    """Close at once."""
    await accept(receive, send)
    await send({"type": "websocket.close", "code": 4000})


def test_a_client_that_does_not_answer_a_close(serve: Serve) -> None:
    with serve(closes, ws_close_timeout=SHORT) as server:
        begin = time.monotonic()
        with opened(server) as client:
            assert client.read_frame().code == 4000
            assert client.read_to_end() == b""
            assert SHORT / 2 < time.monotonic() - begin < 8


def test_a_client_that_talks_on_instead(serve: Serve) -> None:
    with serve(closes, ws_close_timeout=SHORT) as server, opened(server) as client:
        assert client.read_frame().code == 4000
        begin = time.monotonic()
        while time.monotonic() - begin < 10:
            try:
                client.send(frame(TEXT, b"on and on" * 1000))
            except ConnectionError:
                break
        else:
            raise AssertionError("the connection stays open")


def test_no_time_for_a_close(serve: Serve) -> None:
    with serve(closes, ws_close_timeout=0) as server, opened(server) as client:
        assert client.read_close().code == 4000


# ---- nothing comes


def test_an_idle_connection_is_closed(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes), ws_idle_timeout=1.5) as server:
        with opened(server) as client:
            for _ in range(4):
                assert stays_quiet(client, 0.5)
                client.text("hi")
                assert client.read_message() == "hi"
            begin = time.monotonic()
            close = client.read_frame()
            assert close.opcode == CLOSE and close.code in (1000, 1001, 1008, 1011), close
            assert time.monotonic() - begin > SHORT
            client.send(close_frame(close.code))
            client.discard_to_end()
            notes.get()


@pytest.mark.parametrize("idle_timeout", [None, 0])
def test_idle_connections_may_stay(serve: Serve, idle_timeout: float | None) -> None:
    with serve(echo, ws_idle_timeout=idle_timeout) as server, opened(server) as client:
        assert stays_quiet(client)
        client.say_goodbye()


def test_other_limits_of_http_are_over(serve: Serve) -> None:
    """What limits a request does not end a WebSocket."""
    limits = {
        "timeout_keep_alive": 1,
        "timeout_head": 1,
        "timeout_body": 1,
        "timeout_request": 1,
        "timeout_unread_body": 1,
        "timeout_linger": 1,
    }
    with serve(echo, **limits) as server, opened(server) as client:
        assert stays_quiet(client, 1.5)
        client.text("hi")
        assert client.read_message() == "hi"
        client.say_goodbye()


# ---- how many


def test_the_limit_of_web_sockets(serve: Serve) -> None:
    with serve(echo, limit_websockets=2) as server:
        with opened(server) as one, opened(server) as two:
            for _ in range(3):
                with connect(server) as client:
                    client.send(handshake())
                    response = client.read_response()
                    assert response.status == 503 and response.get(b"retry-after")
            with connect(server) as client:
                client.assert_open()
            one.say_goodbye()
            server.settle()
            with opened(server) as three:
                three.say_goodbye()
            two.say_goodbye()


def test_a_connection_that_drops_makes_room(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes), limit_websockets=1) as server:
        for how in ("fin", "close", "rst") * 3:
            with opened(server) as client:
                client.leave(how)
                assert notes.get()[0] == 1006
            server.settle()


# ---- what is about requests only


def test_the_time_of_a_request_is_not_that_of_a_web_socket(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await echo(scope, receive, send)
        else:
            await asyncio.Event().wait()

    with serve(app, timeout_request=SHORT) as server:
        clients = []
        for _ in range(3):
            clients.append(opened(server))
            with server.connect() as asker:
                assert asker.ask("/").status == 504
        for client in clients:
            client.text("hi")
            assert client.read_message() == "hi"
            client.say_goodbye()
            client.close()


# ---- a stop of the process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal(number: int) -> None:
    """Every client is told 1012, and has time to answer."""
    with process() as server:
        clients = [opened(At(server)) for _ in range(5)]
        for client in clients:
            client.text("hi")
            assert client.read_message() == "hi"
        server.signal(number)
        for client in clients:
            assert client.read_frame().code == 1012
        for client in clients:
            client.send(close_frame(1012))
            assert client.read_to_end() == b""
            client.close()
        assert server.wait() == (-number if number == signal.SIGTERM else 0)
        assert not any("Traceback" in line for line in server.errors())


def test_a_signal_and_a_client_that_does_not_answer() -> None:
    with process("--ws-close-timeout", "0.3") as server:
        with opened(At(server)) as client:
            server.signal(signal.SIGTERM)
            assert client.read_frame().code == 1012
            assert client.read_to_end() == b""
            assert server.wait() == -signal.SIGTERM


class At:
    """The address of a server that is a process."""

    def __init__(self, server: ServerProcess) -> None:
        self.address = ("127.0.0.1", server.wait_until_running())


def process(*arguments: str) -> ServerProcess:
    """Serve the echo in a process."""
    target = "tests.web_sockets.applications:echo"
    options: Any = ("--port", "0", "--lifespan", "off", *arguments)
    return ServerProcess(target, *options, cwd=ROOT)


def test_the_disconnect_of_a_signal(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put("in")
        notes.put([ended(await receive())[0] for _ in range(2)])

    with serve(app) as server, opened(server) as client:
        assert notes.get() == "in"
        server.server.should_exit = True
        assert client.read_frame().code == 1012
        client.send(close_frame(1012))
        assert client.read_to_end() == b""
        first, second = notes.get()
        assert first == 1012 and second in (1012, 1006)
