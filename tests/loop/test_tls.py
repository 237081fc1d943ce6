# SPDX-License-Identifier: MIT
"""TLS: asyncio's own, but for how it reads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import ssl
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import cuvee
from cuvee import _asyncio_private as private
from tests.loop.streams_support import (
    Errors,
    Recorder,
    ask,
    echo,
    on_both_loops,
    run_here,
    run_on,
    tls_contexts,
)


@on_both_loops
def test_tls(factory, certificate: Path) -> None:
    server_context, client_context = tls_contexts(certificate)

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context, server_hostname="localhost"
        )
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert writer.get_extra_info("peername") == server.sockets[0].getsockname()
        body = os.urandom(300_000)
        assert await ask(reader, writer, body) == body
        server.close()

    run_on(factory, main())


@on_both_loops
def test_tls_begins_later(factory, certificate: Path) -> None:
    server_context, client_context = tls_contexts(certificate)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        await writer.start_tls(server_context)
        await echo(reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go on\n"
        await writer.start_tls(client_context, server_hostname="localhost")
        assert writer.get_extra_info("ssl_object") is not None
        assert await ask(reader, writer, b"secret" * 20_000) == b"secret" * 20_000
        server.close()

    run_on(factory, main())


@on_both_loops
def test_client_that_speaks_no_tls(factory, certificate: Path) -> None:
    server_context, _ = tls_contexts(certificate)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        errors = Errors()
        protocol = Recorder()
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 0, ssl=server_context)
        client = socket.create_connection(server.sockets[0].getsockname())
        client.setblocking(False)
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\n\r\n")
        while await loop.sock_recv(client, 1000):  # an alert
            pass
        context = await errors.first()
        assert isinstance(context["exception"], ssl.SSLError)
        assert protocol.names == []
        client.close()
        server.close()
        await server.wait_closed()

    run_on(factory, main())


@on_both_loops
def test_tls_certificate_is_checked(factory, certificate: Path) -> None:
    server_context, _ = tls_contexts(certificate)

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                *server.sockets[0].getsockname(),
                ssl=ssl.create_default_context(),
                server_hostname="localhost",
            )
        server.close()
        await server.wait_closed()

    run_on(factory, main())


def test_httpx_over_tls(certificate: Path) -> None:
    server_context, client_context = tls_contexts(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = os.urandom(200_000)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 400000\r\nconnection: close\r\n\r\n")
        writer.write(body.hex().encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(answer, "localhost", 0, ssl=server_context)
        port = server.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(verify=client_context, trust_env=False) as client:
            for _ in range(3):
                response = await client.get(f"https://localhost:{port}/")
                assert len(bytes.fromhex(response.text)) == 200_000
        server.close()
        await server.wait_closed()

    run_here(main())


# ---- reading


class Buffered(asyncio.BufferedProtocol):
    """Receives into a buffer of its own, which may be small."""

    def __init__(self, size: int) -> None:
        self.buffer = memoryview(bytearray(size))
        self.data = bytearray()
        self.ended = asyncio.Event()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]

    def eof_received(self) -> None:
        self.ended.set()


class Copied(asyncio.Protocol):
    """Receives bytes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.ended.set()


