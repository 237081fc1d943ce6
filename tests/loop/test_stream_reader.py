# SPDX-License-Identifier: MIT
"""asyncio's StreamReader on a stream. cuvee's loop fills it without calling feed_data(), and nobody
can tell: not at the limits, not with methods of their own, not where something fails."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.loop.streams_support import Errors, Recorder, close_all, on_both_loops, run_on
from tests.loop.support import ROOT, WAIT


class Connection(NamedTuple):
    """A reader, what fills it, and a socket that nobody watches at the other end."""

    reader: Any  # whose private fields are looked at
    protocol: Any
    transport: asyncio.Transport
    peer: socket.socket

    async def receive(self, data: bytes) -> None:
        """Send from the peer, and wait until it was taken out of our socket."""
        self.peer.send(data)
        await until(lambda: unread(self.transport) == 0)

    async def close(self) -> None:
        """End it."""
        close_all(self.transport, self.peer)
        await until(lambda: self.protocol._transport is None)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets; what is sent into one is in the other at once."""
    first, second = socket.socketpair()
    first.setblocking(False)
    second.setblocking(False)
    return first, second


async def connect(
    limit: Any = 65536,
    reader_kind: type[asyncio.StreamReader] = asyncio.StreamReader,
    protocol_kind: type[asyncio.StreamReaderProtocol] = asyncio.StreamReaderProtocol,
) -> Connection:
    loop = asyncio.get_running_loop()
    first, second = pair()
    reader = reader_kind(limit, loop)
    protocol = protocol_kind(reader, loop=loop)
    transport, _ = await loop.create_connection(lambda: protocol, sock=first)
    return Connection(reader, protocol, transport, second)


async def until(condition: Callable[[], bool]) -> None:
    """Turn the loop until a condition holds."""
    while not condition():
        await asyncio.sleep(0)


def unread(transport: asyncio.Transport) -> int:
    """How many bytes wait in the socket."""
    sock = transport.get_extra_info("socket")
    count: int = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)))[0]
    return count


# ---- reading


@on_both_loops
def test_all_ways_to_read(factory) -> None:
    async def main() -> None:
        connection = await connect()
        reader, peer = connection.reader, connection.peer
        peer.send(b"line\nex")
        assert await reader.readline() == b"line\n"
        exactly = asyncio.create_task(reader.readexactly(5))
        await connection.receive(b"act")
        assert await exactly == b"exact"
        parted = asyncio.create_task(reader.readuntil(b"--"))
        await connection.receive(b"until-")
        await connection.receive(b"-some")
        assert await parted == b"until--"
        assert await reader.read(100) == b"some"
        rest = asyncio.create_task(reader.read())
        await connection.receive(b"the ")
        await connection.receive(b"rest")
        peer.close()
        assert await rest == b"the rest"
        assert reader.at_eof()
        await connection.close()

    run_on(factory, main())


@on_both_loops
def test_much_data_arrives_as_it_was_sent(factory) -> None:
    async def main() -> None:
        connection = await connect(limit=10_000)
        loop = asyncio.get_running_loop()
        data = bytes(range(256)) * 8192
        sending = asyncio.create_task(loop.sock_sendall(connection.peer, data))
        got = bytearray()
        while len(got) < len(data):
            got += await connection.reader.read(7777)
        await sending
        assert got == data
        await connection.close()

    run_on(factory, main())


@on_both_loops
def test_a_reader_that_is_cancelled_loses_nothing(factory) -> None:
    async def main() -> None:
        connection = await connect()
        reading = asyncio.create_task(connection.reader.read(100))
        await until(lambda: connection.reader._waiter is not None)
        connection.peer.send(b"data")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await connection.reader.read(100) == b"data"
        await connection.close()

    run_on(factory, main())


@on_both_loops
def test_a_waiter_that_is_cancelled_is_not_woken(factory) -> None:
    """As when a task is cancelled in the turn in which its data comes."""

    async def main() -> None:
        connection = await connect()
        waiter = asyncio.get_running_loop().create_future()
        waiter.cancel()
        connection.reader._waiter = waiter
        await connection.receive(b"data")
        await until(lambda: connection.reader._buffer == b"data")
        assert connection.reader._waiter is None
        await connection.close()

    run_on(factory, main())


# ---- limits


@on_both_loops
def test_reading_pauses_above_twice_the_limit_and_goes_on_at_the_limit(factory) -> None:
    async def main() -> None:
        connection = await connect(limit=100)
        reader, transport = connection.reader, connection.transport
        await connection.receive(bytes(199))
        assert transport.is_reading()
        await connection.receive(bytes(1))
        assert transport.is_reading()
        await connection.receive(bytes(1))
        await until(lambda: len(reader._buffer) == 201)
        assert not transport.is_reading()
        connection.peer.send(b"later")
        await reader.readexactly(100)
        assert not transport.is_reading()
        await reader.readexactly(1)
        assert transport.is_reading()
        await until(lambda: unread(transport) == 0)
        assert await reader.readexactly(105) == bytes(100) + b"later"
        await connection.close()

    run_on(factory, main())


