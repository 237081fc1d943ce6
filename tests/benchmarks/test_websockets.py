# SPDX-License-Identifier: MIT
"""The WebSocket clients of the benchmarks send what they say, and overlook nothing that comes back wrong."""

from __future__ import annotations

import ast
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from benchmarks import bare_tasks, idle_websockets, rounds, servers
from benchmarks.servers import ServerError
from benchmarks.websocket_clients import Clients, Talk
from benchmarks.works import WORKS
from tests.support.measured import SANITIZED

RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

CORE = min(os.sched_getaffinity(0))

Message = tuple[int, bytes]
Reply = Callable[[int, bytes], bytes]


def frame(opcode: int, payload: bytes, first: int = 0x80) -> bytes:
    """A frame of a server; `first` has the bits of its first byte, FIN among them."""
    if len(payload) < 126:
        length = bytes([len(payload)])
    elif len(payload) < 65536:
        length = struct.pack("!BH", 126, len(payload))
    else:
        length = struct.pack("!BQ", 127, len(payload))
    return bytes([first | opcode]) + length + payload


def echo(opcode: int, payload: bytes) -> bytes:
    return frame(opcode, payload)


def read_frame(file: BinaryIO) -> Message:
    """A frame of a client, which has to be whole and masked."""
    first, second = file.read(2)
    assert first & 0xF0 == 0x80
    assert second & 0x80
    length = second & 0x7F
    if length > 125:
        size = 2 if length == 126 else 8
        length = int.from_bytes(file.read(size), "big")
    mask = file.read(4)
    assert mask != bytes(4)
    payload = file.read(length)
    return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Server:
    """Answers every handshake alike, and every message as it is told to."""

    def __init__(self, reply: Reply, response: bytes, greeting: bytes, all_hear: bool) -> None:
        self.heard: list[Message] = []
        self._reply = reply
        self._opening = response + greeting
        self._all_hear = all_hear
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def stop(self) -> None:
        """Wait for the end of everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as file:
            try:
                while file.readline() != b"\r\n":
                    pass
                self._open.append(sock)
                sock.sendall(self._opening)
                self._talk(sock, file)
            except (ConnectionError, ValueError):
                pass  # it went without a goodbye, as it does when something is wrong

    def _talk(self, sock: socket.socket, file: BinaryIO) -> None:
        while True:
            opcode, payload = read_frame(file)
            self.heard.append((opcode, payload))
            if opcode == CLOSE:
                sock.sendall(frame(CLOSE, payload))
                return
            if opcode == PONG:
                continue
            answer = self._reply(opcode, payload)
            if not answer:
                return
            for hearer in list(self._open) if self._all_hear else [sock]:
                hearer.sendall(answer)


@contextmanager
def serving(
    reply: Reply = echo, response: bytes = RESPONSE, greeting: bytes = b"", all_hear: bool = False
) -> Iterator[Server]:
    server = Server(reply, response, greeting, all_hear)
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("size", [0, 1, 11, 125, 126, 65535, 65536])
@pytest.mark.parametrize("text", [True, False])
def test_what_is_sent_comes_back_and_is_counted(size: int, text: bool) -> None:
    with serving() as server:
        with Clients(Talk("echo", 2, size, depth=3, text=text), server.port) as clients:
            told = clients.count(10)
            assert clients.count(1)["messages"] == 6
    assert told["messages"] == 12
    assert told["bytes"] == 12 * size
    assert 0 < told["p50_us"] <= told["p90_us"] <= told["p99_us"] <= told["p999_us"]
    assert told["p999_us"] <= told["max_us"] <= told["seconds"] * 1e6
    messages = [payload for opcode, payload in server.heard if opcode == (TEXT if text else BINARY)]
    assert len(messages) == 18
    assert {len(message) for message in messages} == {size}
    # Those of other connections and other places in a batch differ, where there is room for that.
    assert len(set(messages)) == (6 if size > 1 else len(set(messages)))
    assert [opcode for opcode, _ in server.heard].count(CLOSE) == 2


def test_it_goes_on_for_as_long_as_it_is_told_to() -> None:
    with serving() as server, Clients(Talk("echo", 2), server.port) as clients:
        told = clients.go_on(0.05)
    assert told["seconds"] >= 0.05
    assert told["messages"] > 2


def differs(opcode: int, payload: bytes) -> bytes:
    return frame(opcode, payload[:-1] + bytes([payload[-1] ^ 1]))


WRONG: dict[str, tuple[Reply, str]] = {
    "differs": (differs, "its bytes differ"),
    "long": (lambda opcode, payload: frame(opcode, payload + b"x"), "opcode 2, 65 bytes"),
    "short": (lambda opcode, payload: frame(opcode, payload[:-1]), "63 bytes of 64"),
    "kind": (lambda _, payload: frame(TEXT, payload), "opcode 1"),
    "twice": (lambda opcode, payload: frame(opcode, payload) * 2, "that nobody sent"),
    "compressed": (lambda opcode, payload: frame(opcode, payload, 0xC0), "compressed"),
    "masked": (lambda opcode, _: bytes([0x80 | opcode, 0x80]), "masked"),
    "closes": (lambda *_: frame(CLOSE, b"\x03\xe8"), "the server closed a connection"),
    "ends": (lambda *_: b"", "the server closed a connection"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_comes_back_wrong_is_an_error(what: str) -> None:
    reply, complaint = WRONG[what]
    with serving(reply) as server, Clients(Talk("echo", 1), server.port) as clients:
        with pytest.raises(ServerError, match=complaint):
            clients.count(1)


@pytest.mark.parametrize(
    "response", [b"HTTP/1.1 403 Forbidden\r\n\r\n", RESPONSE.replace(b"s3p", b"S3P")]
)
def test_a_handshake_that_fails_is_an_error(response: bytes) -> None:
    with serving(response=response) as server:
        with pytest.raises(ServerError, match="refuses the upgrade: HTTP"):
            with Clients(Talk("echo", 1), server.port):
                pass


def test_pieces_with_a_ping_between_them_are_one_message() -> None:
    def reply(opcode: int, payload: bytes) -> bytes:
        pieces = frame(opcode, payload[:10], 0) + frame(PING, b"there?") + frame(0, b"", 0)
        return pieces + frame(0, payload[10:])

    with serving(reply) as server:
        with Clients(Talk("echo", 1, depth=2), server.port) as clients:
            told = clients.count(2)
    assert told["messages"] == 2
    assert told["pings"] == 2
    assert server.heard.count((PONG, b"there?")) == 2


def test_a_broadcast_counts_what_each_gets() -> None:
    with serving(all_hear=True) as server:
        with Clients(Talk("broadcast", 5, 100, depth=2), server.port) as clients:
            told = clients.count(15)
    assert told["messages"] == 20
    assert len([one for one in server.heard if one[0] == BINARY]) == 4


def test_those_at_rest_answer_pings_and_survive_an_end() -> None:
    with serving(greeting=frame(PING, b"a") + frame(PING, b"b")) as server:
        with Clients(Talk("idle", 3), server.port) as clients:
            told = clients.go_on(0.05)
    assert told["closed"] == 0
    assert server.heard.count((PONG, b"a")) == server.heard.count((PONG, b"b")) == 3
    with serving(greeting=frame(CLOSE, b"")) as server:
        with Clients(Talk("idle", 3), server.port) as clients:
            assert clients.go_on(0.05)["closed"] == 3


def test_an_offer_that_is_taken_is_counted() -> None:
    agreed = RESPONSE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    with serving(response=agreed) as server:
        with Clients(Talk("idle", 2, offer=True), server.port) as clients:
            assert clients.deflated == 2


@contextmanager
def limit() -> Iterator[servers.RunningServer]:
    """The C server of the benchmarks, which every figure is compared with."""
    command = servers.PEERS["limit"].command(sys.executable, "", access_log=False)
    server = servers.start("limit", command, CORE)
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 300_000])
def test_the_limit_echoes(size: int) -> None:
    with limit() as server:
        with Clients(Talk("echo", 3, size, depth=4, text=True), server.port) as clients:
            assert clients.count(30)["messages"] == 32
        rounds.check_answer(server, WORKS["hello"])
        server.check_alive()


def test_the_limit_tells_all() -> None:
    with limit() as server:
        rounds.check_answer(server, WORKS["broadcast-1k"])
        with Clients(Talk("broadcast", 20, 1_024), server.port, "/broadcast") as clients:
            assert clients.count(50)["messages"] == 60
        server.check_alive()


CONDITIONS = rounds.Conditions({}, sys.executable, 1, 1, CORE, CORE)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
def test_a_bare_task_takes_the_memory_of_its_scope_and_little_more() -> None:
    row = idle_websockets.bare(CONDITIONS, idle_websockets.Rest(2_000, 0))
    assert row["failed"] == {}
    least = sum(map(sys.getsizeof, (scope := bare_tasks.scope_of(1), *scope["headers"])))
    assert least < row["bytes"] < 4_000


def test_bare_tasks_that_do_not_begin_are_a_failure() -> None:
    conditions = rounds.Conditions({}, "/bin/true", 1, 1, CORE, CORE)
    row = idle_websockets.bare(conditions, idle_websockets.Rest(10, 0))
    assert row["failed"] == {"memory": "bare_tasks.py does not begin"}


def test_the_bare_scope_is_the_one_that_cuvee_gives(tmp_path: Path) -> None:
    (tmp_path / "scopes.py").write_text(
        "from chat import accept\n"
        "async def app(scope, receive, send):\n"
        "    await accept(scope, receive, send)\n"
        "    told = {name: value for name, value in scope.items() if name != 'state'}\n"
        f"    open({str(tmp_path / 'scope')!r}, 'w').write(repr(told))\n"
        "    await receive()\n"
    )
    command = servers.PEERS["cuvee"].command(sys.executable, "scopes:app", access_log=False)
    command += ["--app-dir", str(tmp_path)]
    server = servers.start("cuvee", command, CORE)
    try:
        with Clients(Talk("idle", 1), server.port) as clients:
            clients.go_on(0.05)
        told = ast.literal_eval((tmp_path / "scope").read_text())
    finally:
        server.stop()
    bare = bare_tasks.scope_of(told["client"][1])
    here = f":{server.port}".encode()
    bare["headers"] = [(k, v.replace(b":8000", here)) for k, v in bare["headers"]]
    bare["server"] = ("127.0.0.1", server.port)
    del bare["state"]
    assert told == bare


def test_websockets_at_rest_have_a_row_of_figures() -> None:
    rest = idle_websockets.Rest(200, 0.05)
    bare = idle_websockets.bare(CONDITIONS, rest)
    row = idle_websockets.of_server("cuvee", servers.PEERS["cuvee"], CONDITIONS, rest, bare)
    assert row["failed"] == {}
    assert row["bytes_above_bare"] == row["bytes"] - bare["bytes"]
    assert row["compressing"] == 200
    assert row["cpu_percent"] >= 0
    assert row["pings"] == 0
