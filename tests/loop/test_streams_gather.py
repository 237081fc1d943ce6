# SPDX-License-Identifier: MIT
"""Small writes that follow another one in the same turn: they leave together at its end, and in order."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

import cuvee
from tests.loop.streams_support import (
    WAIT,
    Recorder,
    close_all,
    connected_pair,
    connected_to_socket,
    on_both_loops,
    read_all,
    run_here,
    run_on,
    tcp_pair,
    turns,
)

LARGE = bytes(range(256)) * 400
MOST = 16384
"""What is gathered at most, as csrc/loop/stream_gather.c has it."""


@contextmanager
def connected() -> Iterator[tuple[asyncio.AbstractEventLoop, asyncio.Transport, socket.socket]]:
    """A loop that is not running, a transport on it, and a blocking socket at the other end."""
    near, far = tcp_pair()
    far.settimeout(WAIT)
    with asyncio.Runner(loop_factory=cuvee.new_event_loop) as runner:
        loop = runner.get_loop()
        transport, _ = runner.run(loop.create_connection(Recorder, sock=near))
        with far:
            yield loop, transport, far
            transport.close()
            runner.run(turns())


def has_nothing(sock: socket.socket) -> bool:
    """Whether nothing has come to a non-blocking socket."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    return False


async def with_two_writes(
    protocol: asyncio.BaseProtocol | None = None,
) -> tuple[asyncio.Transport, socket.socket]:
    """A connection on which "first," was sent in this turn, and "second," has gathered."""
    transport, far = await connected_to_socket(protocol or Recorder())
    await turns()
    transport.write(b"first,")
    transport.write(b"second,")
    return transport, far


def test_the_first_goes_at_once_and_the_others_together() -> None:
    async def main() -> None:
        transport, far = await connected_to_socket(Recorder())
        await turns()
        transport.write(b"first")
        assert far.recv(100) == b"first"
        transport.write(b"second,")
        transport.write(b"third")
        assert has_nothing(far)
        assert transport.get_write_buffer_size() == len(b"second,third")
        await turns()
        assert transport.get_write_buffer_size() == 0
        assert far.recv(100) == b"second,third"
        transport.write(b"of another turn")
        assert far.recv(100) == b"of another turn"
        close_all(transport, far)
        await turns()

    run_here(main())


def test_what_is_large_takes_along_what_has_gathered() -> None:
    async def main() -> None:
        here = Recorder()
        transport, far = await with_two_writes(here)
        transport.write(LARGE)
        assert transport.get_write_buffer_size() == 0
        transport.write(b",last")
        assert transport.get_write_buffer_size() == len(b",last")
        transport.close()
        assert await read_all(far) == b"first,second," + LARGE + b",last"
        far.close()
        await here.until_called("lost")
        assert here.names == ["made", "lost"]

    run_here(main())


def test_no_more_gathers_than_a_limit() -> None:
    async def main() -> None:
        transport, far = await connected_to_socket(Recorder())
        await turns()
        written = bytearray()
        sizes = []
        for number in range(100):
            piece = b"%d," % number * 200
            transport.write(piece)
            written += piece
            sizes.append(transport.get_write_buffer_size())
        assert MOST / 2 < max(sizes) <= MOST
        transport.close()
        assert await read_all(far) == written
        far.close()

    run_here(main())


@pytest.mark.parametrize("high", [0, 10])
def test_nothing_gathers_that_would_pause_the_protocol(high: int) -> None:
    async def main() -> None:
        here = Recorder()
        transport, far = await connected_to_socket(here)
        await turns()
        transport.set_write_buffer_limits(high)
        for _ in range(10):
            transport.write(b"1234567")
            assert transport.get_write_buffer_size() <= high
        transport.close()
        assert await read_all(far) == b"1234567" * 10
        far.close()
        await here.until_called("lost")
        assert here.names == ["made", "lost"]

    run_here(main())


