# SPDX-License-Identifier: MIT
"""A descriptor is closed once: its number may be another file's by then."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import cuvee
from tests.loop.streams_support import on_both_loops, run_on, tcp_pair
from tests.loop.support import Script, linux_only, open_files

Way = Callable[[Path], Awaitable[Any]]


class Lost(asyncio.Protocol):
    """Lets a test wait for the end."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


async def end(transport: Any, way: str) -> None:
    """End a transport, and keep it and its protocol."""
    protocol = transport.get_protocol()
    getattr(transport, way)()
    await protocol.lost
    await asyncio.sleep(0)


async def a_connection(_folder: Path) -> Any:
    loop = asyncio.get_running_loop()
    first, second = tcp_pair()
    transport, _ = await loop.create_connection(Lost, sock=first)
    second.close()
    return transport


async def a_connection_made(_folder: Path) -> Any:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport, _ = await loop.create_connection(Lost, *listener.getsockname())
    return transport


async def a_connection_whose_giver_closes_it(_folder: Path) -> Any:
    loop = asyncio.get_running_loop()
    first, second = tcp_pair()
    transport, _ = await loop.create_connection(Lost, sock=first)
    first.close()
    second.close()
    return transport


async def a_reading_pipe(_folder: Path) -> Any:
    reading, writing = os.pipe()
    os.close(writing)
    file = os.fdopen(reading, "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(Lost, file)
    return transport


async def a_writing_pipe(_folder: Path) -> Any:
    reading, writing = os.pipe()
    file = os.fdopen(writing, "wb", 0)
    transport, _ = await asyncio.get_running_loop().connect_write_pipe(Lost, file)
    os.close(reading)
    return transport


async def a_datagram_endpoint(_folder: Path) -> Any:
    class LostDatagrams(Lost, asyncio.DatagramProtocol):
        pass

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        LostDatagrams, local_addr=("127.0.0.1", 0)
    )
    return transport


@linux_only
@on_both_loops
@pytest.mark.parametrize(
    ("make", "way"),
    [
        (a_connection, "close"),
        (a_connection, "abort"),
        (a_connection_made, "close"),
        (a_connection_made, "abort"),
        (a_connection_whose_giver_closes_it, "close"),
        (a_connection_whose_giver_closes_it, "abort"),
        (a_reading_pipe, "close"),
        (a_writing_pipe, "close"),
        (a_writing_pipe, "abort"),
        (a_datagram_endpoint, "close"),
        (a_datagram_endpoint, "abort"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_number_of_what_was_closed_is_let_alone(
    factory, make: Way, way: str, tmp_path: Path
) -> None:
    """Neither a second close, nor the end of all objects, nor that of the loop, closes it again."""
    if make is a_connection_whose_giver_closes_it and factory is not cuvee.new_event_loop:
        pytest.skip("asyncio's own loop is left with a number that is closed")
    taken: list[int] = []

    async def main() -> None:
        before = open_files()
        transport = await make(tmp_path)
        opened = open_files().keys() - before.keys()
        assert opened
        await end(transport, way)
        assert open_files() == before
        while not opened <= set(taken):
            taken.append(os.open(os.devnull, os.O_RDONLY))
        transport.close()
        del transport
        gc.collect()
        await asyncio.sleep(0)

    try:
        run_on(factory, main())
        gc.collect()
        for number in taken:
            os.fstat(number)
    finally:
        for number in taken:
            os.close(number)


@on_both_loops
def test_a_regular_file_is_no_pipe(factory, tmp_path: Path) -> None:
    """It stays open, and is the caller's."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with (tmp_path / "file").open("wb+", 0) as file:
            for connect in (loop.connect_read_pipe, loop.connect_write_pipe):
                with pytest.raises(ValueError, match="Pipe transport is"):
                    await connect(asyncio.Protocol, file)
            file.write(b"still open")

    run_on(factory, main())


@linux_only
def test_a_loop_where_io_uring_is_forbidden() -> None:
    """As containers do it: the system call fails. libuv has one to watch descriptors where it may."""
    text = """
        import ctypes, struct
        from tests.loop.support import open_files
        # Load the number of the call; one of io_uring's three fails with EPERM, any other goes on.
        rules = [(0x20, 0, 0, 0), (0x35, 0, 2, 425), (0x25, 1, 0, 427),
                 (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
        program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        if libc.prctl(22, 2, program, 0, 0) != 0:
            say("no filters here")
            sys.exit()

        async def echo(reader, writer):
            writer.write(await reader.readline())
            writer.close()

        async def main():
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"works\\n")
            say((await reader.read()).decode().strip())
            writer.close()
            server.close()
            assert not [path for path in open_files().values() if "io_uring" in path]

        cuvee.loop.run(main())
    """
    with Script(text) as script:
        assert script.process.stdout is not None
        answer = script.process.stdout.readline()
        script.end()
    if answer == "no filters here\n":
        pytest.skip("filters of system calls are not allowed here")
    assert answer == "works\n"
