# SPDX-License-Identifier: MIT
"""Leak scenarios of the event loop and of a server's whole life, run in a process of their own.

    python -m tests.leaks.loop_scenarios NAME WARM_UP RUNS

prints what the process held before and after the runs, as two JSON objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

import cuvee
from tests.support.asgi import hello
from tests.support.measured import Measure

Round = Callable[[], Awaitable[None]]


@functools.cache
def listening() -> socket.socket:
    """Return what all servers listen on: a port a round would use up the system's."""
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def nothing(*args: Any) -> None:
    """Do nothing."""


def fail() -> None:
    """Fail."""
    raise LookupError


async def call_soon() -> None:
    """Handles that run, one that is cancelled, one that fails."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(nothing)
    loop.call_soon(nothing, object(), [])
    loop.call_soon(nothing).cancel()
    loop.call_soon(nothing, 1, 2, 3, 4)
    loop.call_soon(fail)
    await asyncio.sleep(0)


async def call_later() -> None:
    """Timers that run, are cancelled before, and are due never."""
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(1000 + n, nothing, object()) for n in range(20)]
    loop.call_later(0, nothing)
    loop.call_at(loop.time() - 1, nothing)
    for handle in handles[::2] + handles[1::2]:
        handle.cancel()
    await asyncio.sleep(0.00001)


async def call_soon_threadsafe() -> None:
    """A call from another thread."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    await loop.run_in_executor(None, loop.call_soon_threadsafe, event.set)
    await event.wait()


async def readers() -> None:
    """Watch both ends of a socket pair, with callbacks replaced and removed."""
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    readable = asyncio.Event()
    with left, right:
        loop.add_reader(left, nothing, object())
        loop.add_reader(left, readable.set)
        loop.add_writer(left, nothing, object())
        right.send(b"x")
        await readable.wait()
        assert loop.remove_reader(left)
        assert loop.remove_writer(left)
        assert not loop.remove_reader(left)


async def closed_under_the_reader() -> None:
    """A descriptor is closed while it is watched, and its number comes back."""
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    loop.add_reader(reading, nothing)
    os.close(reading)
    os.close(writing)
    await asyncio.sleep(0)
    assert loop.remove_reader(reading)


async def sock_calls() -> None:
    """loop.sock_*: results at once, later, and never."""
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        await loop.sock_sendall(left, b"hello")
        assert await loop.sock_recv(right, 100) == b"hello"
        later = asyncio.ensure_future(loop.sock_recv(right, 100))
        never = asyncio.ensure_future(loop.sock_recv(left, 100))
        await asyncio.sleep(0)
        await loop.sock_sendall(left, b"again")
        assert await later == b"again"
        never.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await never


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Give back what comes."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def streams() -> None:
    """A server, a connection, an echo of small and large pieces."""
    server = await asyncio.start_server(echo, sock=listening().dup())
    port = listening().getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in (b"x", b"y" * 100_000):
        writer.write(piece)
        assert await reader.readexactly(len(piece)) == piece
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def unix_streams() -> None:
    """The same on a socket pair, broken off."""
    left, right = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=left)
    other_reader, other_writer = await asyncio.open_unix_connection(sock=right)
    writer.write(b"x" * 1_000_000)
    await other_reader.readexactly(10)
    other_writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class FirstDatagram(asyncio.DatagramProtocol):
    """Answers what has an address that can be answered, and keeps the first that comes."""

    def __init__(self) -> None:
        self.first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)
        if not self.first.done():
            self.first.set_result(data)


async def datagrams() -> None:
    """An echo between two ends, an error, a queue that is dropped."""
    loop = asyncio.get_running_loop()
    local = ("127.0.0.1", 0)
    one, _ = await loop.create_datagram_endpoint(FirstDatagram, local_addr=local)
    address = one.get_extra_info("sockname")
    two, client = await loop.create_datagram_endpoint(FirstDatagram, remote_addr=address)
    two.sendto(b"x")
    two.sendto(bytes(70_000))
    assert await client.first == b"x"
    one.close()
    two.close()
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    three, _ = await loop.create_datagram_endpoint(FirstDatagram, sock=left)
    while three.get_write_buffer_size() == 0:  # type: ignore[attr-defined]
        three.sendto(bytearray(1000))
    three.abort()
    right.close()
    await asyncio.sleep(0)