@on_both_loops
@pytest.mark.parametrize(
    ("limit", "size", "goes_on"),
    [
        (1, 2, True),
        (1, 3, False),
        (1.5, 3, True),
        (1.5, 4, False),
        (float("inf"), 1000, True),
        (1 << 80, 1000, True),
        (sys.maxsize, 1000, True),
        (True, 3, False),
    ],
)
def test_kinds_of_limits(factory, limit: Any, size: int, goes_on: bool) -> None:
    async def main() -> None:
        connection = await connect(limit)
        await connection.receive(bytes(size))
        await until(lambda: len(connection.reader._buffer) == size)
        assert connection.transport.is_reading() is goes_on
        await connection.close()

    run_on(factory, main())


@on_both_loops
@pytest.mark.parametrize("limit", [0, -1, -sys.maxsize - 1, -(1 << 80)])
def test_a_limit_that_was_set_below_one_pauses_always(factory, limit: int) -> None:
    async def main() -> None:
        connection = await connect()
        connection.reader._limit = limit
        await connection.receive(b"x")
        await until(lambda: len(connection.reader._buffer) == 1)
        assert not connection.transport.is_reading()
        await connection.close()

    run_on(factory, main())


class CannotPause:
    """A transport that knows no pauses, or fails to make one."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error
        self.asked = 0

    def pause_reading(self) -> None:
        self.asked += 1
        raise self.error


@on_both_loops
def test_a_transport_that_cannot_pause_is_asked_once(factory) -> None:
    async def main() -> None:
        connection = await connect(limit=1)
        transport = CannotPause(NotImplementedError)
        connection.reader._transport = transport
        await connection.receive(b"abc")
        await connection.receive(b"def")
        await until(lambda: connection.reader._buffer == b"abcdef")
        assert transport.asked == 1 and connection.reader._transport is None
        await connection.close()

    run_on(factory, main())


# ---- methods of others


class CountingReader(asyncio.StreamReader):
    fed: bytes = b""

    def feed_data(self, data: Any) -> None:
        self.fed += data
        super().feed_data(data)


class CountingProtocol(asyncio.StreamReaderProtocol):
    fed: bytes = b""

    def data_received(self, data: bytes) -> None:
        self.fed += data
        super().data_received(data)


@on_both_loops
def test_methods_of_subclasses_are_called(factory) -> None:
    async def main() -> None:
        for kinds in (
            {"reader_kind": CountingReader},
            {"protocol_kind": CountingProtocol},
            {"reader_kind": CountingReader, "protocol_kind": CountingProtocol},
        ):
            connection = await connect(**kinds)  # type: ignore[arg-type]
            connection.peer.send(b"data")
            assert await connection.reader.read(100) == b"data"
            counting = connection.reader if "reader_kind" in kinds else connection.protocol
            assert counting.fed == b"data"
            await connection.close()

    run_on(factory, main())


@on_both_loops
@pytest.mark.parametrize("kind", [asyncio.StreamReader, asyncio.StreamReaderProtocol])
def test_methods_that_are_replaced_in_a_class_are_called(
    factory, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever that happens; and no more once they are back."""
    name = "feed_data" if kind is asyncio.StreamReader else "data_received"
    original = getattr(kind, name)
    seen: list[bytes] = []

    def method(self: Any, data: bytes) -> None:
        seen.append(data)
        original(self, data.upper())

    async def main() -> None:
        connection = await connect()
        reader, peer = connection.reader, connection.peer
        for _ in range(2):
            peer.send(b"before")
            assert await reader.read(100) == b"before"
            with monkeypatch.context() as patch:
                patch.setattr(kind, name, method)
                peer.send(b"meanwhile")
                assert await reader.read(100) == b"MEANWHILE"
        peer.send(b"after")
        assert await reader.read(100) == b"after"
        await connection.close()

    run_on(factory, main())
    assert seen == [b"meanwhile"] * 2


@on_both_loops
@pytest.mark.parametrize("of_reader", [True, False])
def test_a_method_that_an_object_comes_with_is_called(factory, of_reader: bool) -> None:
    seen: list[bytes] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, peer = pair()
        reader: Any = asyncio.StreamReader(loop=loop)
        protocol: Any = asyncio.StreamReaderProtocol(reader, loop=loop)
        owner, name = (reader, "feed_data") if of_reader else (protocol, "data_received")
        original = getattr(owner, name)

        def function(data: bytes) -> None:
            seen.append(data)
            original(data.upper())

        setattr(owner, name, function)
        transport, _ = await loop.create_connection(lambda: protocol, sock=first)
        for _ in range(2):
            peer.send(b"data")
            assert await reader.read(100) == b"DATA"
        await Connection(reader, protocol, transport, peer).close()

    run_on(factory, main())
    assert seen == [b"data"] * 2