@on_both_loops
def test_what_may_still_change_does_not_wait(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        data = bytearray(b"third")
        transport, far = await with_two_writes()
        transport.write(data)
        transport.write(memoryview(data)[:1])
        data[:] = b"wrong"
        transport.close()
        assert await read_all(far) == b"first,second,thirdt"
        far.close()

    run_on(factory, main())


@on_both_loops
@pytest.mark.parametrize("end", ["close", "write_eof"])
def test_an_end_comes_after_what_has_gathered(
    factory: Callable[[], asyncio.AbstractEventLoop], end: str
) -> None:
    async def main() -> None:
        here = Recorder()
        transport, far = await with_two_writes(here)
        getattr(transport, end)()
        assert await read_all(far) == b"first,second,"
        far.close()
        await here.until_called("lost")
        assert here.lost_with is None

    run_on(factory, main())


def test_writes_after_close_with_something_gathered() -> None:
    """As long as it has something to send, a transport that is closing takes more, as asyncio's."""

    async def main() -> None:
        here = Recorder()
        transport, far = await with_two_writes(here)
        transport.close()
        transport.write(b"third,")
        transport.write(LARGE)
        transport.writelines([b",", b"last"])
        assert await read_all(far) == b"first,second,third," + LARGE + b",last"
        far.close()
        await here.until_called("lost")
        assert here.lost_with is None

    run_here(main())


@on_both_loops
def test_abort_loses_none_of_it(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        here = Recorder()
        transport, far = await with_two_writes(here)
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        await here.until_called("lost")
        assert here.names == ["made", "lost"]
        assert await read_all(far) == b"first,second,"
        far.close()

    run_on(factory, main())


@pytest.mark.parametrize("wrong", [False, True])
def test_lines_take_along_what_has_gathered(wrong: bool) -> None:
    async def main() -> None:
        transport, far = await with_two_writes()
        if wrong:
            with pytest.raises(TypeError):
                transport.writelines([b"lost", 1])  # type: ignore[list-item]
            assert far.recv(100) == b"first,"
            await turns()
            assert far.recv(100) == b"second,"
        else:
            transport.writelines([b"third,", b"fourth"])
            assert transport.get_write_buffer_size() == 0
            assert far.recv(100) == b"first,second,third,fourth"
            transport.write(b"fifth")
            assert has_nothing(far)
        close_all(transport, far)
        await turns()

    run_here(main())


def test_a_peer_that_is_gone_by_the_end_of_the_turn() -> None:
    async def main() -> None:
        here = Recorder()
        _, far = await with_two_writes(here)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        await here.until_called("lost")
        assert here.names == ["made", "lost"]
        assert isinstance(here.lost_with, ConnectionError)

    run_here(main())


def test_what_the_kernel_does_not_take_follows_later() -> None:
    async def main() -> None:
        here = Recorder()
        transport, far = await connected_to_socket(here, small=True)
        await turns()
        written = bytearray()
        while transport.get_write_buffer_size() == 0:
            for piece in (b"1", b"2" * 8000, b"3" * 8000):
                transport.write(piece)
                written += piece
            await turns(5)
        transport.write(b"last")  # there is no first one while the queue is not empty
        transport.close()
        assert await read_all(far) == written + b"last"
        far.close()
        await here.until_called("lost")
        assert here.names == ["made", "lost"]

    run_here(main())


def test_sendfile_comes_after_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        there = Recorder()
        transport, far = await connected_pair(Recorder(), there)
        await turns()
        transport.write(b"first,")
        transport.write(b"second,")
        with path.open("rb") as file:
            assert await loop.sendfile(transport, file) == len(LARGE)
        await there.until_data(len(LARGE) + 13)
        assert there.data == b"first,second," + LARGE
        close_all(transport, far)
        await turns()

    run_here(main())


@pytest.mark.parametrize("how", ["stop", "exit"])
def test_the_end_of_a_run_waits_for_it(how: str) -> None:
    with connected() as (loop, transport, far):

        def write() -> None:
            transport.write(b"first,")
            transport.write(b"second")
            if how == "exit":
                raise SystemExit
            loop.stop()

        loop.call_soon(write)
        with pytest.raises(SystemExit) if how == "exit" else nullcontext():
            loop.run_forever()
        assert transport.get_write_buffer_size() == 0
        assert far.recv(12, socket.MSG_WAITALL) == b"first,second"


def test_nothing_gathers_while_the_loop_does_not_run() -> None:
    with connected() as (_, transport, far):
        for piece in (b"first", b"second", b"third"):
            transport.write(piece)
            assert transport.get_write_buffer_size() == 0
            assert far.recv(100) == piece


def test_nothing_gathers_in_another_thread() -> None:
    """That is not allowed; but what asyncio sends, though nobody wakes the loop, is sent here."""
    with connected() as (loop, transport, far):
        answers: list[bytes] = []

        def write() -> None:
            for piece in (b"first", b"second"):
                transport.write(piece)
                answers.append(far.recv(100))
            loop.call_soon_threadsafe(loop.stop)

        thread = threading.Thread(target=write)
        loop.call_soon(thread.start)
        loop.run_forever()
        thread.join(WAIT)
        assert answers == [b"first", b"second"]


def test_many_connections_in_one_turn() -> None:
    """Each has its own, and a callback at the end of one may write to another."""

    class Chain(Recorder):
        """Writes to the next when it is closed."""

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            for piece in (b"from ", b"the ", b"one before"):
                if self.next is not None:
                    self.next.transport.write(piece)
            if self.next is not None:
                self.next.transport.close()

        next: Chain | None = None

    async def main() -> None:
        chain = [Chain() for _ in range(20)]
        pairs = [await connected_to_socket(protocol) for protocol in chain]
        for before, after in itertools.pairwise(chain):
            before.next = after
        await turns()
        for number, (transport, _) in enumerate(pairs):
            transport.write(b"%d," % number)
            transport.write(b"%d," % number)
        pairs[0][0].close()
        for number, (_, far) in enumerate(pairs):
            end = b"from the one before" if number else b""
            assert await read_all(far) == b"%d,%d," % (number, number) + end
            far.close()
        for protocol in chain:
            await protocol.until_called("lost")

    run_here(main())