def talk(address: Any, context: ssl.SSLContext, pieces: list[bytes], *, ends: bool) -> bytes:
    """Send each piece in a record of its own, all in one packet as far as it goes; say the end."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(address) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        for piece in pieces:
            tls.write(piece)
        if ends:
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
        sock.sendall(outgoing.read())
        answer = bytearray()
        while data := sock.recv(65536):
            answer += data
    return bytes(answer)


PROTOCOLS: dict[str, Callable[[], Copied | Buffered]] = {
    "copied": Copied,
    "buffered": lambda: Buffered(65536),
    "buffered-small": lambda: Buffered(7),
    "buffered-a-record": lambda: Buffered(16384),
}


@pytest.mark.parametrize("kind", PROTOCOLS)
@on_both_loops
def test_records_of_every_size(factory, certificate: Path, kind: str) -> None:
    server_context, client_context = tls_contexts(certificate)
    sizes = random.Random(1)
    pieces = [b"", b"x", os.urandom(16383), os.urandom(16384), os.urandom(16385), b"yz"]
    pieces += [os.urandom(sizes.randrange(1, 40)) for _ in range(300)]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol: Any = PROTOCOLS[kind]()
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 0, ssl=server_context)
        address = server.sockets[0].getsockname()
        sending = asyncio.to_thread(talk, address, client_context, pieces, ends=True)
        await asyncio.gather(sending, protocol.ended.wait())
        assert protocol.data == b"".join(pieces)
        server.close()
        await server.wait_closed()

    run_on(factory, main())


@on_both_loops
def test_what_was_decrypted_goes_to_the_next_protocol(factory, certificate: Path) -> None:
    """One record fills a small buffer many times; the rest of it is for whoever comes then."""
    server_context, client_context = tls_contexts(certificate)
    text = bytes(range(100))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        after = Copied()

        class First(Buffered):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def buffer_updated(self, nbytes: int) -> None:
                super().buffer_updated(nbytes)
                self.transport.set_protocol(after)

        first = First(10)
        server = await loop.create_server(lambda: first, "127.0.0.1", 0, ssl=server_context)
        address = server.sockets[0].getsockname()
        sending = asyncio.to_thread(talk, address, client_context, [text], ends=True)
        await asyncio.gather(sending, after.ended.wait())
        assert first.data + after.data == text
        assert len(first.data) == 10
        server.close()
        await server.wait_closed()

    run_on(factory, main())


@on_both_loops
def test_paused_reading(factory, certificate: Path) -> None:
    """What comes while an application reads nothing is there when it goes on."""
    server_context, client_context = tls_contexts(certificate)
    body = os.urandom(2_000_000)

    async def main() -> None:
        accepted = Recorder()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: accepted, "127.0.0.1", 0, ssl=server_context)
        _, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context, server_hostname="localhost"
        )
        await accepted.until_called("made")
        accepted.transport.pause_reading()
        writer.write(body)
        received = 0
        while writer.transport.get_write_buffer_size():
            if not accepted.transport.is_reading():
                accepted.transport.resume_reading()
            await accepted.until_data(received + 1)
            received = len(accepted.data)
            accepted.transport.pause_reading()
        accepted.transport.resume_reading()
        await accepted.until_data(len(body))
        assert accepted.data == body
        writer.close()
        await writer.wait_closed()
        server.close()

    run_on(factory, main())


@on_both_loops
def test_tls_in_tls(factory, certificate: Path) -> None:
    server_context, client_context = tls_contexts(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"once more\n"
        await writer.start_tls(server_context)
        await echo(reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context, server_hostname="localhost"
        )
        writer.write(b"once more\n")
        await writer.drain()
        await writer.start_tls(client_context, server_hostname="localhost")
        body = os.urandom(300_000)
        assert await ask(reader, writer, body) == body
        server.close()

    run_on(factory, main())


def test_a_client_that_does_not_wait(certificate: Path) -> None:
    """What it sends of its handshake before the server's start_tls() is in the reader by then."""
    server_context, client_context = tls_contexts(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        while not reader._buffer:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        await writer.start_tls(server_context)
        await echo(reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        await writer.start_tls(client_context, server_hostname="localhost")
        assert await ask(reader, writer, b"secret") == b"secret"
        server.close()

    run_here(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio's TLS made cycles of its own")
def test_a_handshake_that_fails_leaves_no_cycle(certificate: Path) -> None:
    server_context, _ = tls_contexts(certificate)

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            asyncio.Protocol, *server.sockets[0].getsockname()
        )
        gone = weakref.ref(transport)
        context = ssl.create_default_context()
        try:
            await loop.start_tls(transport, protocol, context, server_hostname="localhost")
        except ssl.SSLCertVerificationError:
            pass  # a name for it would be a part of a cycle
        del transport, protocol
        for _ in range(5):  # until connection_lost() was called
            await asyncio.sleep(0)
        assert gone() is None
        server.close()
        await server.wait_closed()

    gc.collect()
    gc.disable()
    try:
        run_here(main())
    finally:
        gc.enable()


@on_both_loops
def test_start_tls_refuses(factory, certificate: Path) -> None:
    _, client_context = tls_contexts(certificate)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError, match="SSLContext, got None"):
            await loop.start_tls(Recorder().transport, Recorder(), None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"not supported by start_tls\(\)"):
            await loop.start_tls(asyncio.WriteTransport(), Recorder(), client_context)

    run_on(factory, main())


def test_connections_share_the_memory_that_they_receive_into(certificate: Path) -> None:
    server_context, client_context = tls_contexts(certificate)

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        address = server.sockets[0].getsockname()
        writers: list[Any] = []
        for _ in range(3):
            _, writer = await asyncio.open_connection(
                *address, ssl=client_context, server_hostname="localhost"
            )
            writers.append(writer)
        protocols = [writer.transport._ssl_protocol for writer in writers]
        assert len({id(protocol._ssl_buffer) for protocol in protocols}) == 1
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        server.close()

    run_here(main())


class Lower(asyncio.Transport):
    """A transport under TLS that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        pass


def test_a_record_that_ends_with_the_first_byte_of_the_next(certificate: Path) -> None:
    """However records are cut, one is read in one go."""
    server_context, client_context = tls_contexts(certificate)
    reads = []

    class Counting(ssl.SSLObject):
        def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
            reads.append(len)
            return super().read(len, buffer)

    server_context.sslobject_class = Counting
    loop = cuvee.new_event_loop()
    lower, upper = Lower(), Copied()
    protocol: Any = private.TLSProtocol(loop, upper, server_context, None, True)
    protocol.connection_made(lower)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def receive(data: bytes) -> None:
        protocol.get_buffer(-1)[: len(data)] = data
        protocol.buffer_updated(len(data))

    while protocol._app_transport is None or not lower.written:
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        receive(outgoing.read())
        incoming.write(lower.written)
    client.do_handshake()
    receive(outgoing.read())
    client.write(bytes(16384))
    client.write(b"next")
    both = outgoing.read()
    cut = len(both) - 25  # one byte of the second record comes with the end of the first
    reads.clear()
    receive(both[: cut - 400])
    receive(both[cut - 400 : cut])
    assert len(upper.data) == 16384
    receive(both[cut:])
    assert upper.data == bytes(16384) + b"next"
    assert len(reads) < 10
    protocol.connection_lost(None)
    loop.close()
