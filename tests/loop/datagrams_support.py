# SPDX-License-Identifier: MIT
"""What the tests of datagrams share."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.loop.support import WAIT

T = TypeVar("T")

COUNTS_HEADERS = sys.version_info >= (3, 13)
"""Whether asyncio sends empty datagrams, and counts 8 bytes more for each that is queued."""


def run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop."""
    return loop.run_until_complete(asyncio.wait_for(main, WAIT))


class Endpoint(asyncio.DatagramProtocol):
    """Keeps what is called, in order, and lets a test wait for it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.transport: asyncio.DatagramTransport = None  # type: ignore[assignment]
        self._changed = asyncio.Event()

    def note(self, name: str, value: object = None) -> None:
        """Keep a call."""
        self.calls.append((name, value))
        self._changed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport  # type: ignore[assignment]
        self.note("made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.note("received", (data, addr))

    def error_received(self, exc: Exception) -> None:
        self.note("error", exc)

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost", exc)

    def values(self, name: str) -> list[Any]:
        """What such calls were given."""
        return [value for called, value in self.calls if called == name]

    @property
    def data(self) -> list[bytes]:
        """The datagrams that came."""
        return [data for data, _ in self.values("received")]

    @property
    def address(self) -> Any:
        """The name of this end."""
        return self.transport.get_extra_info("sockname")

    async def until(self, condition: Callable[[Endpoint], object]) -> None:
        """Wait until a condition holds; it is looked at after each call."""
        while not condition(self):
            self._changed.clear()
            await self._changed.wait()

    async def first(self, name: str) -> Any:
        """Wait for a call; return what the first of this name was given."""
        await self.until(lambda me: me.values(name))
        return self.values(name)[0]

    async def close(self) -> None:
        """Close and wait for the end."""
        self.transport.close()
        await self.first("lost")


async def bound(host: str = "127.0.0.1", make: Callable[[], Endpoint] = Endpoint) -> Endpoint:
    """Open an end on a port of its own."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(make, local_addr=(host, 0))
    return protocol


async def connected(address: Any, make: Callable[[], Endpoint] = Endpoint) -> Endpoint:
    """Open an end that sends to one address."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(make, remote_addr=address[:2])
    return protocol


async def given(sock: socket.socket, make: Callable[[], Endpoint] = Endpoint) -> Endpoint:
    """Open an end on a socket."""
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(make, sock=sock)
    return protocol


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """Two Unix sockets that are connected to each other."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for sock in pair:
        sock.setblocking(False)
    return pair


def unix_bound(path: str) -> socket.socket:
    """A Unix socket with a name."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(path)
    return sock
