# SPDX-License-Identifier: MIT
"""Stream transports: what a protocol sees of a connection, held against asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import hashlib
import logging
import os
import socket
import sys
import warnings
from asyncio import trsock
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.loop.streams_support import (
    Recorder,
    close_all,
    connected_pair,
    connected_to_socket,
    fill,
    on_both_loops,
    read_all,
    run_here,
    run_on,
    tcp_pair,
    turns,
)

# ---- identity


def test_is_a_transport_of_asyncio() -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        assert isinstance(transport, asyncio.Transport)
        assert type(transport).__module__.startswith("cuvee")
        assert transport.get_protocol() is protocol
        close_all(transport, peer)
        await protocol.until_called("lost")

    run_here(main())


def test_repr_says_what_it_does() -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        fd = transport.get_extra_info("socket").fileno()
        await turns()
        assert repr(transport) == f"<StreamTransport fd={fd} read=polling write=<idle, bufsize=0>>"
        transport.pause_reading()
        assert "read=idle" in repr(transport)
        await fill(transport)
        size = transport.get_write_buffer_size()
        assert f"write=<polling, bufsize={size}>" in repr(transport)
        transport.close()
        assert repr(transport).startswith(f"<StreamTransport closing fd={fd} ")
        transport.abort()
        await protocol.until_called("lost")
        assert repr(transport) == f"<StreamTransport closed fd={fd}>"
        peer.close()

    run_here(main())


@on_both_loops
def test_extra_info(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        sock = transport.get_extra_info("socket")
        assert isinstance(sock, trsock.TransportSocket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) in (0, 1)
        assert transport.get_extra_info("sockname") == peer.getpeername() == sock.getsockname()
        assert transport.get_extra_info("peername") == peer.getsockname() == sock.getpeername()
        assert transport.get_extra_info("nonsense") is None
        assert transport.get_extra_info("nonsense", 3) == 3
        assert transport.get_extra_info("sslcontext", default=4) == 4
        transport.close()
        await protocol.until_called("lost")
        assert transport.get_extra_info("peername") == peer.getsockname()
        assert sock.fileno() == -1
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_names_of_unix_sockets(factory, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        accepted = Recorder()
        loop = asyncio.get_running_loop()
        async with await loop.create_unix_server(lambda: accepted, path):
            transport, _ = await loop.create_unix_connection(Recorder, path)
            await accepted.until_called("made")
            assert transport.get_extra_info("peername") == path
            assert transport.get_extra_info("sockname") == ""
            assert accepted.transport.get_extra_info("sockname") == path
            assert accepted.transport.get_extra_info("peername") == ""
            assert accepted.transport.get_extra_info("socket").family == socket.AF_UNIX
            transport.close()
            await accepted.until_called("lost")

    run_on(factory, main())


def test_names_of_ipv6_sockets() -> None:
    async def main() -> None:
        accepted = Recorder()
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: accepted, "::1", 0) as server:
            address = server.sockets[0].getsockname()
            transport, _ = await loop.create_connection(Recorder, *address[:2])
            await accepted.until_called("made")
            sock = accepted.transport.get_extra_info("socket")
            assert accepted.transport.get_extra_info("sockname") == address == sock.getsockname()
            assert accepted.transport.get_extra_info("peername") == sock.getpeername()
            transport.close()
            await accepted.until_called("lost")

    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    run_here(main())


# ---- order


@on_both_loops
def test_order_of_calls(factory) -> None:
    async def main() -> None:
        first, second = tcp_pair()
        second.send(b"early")  # there before anybody reads
        second.close()
        protocol = Recorder()
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=first)
        assert protocol.names == ["made"]
        await protocol.until_called("lost")
        assert protocol.names == ["made", "data", "eof", "lost"]
        assert protocol.data == b"early"
        assert protocol.lost_with is None

    run_on(factory, main())


@on_both_loops
def test_waiting_for_the_connection_ends_after_connection_made(factory) -> None:
    class Slow(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            asyncio.get_running_loop().call_soon(self.note, "later")

    async def main() -> None:
        protocol = Slow()
        transport, peer = await connected_to_socket(protocol)
        assert protocol.names == ["made", "later"]
        close_all(transport, peer)
        await protocol.until_called("lost")

    run_on(factory, main())


@on_both_loops
def test_connection_lost_comes_later_and_once(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        assert not transport.is_closing()
        transport.close()
        assert transport.is_closing()
        assert protocol.names == ["made"]
        transport.close()
        transport.abort()
        await turns()
        assert protocol.names == ["made", "lost"]
        transport.close()
        transport.abort()
        await turns()
        assert protocol.names == ["made", "lost"]
        peer.close()

    run_on(factory, main())


# ---- reading


@on_both_loops
def test_large_transfer_arrives_whole(factory) -> None:
    async def main() -> None:
        here, there = Recorder(), Recorder()
        near, far = await connected_pair(here, there)
        body = bytes(range(256)) * 32768  # 8 MiB
        for start in range(0, len(body), 1 << 20):
            near.write(body[start : start + (1 << 20)])
        far.write(body)
        await there.until_data(len(body))
        await here.until_data(len(body))
        digests = {hashlib.sha256(data).digest() for data in (body, here.data, there.data)}
        assert len(digests) == 1
        close_all(near, far)
        await here.until_called("lost")
        await there.until_called("lost")

    run_on(factory, main())


@on_both_loops
def test_paused_reading(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        assert transport.is_reading()
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        peer.send(b"abc")
        await turns()
        assert protocol.names == ["made"]
        transport.resume_reading()
        transport.resume_reading()
        assert transport.is_reading()
        await protocol.until_data(3)
        transport.pause_reading()
        transport.close()
        assert not transport.is_reading()
        transport.resume_reading()
        transport.pause_reading()
        await protocol.until_called("lost")
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_reading_paused_in_connection_made(factory) -> None:
    class Paused(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()

    async def main() -> None:
        protocol = Paused()
        transport, peer = await connected_to_socket(protocol)
        peer.send(b"abc")
        await turns()
        assert protocol.names == ["made"]
        transport.resume_reading()
        await protocol.until_data(3)
        close_all(transport, peer)
        await protocol.until_called("lost")

    run_on(factory, main())


@on_both_loops
def test_reading_paused_in_data_received(factory) -> None:
    class OneByOne(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        protocol = OneByOne()
        transport, peer = await connected_to_socket(protocol)
        peer.send(b"one")
        await protocol.until_called("data")
        peer.send(b"two")
        await turns()
        assert protocol.data == b"one"
        transport.resume_reading()
        await protocol.until_called("data", 2)
        assert protocol.data == b"onetwo"
        close_all(transport, peer)
        await protocol.until_called("lost")

    run_on(factory, main())


class Buffered(asyncio.BufferedProtocol):
    """Is given what arrives in a buffer of five bytes."""

    def __init__(self) -> None:
        self.buffer = bytearray(5)
        self.recorder = Recorder()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.recorder.connection_made(transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        assert sizehint == -1
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.recorder.data_received(bytes(self.buffer[:nbytes]))

    def eof_received(self) -> None:
        self.recorder.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.recorder.connection_lost(exc)


@on_both_loops
def test_buffered_protocol(factory) -> None:
    async def main() -> None:
        protocol = Buffered()
        _, peer = await connected_to_socket(protocol)
        peer.send(b"twelve bytes")
        peer.close()
        await protocol.recorder.until_called("lost")
        pieces = [value for name, value in protocol.recorder.calls if name == "data"]
        assert pieces == [b"twelv", b"e byt", b"es"]
        assert protocol.recorder.names == ["made", "data", "eof", "lost"]

    run_on(factory, main())


@on_both_loops
def test_another_protocol_takes_over(factory) -> None:
    async def main() -> None:
        first, second, third = Recorder(), Buffered(), Recorder()
        transport, peer = await connected_to_socket(first)
        peer.send(b"one")
        await first.until_data(3)
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        peer.send(b"two")
        await second.recorder.until_data(3)
        transport.set_protocol(third)
        peer.send(b"three")
        await third.until_data(5)
        peer.close()
        await third.until_called("lost")
        assert first.names == ["made", "data"]
        assert second.recorder.names == ["data"]
        assert third.names == ["data", "eof", "lost"]

    run_on(factory, main())


# ---- writing


@on_both_loops
@pytest.mark.parametrize(
    "data",
    [
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"a view of bytes")[2:6],
        memoryview(bytearray(b"a view")),
        type("Bytes", (bytes,), {})(b"a subclass"),
    ],
    ids=lambda data: f"{type(data).__name__}-{len(data)}",
)
def test_what_can_be_written(factory, data) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        transport.write(data)
        transport.writelines([data, b"-", data])
        transport.close()
        assert await read_all(peer) == bytes(data) + bytes(data) + b"-" + bytes(data)
        peer.close()

    run_on(factory, main())


def test_nothing_can_be_written() -> None:
    async def main() -> None:
        transport, peer = await connected_to_socket(Recorder())
        transport.write(b"")
        transport.writelines([])
        transport.writelines([b"", b"-", bytearray()])
        transport.writelines(iter([b"an", b"iterator"]))
        assert transport.get_write_buffer_size() == 0
        transport.close()
        assert await read_all(peer) == b"-aniterator"
        peer.close()

    run_here(main())


@on_both_loops
@pytest.mark.parametrize("data", ["text", 3, None, [1]])
def test_what_cannot_be_written(factory, data) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        with pytest.raises(TypeError, match="data argument must be a bytes"):
            transport.write(data)
        if data is not None:  # asyncio of 3.14 leaves it out
            with pytest.raises(TypeError):
                transport.writelines([b"good", data])
        transport.close()
        assert await read_all(peer) == b""  # not half of it
        peer.close()

    run_on(factory, main())


def test_what_may_change_is_copied() -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        written = await fill(transport)
        data = bytearray(b"before")
        transport.write(data)
        transport.writelines([memoryview(data)])
        data[:] = b"after!"
        data += b"and it can be resized, which a view would forbid"
        transport.close()
        assert await read_all(peer) == bytes(written) + b"before" * 2
        peer.close()

    run_here(main())


@on_both_loops
def test_many_small_writes_keep_their_order(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        expected = bytearray(await fill(transport))
        for number in range(500):
            piece = b"%d " % number
            transport.write(piece)
            transport.writelines([piece, piece])
            expected += piece * 3
        assert transport.get_write_buffer_size() > 500
        transport.close()
        assert await read_all(peer) == expected
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_close_sends_what_is_queued(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        body = bytes(range(256)) * 32768
        transport.write(body)
        assert transport.get_write_buffer_size() > 0
        transport.close()
        transport.write(b"and this")  # closing, but not yet lost
        await turns()
        assert protocol.names[-1] != "lost"
        assert await read_all(peer) == body + b"and this"
        await protocol.until_called("lost")
        assert protocol.lost_with is None
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_abort_drops_what_is_queued(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        written = await fill(transport)
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        await protocol.until_called("lost")
        assert protocol.lost_with is None
        assert len(await read_all(peer)) < written
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_writes_after_the_end_are_ignored(factory, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        transport.close()
        for _ in range(4):
            transport.write(b"ignored")
        assert caplog.messages == []
        await protocol.until_called("lost")
        transport.write(b"ignored")
        transport.write(b"ignored")
        assert caplog.messages == ["socket.send() raised exception."] * 2
        assert await read_all(peer) == b""
        peer.close()

    with caplog.at_level(logging.WARNING, "asyncio"):
        run_on(factory, main())


@on_both_loops
def test_peer_resets(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        await protocol.until_called("lost")
        assert isinstance(protocol.lost_with, ConnectionResetError)
        assert protocol.names == ["made", "lost"]
        transport.write(b"ignored")

    run_on(factory, main())


@on_both_loops
def test_write_to_a_peer_that_has_gone(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        transport.pause_reading()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        transport.write(b"fails")
        assert transport.is_closing()
        transport.write(b"ignored")
        await protocol.until_called("lost")
        assert isinstance(protocol.lost_with, (BrokenPipeError, ConnectionResetError))

    run_on(factory, main())


# ---- half-closed connections


@on_both_loops
def test_eof_closes_unless_the_protocol_wants_it_open(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        peer.shutdown(socket.SHUT_WR)
        await protocol.until_called("lost")
        assert protocol.names == ["made", "eof", "lost"]
        assert transport.is_closing()
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_half_closed_by_the_peer(factory) -> None:
    async def main() -> None:
        protocol = Recorder(keep_open=True)
        transport, peer = await connected_to_socket(protocol)
        peer.send(b"question")
        peer.shutdown(socket.SHUT_WR)
        await protocol.until_called("eof")
        await turns()
        transport.write(b"answer")
        await turns()
        transport.close()
        assert await read_all(peer) == b"answer"
        await protocol.until_called("lost")
        assert protocol.names == ["made", "data", "eof", "lost"]
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_half_closed_by_us(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        assert transport.can_write_eof()
        written = await fill(transport)
        transport.write_eof()  # after what is queued
        transport.write_eof()
        with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
            transport.write(b"more")
        with pytest.raises(RuntimeError, match="Cannot call write"):
            transport.writelines([b"more"])
        assert len(await read_all(peer)) == written
        assert not transport.is_closing()
        peer.send(b"answer")
        await protocol.until_data(6)
        peer.close()
        await protocol.until_called("lost")
        assert protocol.names[-3:] == ["data", "eof", "lost"]

    run_on(factory, main())


# ---- context

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="outside")


class InContext(Recorder):
    """Notes the variable with each call, and sets it."""

    def note(self, name: str, value: object = None) -> None:
        super().note(name, var.get())
        if name == "data":
            var.set("set by data_received")


@on_both_loops
def test_callbacks_run_in_the_context_of_creation(factory) -> None:
    async def main() -> None:
        protocol = InContext()
        var.set("of creation")
        _, peer = await connected_to_socket(protocol)
        var.set("of later")
        peer.send(b"one")
        await protocol.until_called("data")
        peer.send(b"two")
        await protocol.until_called("data", 2)
        peer.close()
        await protocol.until_called("lost")
        assert var.get() == "of later"
        assert protocol.calls == [
            ("made", "of creation"),
            ("data", "of creation"),
            ("data", "set by data_received"),
            ("eof", "set by data_received"),
            ("lost", "set by data_received"),
        ]

    run_on(factory, main())


@on_both_loops
def test_accepted_connections_have_their_own_context(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[InContext] = []

        def new_protocol() -> InContext:
            made.append(InContext())
            made[-1].note("factory")
            var.set(f"of number {len(made)}")
            return made[-1]

        var.set("of the server")
        async with await loop.create_server(new_protocol, "127.0.0.1", 0) as server:
            var.set("of later")
            address = server.sockets[0].getsockname()
            clients = [socket.create_connection(address) for _ in range(2)]
            for client in clients:
                client.send(b"x")
                client.close()
            while len(made) < 2:
                await asyncio.sleep(0)
            for number, protocol in enumerate(made, 1):
                await protocol.until_called("lost")
                values = [value for _, value in protocol.calls]
                name = f"of number {number}"
                assert values[:3] == ["of the server", name, name]

    run_on(factory, main())


# ---- what is forgotten


def warnings_of(main: Coroutine[Any, Any, object]) -> list[str]:
    """Run until everything that was left open is collected; return what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_here(main)
        gc.collect()
    return [str(warning.message) for warning in caught]


