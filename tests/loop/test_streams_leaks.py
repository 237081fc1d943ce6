# SPDX-License-Identifier: MIT
"""Connections that come and go leave nothing behind: no memory block, no descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cuvee import _core
from tests.loop import datagrams_support
from tests.loop.streams_support import Errors, Recorder, read_all, run_here, turns

BATCHES = 6
ROUNDS = 500
MAY_GROW = ROUNDS // 10
"""Blocks in the batch that grows least: what leaks grows in each, while the interpreter's free lists,
which count as allocated, fill up in some."""

OURS = (
    _core.LoopCore,
    _core.Handle,
    _core.StreamTransport,
    _core.StreamAcceptor,
    _core.DatagramTransport,
)

Scenario = Callable[[Path], Awaitable[None]]


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected, non-blocking Unix sockets."""
    pair = socket.socketpair()
    for sock in pair:
        sock.setblocking(False)
    return pair


def reset_at_close(sock: Any) -> None:
    """Leave no TIME_WAIT behind: the ports would run out."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def ask_a_server(_folder: Path) -> None:
    """A server that lives for one question."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello")
    assert await reader.read() == b"hello"
    reset_at_close(writer.get_extra_info("socket"))
    writer.close()
    await writer.wait_closed()
    server.close()
    await done.wait()
    await turns()


async def ask_over_unix(folder: Path) -> None:
    accepted = Recorder()
    loop = asyncio.get_running_loop()
    path = str(folder / "socket")
    server = await loop.create_unix_server(lambda: accepted, path)
    transport, _ = await loop.create_unix_connection(Recorder, path)
    transport.writelines([b"hello", bytearray(b"world")])
    await accepted.until_data(10)
    assert accepted.transport.get_extra_info("socket") is not None
    transport.abort()
    await accepted.until_called("lost")
    server.close()


async def abort_with_a_full_queue(_folder: Path) -> None:
    first, second = socket_pair()
    protocol = Recorder()
    loop = asyncio.get_running_loop()
    first.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    transport, _ = await loop.create_connection(lambda: protocol, sock=first)
    for _ in range(20):
        transport.write(bytes(10_000))
        transport.write(bytearray(10_000))
    assert transport.get_write_buffer_size() > 0
    transport.abort()
    await protocol.until_called("lost")
    second.close()


async def fail_in_data_received(_folder: Path) -> None:
    class Fails(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    first, second = socket_pair()
    errors = Errors()
    protocol = Fails()
    await asyncio.get_running_loop().create_connection(lambda: protocol, sock=first)
    second.send(b"data")
    await errors.first()
    await protocol.until_called("lost")
    asyncio.get_running_loop().set_exception_handler(None)
    second.close()


async def sockets_alone(_folder: Path) -> None:
    loop = asyncio.get_running_loop()
    first, second = socket_pair()
    waiting = asyncio.create_task(loop.sock_recv(first, 10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await loop.sock_sendall(second, b"data")
    second.close()
    assert await read_all(first) == b"data"
    first.close()


async def datagrams(_folder: Path) -> None:
    one = await datagrams_support.bound()
    two = await datagrams_support.connected(one.address)
    two.transport.sendto(b"there")
    _, sender = await one.first("received")
    one.transport.sendto(b"back", sender)
    one.transport.sendto(bytes(70_000), two.address)
    await two.first("received")
    await one.close()
    await two.close()


async def abort_with_queued_datagrams(_folder: Path) -> None:
    left, right = datagrams_support.unix_pair()
    end = await datagrams_support.given(left)
    while not end.values("pause"):
        end.transport.sendto(bytearray(10_000), None)
    end.transport.abort()
    await end.first("lost")
    right.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
@pytest.mark.parametrize(
    "scenario",
    [
        ask_a_server,
        ask_over_unix,
        abort_with_a_full_queue,
        fail_in_data_received,
        sockets_alone,
        datagrams,
        abort_with_queued_datagrams,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_nothing_is_left(scenario: Scenario, tmp_path: Path) -> None:
    async def repeat(times: int) -> int:
        for _ in range(times):
            await scenario(tmp_path)
        await turns()
        gc.collect()
        return sys.getallocatedblocks()

    async def main() -> tuple[list[int], int, int]:
        counts = [await repeat(ROUNDS)]
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(BATCHES):
            counts.append(await repeat(ROUNDS))
        return counts, files, len(os.listdir("/proc/self/fd"))

    counts, files_before, files_after = run_here(main())
    assert files_after == files_before
    assert min(after - before for before, after in pairwise(counts)) <= MAY_GROW


def left() -> Counter[str]:
    """How many of our objects there are."""
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(kind.__name__ for kind in kinds if issubclass(kind, OURS))


def test_loops_go_with_their_streams() -> None:
    """A loop that is closed with streams on it leaves nothing, and they do not keep it."""

    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # asyncio before 3.13 trips over a cancelled handler, and what it logs keeps the stream.
            with contextlib.suppress(asyncio.CancelledError):
                await reader.read()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        server.close()
        writer.close()

    run_here(main())
    before = left()
    for _ in range(50):
        run_here(main())
    assert left() == before


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_loops_go_with_their_datagram_endpoints() -> None:
    async def main() -> None:
        one = await datagrams_support.bound()
        two = await datagrams_support.connected(one.address)
        two.transport.sendto(b"x")
        await one.first("received")

    run_here(main())
    before = left()
    for _ in range(50):
        run_here(main())
    assert left() == before
