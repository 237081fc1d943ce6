# SPDX-License-Identifier: MIT
"""What the tests of streams share.

Most of them run on cuvee's loop and on asyncio's own: a test that fails on asyncio's asks for
something that asyncio does not promise.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

import cuvee

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]

WAIT = 20
"""Seconds after which a test has failed; nothing that passes comes near it."""


def run_on(factory: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new loop."""
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(asyncio.wait_for(main, WAIT))


def run_here(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on cuvee's loop."""
    return run_on(cuvee.new_event_loop, main)


on_both_loops = pytest.mark.parametrize(
    "factory",
    [
        pytest.param(cuvee.new_event_loop, id="cuvee"),
        pytest.param(asyncio.SelectorEventLoop, id="asyncio"),
    ],
)


class Recorder(asyncio.Protocol):
    """Keeps what is called, in order, and lets a test wait for it."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.keep_open = keep_open
        self.data = bytearray()
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self._changed = asyncio.Event()

    def note(self, name: str, value: object = None) -> None:
        """Keep a call."""
        self.calls.append((name, value))
        self._changed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.note("data", data)

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost", exc)

    @property
    def names(self) -> list[str]:
        """What was called; a run of data_received counts once."""
        names: list[str] = []
        for name, _ in self.calls:
            if name != "data" or names[-1:] != ["data"]:
                names.append(name)
        return names

    @property
    def lost_with(self) -> object:
        """What connection_lost was called with."""
        return self.calls[-1][1]

    async def until(self, condition: Callable[[Recorder], bool]) -> None:
        """Wait until a condition holds; it is looked at after each call."""
        while not condition(self):
            self._changed.clear()
            await self._changed.wait()

    async def until_called(self, name: str, times: int = 1) -> None:
        """Wait for a call."""
        await self.until(lambda me: sum(call[0] == name for call in me.calls) >= times)

    async def until_data(self, size: int) -> None:
        """Wait for so many bytes."""
        await self.until(lambda me: len(me.data) >= size)


async def connected_pair(
    here: asyncio.BaseProtocol, there: asyncio.BaseProtocol | None = None
) -> tuple[asyncio.Transport, asyncio.Transport]:
    """Two protocols at the ends of a TCP connection."""
    loop = asyncio.get_running_loop()
    first, second = tcp_pair()
    near, _ = await loop.create_connection(lambda: here, sock=first)
    other = there if there is not None else Recorder()
    far, _ = await loop.create_connection(lambda: other, sock=second)
    return near, far


async def connected_to_socket(
    protocol: asyncio.BaseProtocol, *, small: bool = False
) -> tuple[asyncio.Transport, socket.socket]:
    """A protocol at one end, a non-blocking socket that nobody watches at the other."""
    loop = asyncio.get_running_loop()
    first, second = tcp_pair()
    if small:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        second.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    transport, _ = await loop.create_connection(lambda: protocol, sock=first)
    return transport, second


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected, non-blocking TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = socket.create_connection(listener.getsockname())
        second, _ = listener.accept()
    first.setblocking(False)
    second.setblocking(False)
    return first, second


async def fill(transport: asyncio.Transport) -> int:
    """Write until the kernel takes no more; return how much was written."""
    written = 0
    while not transport.get_write_buffer_size():
        transport.write(bytes(65536))
        written += 65536
    return written


async def read_all(sock: socket.socket) -> bytes:
    """Read a socket to its end."""
    loop = asyncio.get_running_loop()
    parts = []
    while part := await loop.sock_recv(sock, 1 << 18):
        parts.append(part)
    return b"".join(parts)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what comes, until the client's end of input."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    """Send something and read what comes back; where the end can be said, see the server's end too."""
    writer.write(data)
    if writer.can_write_eof():
        writer.write_eof()
    answer = await reader.readexactly(len(data))
    if writer.can_write_eof():
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    return answer


class Errors:
    """Keeps what a loop's exception handler is told."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []
        self._told = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(self._handle)

    def _handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.contexts.append(context)
        self._told.set()

    async def first(self) -> dict[str, Any]:
        """Wait for the first one."""
        await self._told.wait()
        return self.contexts[0]


def tls_contexts(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server and its client need."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    return server, ssl.create_default_context(cafile=str(certificate))


async def turns(count: int = 3) -> None:
    """Let the loop turn: what was scheduled has run, and what was readable was read."""
    for _ in range(count):
        await asyncio.sleep(0)


def close_all(*things: Any) -> None:
    """Close transports and sockets."""
    for thing in things:
        thing.close()


__all__ = [
    "WAIT",
    "Awaitable",
    "Errors",
    "Recorder",
    "Run",
    "ask",
    "close_all",
    "connected_pair",
    "connected_to_socket",
    "echo",
    "fill",
    "on_both_loops",
    "read_all",
    "run_here",
    "run_on",
    "tcp_pair",
    "tls_contexts",
    "turns",
]