def test_unclosed_transport_warns() -> None:
    peers = []

    async def main() -> None:
        _, peer = await connected_to_socket(Recorder())
        peers.append(peer)

    texts = warnings_of(main())
    assert any(text.startswith("unclosed transport <StreamTransport fd=") for text in texts)
    assert peers[0].recv(1) == b""  # it was closed all the same
    peers[0].close()


def test_transport_lives_while_it_is_open() -> None:
    async def main() -> None:
        protocol = Recorder()
        first, second = tcp_pair()
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=first)
        protocol.transport = None  # type: ignore[assignment]
        gc.collect()
        second.send(b"abc")
        await protocol.until_data(3)
        second.close()
        await protocol.until_called("lost")

    run_here(main())


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_loop_that_closes_lets_go_of_its_transports() -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def main() -> None:
        transport, peer = await connected_to_socket(Recorder())
        transport.pause_reading()
        peer.close()

    run_here(asyncio.sleep(0))
    before = open_files()
    texts = warnings_of(main())
    assert any(text.startswith("unclosed transport") for text in texts)
    assert open_files() == before


def test_socket_that_its_giver_closes_stays_open() -> None:
    async def main() -> None:
        protocol = Recorder()
        first, second = tcp_pair()
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: protocol, sock=first
        )
        first.close()
        # Else this would be given the number, and what it receives to the protocol.
        other, stranger = tcp_pair()
        stranger.send(b"not for you")
        second.send(b"for you")
        await protocol.until_data(7)
        transport.write(b"thanks")
        transport.close()
        assert await read_all(second) == b"thanks"
        assert protocol.data == b"for you"
        assert first.fileno() == -1
        close_all(second, other, stranger)

    run_here(main())


@on_both_loops
def test_reads_of_every_size(factory) -> None:
    """What a read makes room for follows what comes: nothing is lost when that changes."""
    sizes = [1, 40_000, 1, 65_536, 65_536, 131_072, 300_000, 1_000_000, 100, 70_000, 3, 2, 1]

    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        loop = asyncio.get_running_loop()
        sent = b""
        for size in sizes * 2:
            data = os.urandom(size)
            sent += data
            await asyncio.gather(loop.sock_sendall(peer, data), protocol.until_data(len(sent)))
        assert protocol.data == sent
        assert all(type(value) is bytes for name, value in protocol.calls if name == "data")
        close_all(transport, peer)

    run_on(factory, main())