@pytest.mark.parametrize("method", ["StreamReader.feed_data", "StreamReaderProtocol.data_received"])
def test_a_method_that_was_replaced_before_cuvee_was_imported_is_called(method: str) -> None:
    program = f"""
import asyncio, functools
original = asyncio.{method}

@functools.wraps(original)
def upper(self, data):
    original(self, data.upper())

asyncio.{method} = upper
import cuvee.loop

async def answer(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    assert await reader.read() == b"HELLO\\n"
    writer.close()
    server.close()

cuvee.loop.run(main())
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=WAIT)


@on_both_loops
def test_a_buffer_of_another_kind(factory) -> None:
    class Buffer(bytearray):
        fed = b""

        def extend(self, data: Any) -> None:
            self.fed += data
            super().extend(data)

    async def main() -> None:
        connection = await connect()
        buffer = connection.reader._buffer = Buffer()
        connection.peer.send(b"data")
        assert await connection.reader.read(100) == b"data"
        assert buffer.fed == b"data"
        await connection.close()

    run_on(factory, main())


# ---- protocols that come and go


@on_both_loops
def test_another_protocol_takes_over_and_gives_back(factory) -> None:
    async def main() -> None:
        connection = await connect()
        reader, transport, peer = connection.reader, connection.transport, connection.peer
        other = Recorder()
        peer.send(b"first")
        assert await reader.read(100) == b"first"
        transport.set_protocol(other)
        peer.send(b"second")
        await other.until_data(6)
        transport.set_protocol(connection.protocol)
        peer.send(b"third")
        assert await reader.read(100) == b"third"
        assert other.data == b"second"
        await connection.close()

    run_on(factory, main())


@on_both_loops
def test_a_reader_that_is_gone_does_not_end_the_connection(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, peer = pair()
        errors = Errors()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, sock=first)
        del reader
        gc.collect()
        peer.send(b"for nobody")
        await until(lambda: unread(transport) == 0)
        assert transport.is_reading() and errors.contexts == []
        await Connection(None, protocol, transport, peer).close()

    run_on(factory, main())


@on_both_loops
def test_a_protocol_that_finds_its_reader_otherwise(factory) -> None:
    async def main() -> None:
        connection = await connect()
        connection.protocol._stream_reader_wr = lambda: connection.reader
        connection.peer.send(b"data")
        assert await connection.reader.read(100) == b"data"
        await connection.close()

    run_on(factory, main())


# ---- what goes wrong


def has_seen_the_end(reader: Any) -> object:
    reader.feed_eof()
    return None


def has_a_buffer_that_is_shown(reader: Any) -> object:
    reader._buffer.extend(b"before")
    return memoryview(reader._buffer)


def has_a_waiter_that_is_done(reader: Any) -> object:
    reader._waiter = asyncio.get_running_loop().create_future()
    reader._waiter.set_result(None)
    return None


def has_a_transport_that_fails(reader: Any) -> object:
    reader._limit = 1
    reader._transport = CannotPause(ZeroDivisionError)
    return None


def has_no_buffer(reader: Any) -> object:
    del reader._buffer
    return None


def has_no_limit(reader: Any) -> object:
    del reader._limit
    return None


def has_no_waiter(reader: Any) -> object:
    del reader._waiter
    return None


@on_both_loops
@pytest.mark.parametrize(
    ("prepare", "kind"),
    [
        (has_seen_the_end, AssertionError),
        (has_a_buffer_that_is_shown, BufferError),
        (has_a_waiter_that_is_done, asyncio.InvalidStateError),
        (has_a_transport_that_fails, ZeroDivisionError),
        (has_no_buffer, AttributeError),
        (has_no_limit, AttributeError),
        (has_no_waiter, AttributeError),
    ],
    ids=lambda value: value.__name__,
)
def test_what_fails_ends_the_connection(
    factory, prepare: Callable[[Any], object], kind: type[Exception]
) -> None:
    async def main() -> None:
        errors = Errors()
        connection = await connect()
        kept = prepare(connection.reader)
        connection.peer.send(b"data")
        context = await errors.first()
        assert context["message"] == "Fatal error: protocol.data_received() call failed."
        assert type(context["exception"]) is kind
        assert context["transport"] is connection.transport
        assert context["protocol"] is connection.protocol
        del kept
        connection.reader._waiter = None
        await connection.close()
        assert connection.reader.exception() is context["exception"]
        errors.contexts.clear()

    run_on(factory, main())