async def tasks() -> None:
    """Tasks that end, fail, are cancelled, run out of time."""

    async def failing() -> None:
        fail()

    done = asyncio.create_task(asyncio.sleep(0))
    failed = asyncio.create_task(failing())
    cancelled = asyncio.create_task(asyncio.sleep(1000))
    await asyncio.gather(done, failed, return_exceptions=True)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(1000), 0.00001)


async def async_generators() -> None:
    """An async generator that is given up half way is closed by the loop."""

    async def count() -> AsyncGenerator[int]:
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(0)

    async for _ in count():
        break
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def signals() -> None:
    """A signal handler that is added, called and removed."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, event.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await event.wait()
    loop.remove_signal_handler(signal.SIGUSR1)


async def debug() -> None:
    """Debug mode, which keeps tracebacks with the handles."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.call_later(1000, nothing).cancel()
    loop.call_soon(nothing)
    await asyncio.sleep(0)
    loop.set_debug(False)


def reset_at_close(writer: asyncio.StreamWriter) -> None:
    """Let close() reset the connection, which then occupies its port no longer."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def new_server() -> tuple[cuvee.Server, socket.socket, int]:
    """Return a server, the socket that it is to listen on, and the port."""
    listener = listening().dup()
    config = cuvee.Config(hello, log_config=None, log_level="critical", lifespan="off")
    config.access_log = False
    return cuvee.Server(config), listener, listener.getsockname()[1]


async def fetch(port: int) -> None:
    """Get one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await reader.readuntil(b"hello")
    reset_at_close(writer)
    writer.close()
    await writer.wait_closed()


async def servers() -> None:
    """A server that starts, answers and stops in the loop."""
    server, listener, port = new_server()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await fetch(port)
    server.should_exit = True
    await serving


async def cancelled_servers() -> None:
    """A server whose serve() is cancelled under a connection."""
    server, listener, port = new_server()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await reader.readuntil(b"hello")
    reset_at_close(writer)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()


def loops() -> None:
    """A loop that is made, used and closed, with something left in it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1000, nothing, object())
        asyncio.create_task(asyncio.sleep(1000))
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=cuvee.new_event_loop) as runner:
        runner.run(main())


def loops_with_servers() -> None:
    """A server with a loop of its own, in which it stops by itself."""
    server, listener, port = new_server()

    def client() -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert sock.recv(1000)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            server.should_exit = True

    thread = threading.Thread(target=client)
    thread.start()
    server.run(sockets=[listener])
    thread.join()


IN_A_LOOP: dict[str, Round] = {
    function.__name__: function
    for function in (
        call_soon,
        call_later,
        call_soon_threadsafe,
        readers,
        closed_under_the_reader,
        sock_calls,
        streams,
        unix_streams,
        datagrams,
        tasks,
        async_generators,
        signals,
        debug,
        servers,
        cancelled_servers,
    )
}
WITH_A_LOOP: dict[str, Callable[[], None]] = {
    function.__name__: function for function in (loops, loops_with_servers)
}
NAMES = [*IN_A_LOOP, *WITH_A_LOOP]


def take() -> Measure:
    """Measure this process without the interpreter's cache of attributes.

    It keeps every name that was ever asked for, until another takes its place.
    """
    getattr(sys, "_clear_type_cache")()  # noqa: B009
    return Measure.take()


def measure_loop(run: Round, warm_up: int, runs: int) -> list[Measure]:
    """Measure rounds that share one loop."""

    async def main() -> list[Measure]:
        found = []
        for count in (warm_up, runs):
            for _ in range(count):
                await run()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            found.append(take())
        return found

    with asyncio.Runner(loop_factory=cuvee.new_event_loop) as runner:
        return runner.run(main())


def measure(run: Callable[[], None], warm_up: int, runs: int) -> list[Measure]:
    """Measure rounds that make their own loops."""
    found = []
    for count in (warm_up, runs):
        for _ in range(count):
            run()
        found.append(take())
    return found


def main() -> None:
    """Run one scenario."""
    name, warm_up, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if name in IN_A_LOOP:
        found = measure_loop(IN_A_LOOP[name], warm_up, runs)
    else:
        found = measure(WITH_A_LOOP[name], warm_up, runs)
    print(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
