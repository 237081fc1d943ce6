# SPDX-License-Identifier: MIT
"""Ends of WebSockets that the server, its options or a deaf application bring about leave nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Callable

import pytest

from tests.leaks.conftest import BLOCKS, Effort
from tests.leaks.scenarios import Scenario
from tests.leaks.test_server import APPLICATION, check
from tests.leaks.web_socket_parts import ws_echo
from tests.leaks.web_socket_scenarios import DEFLATE, WEB_SOCKET_SCENARIOS, each, talk_compressed
from tests.support.asgi import WAIT
from tests.support.embedded import make_server, port_of, run, until
from tests.support.measured import MeasuredServer
from tests.support.server import loop_factory
from tests.support.web_socket import (
    CLOSE,
    PING,
    TEXT,
    WebSocketClient,
    close_frame,
    connect,
    frame,
    handshake,
    opened,
)

EACH = 5
"""What happens on one connection: the dicts of as many scopes as there are connections are kept."""
WAITING = b"".join(frame(TEXT, b"waits") for _ in range(100))
BROKEN = frame(TEXT, b"waits") + frame(TEXT, b"", mask=None)
BOTH_LOOPS = pytest.mark.parametrize(
    "loop", ["cuvee", pytest.param("asyncio", marks=pytest.mark.full)]
)


def broken_off(server: MeasuredServer, count: int) -> None:
    """An answer to a handshake that has no end."""
    for _ in range(count):
        with connect(server) as client:
            client.send(handshake("/ws_half_denied"))
            client.read_until(b"part")
            client.read_to_end()


def gone_in_the_handshake(how: str) -> Scenario:
    """The client goes before it is answered."""

    def run(server: MeasuredServer, count: int) -> None:
        for _ in range(count):
            client = connect(server)
            client.send(handshake("/ws_wait"))
            client.leave(how)
            client.close()

    return run


def gone(how: str, *data: bytes) -> Callable[[WebSocketClient], None]:
    """Send, and go."""

    def what(client: WebSocketClient) -> None:
        client.send(*data)
        client.leave(how)

    return what


def pinged(server: MeasuredServer, count: int) -> None:
    """Nobody answers the pings (under a short --ws-ping-interval and --ws-ping-timeout)."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(opened(server, "/ws_echo")) for _ in range(count)]
        for client in clients:
            assert client.read_frame().opcode == PING
            assert client.read_close().code == 1011


def break_rules_unheard(server: MeasuredServer, count: int) -> None:
    """Break a rule behind a message that the application does not take: its time has to run out."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(opened(server, "/ws_deaf")) for _ in range(count)]
        for client in clients:
            client.send(BROKEN)
        for client in clients:
            while (last := client.read_frame()).opcode != CLOSE:
                pass
            assert last.code == 1002


def too_many(server: MeasuredServer, count: int) -> None:
    """No second one is taken (under --limit-websockets 1)."""
    for _ in range(count // EACH):
        with opened(server, "/ws_echo") as first:
            for _ in range(EACH):
                with connect(server) as client:
                    client.send(handshake("/ws_echo"))
                    assert client.read_response().status == 503
                    client.read_to_end()
            first.say_goodbye()


def kept_context(server: MeasuredServer, count: int) -> None:
    """Compressed messages on a WebSocket that keeps a context, of which there are several."""
    for _ in range(count // EACH):
        with opened(server, "/ws_echo", DEFLATE) as client:
            for _ in range(EACH):
                talk_compressed(client)
            client.say_goodbye()


SCENARIOS: dict[str, tuple[Scenario, dict[str, float]]] = {
    "fields and a subprotocol": (each("/ws_chosen", WebSocketClient.say_goodbye), {}),
    "half denied": (broken_off, {}),
    "gone before the answer, FIN": (gone_in_the_handshake("close"), {}),
    "gone before the answer, RST": (gone_in_the_handshake("rst"), {}),
    "messages wait, FIN": (each("/ws_deaf", gone("close", WAITING)), {}),
    "messages wait, RST": (each("/ws_deaf", gone("rst", WAITING)), {}),
    "nobody takes them": (each("/ws_deaf_to_the_end", gone("rst", WAITING)), {}),
    "a rule is broken behind them": (break_rules_unheard, {"ws_close_timeout": 0.005}),
    "no pong": (pinged, {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.05}),
    "too many": (too_many, {"limit_websockets": 1}),
    "a context is kept": (kept_context, {"ws_deflate_context": True}),
    "no close frame": (
        WEB_SOCKET_SCENARIOS["closed by the application"],
        {"ws_close_timeout": 0},
    ),
}


@pytest.mark.timeout(300)
@BOTH_LOOPS
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_left(effort: Effort, name: str, loop: str) -> None:
    scenario, options = SCENARIOS[name]
    with MeasuredServer(APPLICATION, loop=loop, access_log=False, **options) as server:
        check(server, scenario, effort)


async def stop_with_clients(count: int) -> None:
    """Run a server, and stop it while clients are there that are told 1012."""
    server = make_server(ws_echo)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    pairs = [await asyncio.open_connection("127.0.0.1", port_of(server)) for _ in range(count)]
    for reader, writer in pairs:
        writer.write(handshake("/", "Sec-WebSocket-Protocol: chat"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    server.should_exit = True
    for reader, writer in pairs:
        assert (await reader.readexactly(4))[2:] == (1012).to_bytes(2, "big")
        writer.write(close_frame(1012))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    await asyncio.wait_for(task, WAIT)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["cuvee", "asyncio"])
def test_a_stop_leaves_nothing(effort: Effort, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """(uvloop keeps a block of every client of its own, whatever serves it.)"""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")  # pytest keeps every record
    rounds = effort.runs // 40

    async def main() -> None:
        await stop_with_clients(100)  # the dicts of as many scopes are kept
        for _ in range(12):  # what leaks grows each time; what the clients keep, too, settles
            before = sys.getallocatedblocks()
            for _ in range(rounds):
                await stop_with_clients(5)
            gc.collect()
            grown = sys.getallocatedblocks() - before
            if grown <= BLOCKS:
                return
        raise AssertionError(grown)

    run(loop_factory(kind), main)
