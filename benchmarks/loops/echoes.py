"""Works that are servers which send back what they get, each over several kinds of connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

READ = 65536
BUFFER = 262144


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """Sends back what is put into its buffer."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(BUFFER))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # A loop may keep what it is given, and the next read may come before it is sent.
        self.transport.write(bytes(self.buffer[:nbytes]))


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends back each datagram."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what a stream gets."""
    try:
        while data := await reader.read(READ):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def streams(settings: Mapping[str, str]) -> AsyncIterator[str]:
    """A server of streams."""
    if settings["over"] == "unix":
        server = await asyncio.start_unix_server(echo_stream, settings["path"])
    else:
        server = await asyncio.start_server(echo_stream, "127.0.0.1", 0, ssl=context_of(settings))
    async with server:
        yield address(server, settings)


async def protocol(settings: Mapping[str, str]) -> AsyncIterator[str]:
    """A server of protocols."""
    async with await _server(Echo, settings) as server:
        yield address(server, settings)


async def buffered(settings: Mapping[str, str]) -> AsyncIterator[str]:
    """A server of buffered protocols."""
    async with await _server(BufferedEcho, settings) as server:
        yield address(server, settings)


async def datagrams(settings: Mapping[str, str]) -> AsyncIterator[str]:
    """A server of datagrams."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(DatagramEcho, ("127.0.0.1", 0))
    yield str(transport.get_extra_info("sockname")[1])
    transport.close()


async def both_ends(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """A stream whose two ends are on the same loop."""
    server = await asyncio.start_server(echo_stream, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    data = bytes(1024)
    try:
        while True:
            writer.write(data)
            await reader.readexactly(len(data))
            yield 1
    finally:
        writer.close()
        server.close()


async def _server(
    factory: Callable[[], asyncio.BaseProtocol], settings: Mapping[str, str]
) -> asyncio.AbstractServer:
    loop = asyncio.get_running_loop()
    if settings["over"] == "unix":
        return await loop.create_unix_server(factory, settings["path"])
    return await loop.create_server(factory, "127.0.0.1", 0, ssl=context_of(settings))


def context_of(settings: Mapping[str, str]) -> ssl.SSLContext | None:
    """The context of a server over TLS 1.3; None for others."""
    if settings["over"] != "tls":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(settings["certificate"], settings["key"])
    return context


def address(server: Any, settings: Mapping[str, str]) -> str:
    """Where it listens: a port, or a path."""
    if settings["over"] == "unix":
        return settings["path"]
    return str(server.sockets[0].getsockname()[1])
