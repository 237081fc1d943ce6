# SPDX-License-Identifier: MIT
"""TLS connections that end early, begin late, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.loop.streams_support import (
    Recorder,
    connected_pair,
    on_both_loops,
    run_here,
    run_on,
    tls_contexts,
)


class Endless(Recorder):
    """Writes as long as it may."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.writing = True
        self._write()

    def _write(self) -> None:
        while self.writing:
            self.transport.write(bytes(65536))

    def pause_writing(self) -> None:
        self.writing = False

    def resume_writing(self) -> None:
        self.writing = True
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        self.writing = False
        super().connection_lost(exc)


@on_both_loops
@pytest.mark.parametrize("paused", [False, True])
def test_a_connection_that_is_closed_does_not_go_on_reading(
    factory, paused: bool, certificate: Path
) -> None:
    """Not until the time for the shutdown is over, however much the peer has to say."""
    server_tls, client_tls = tls_contexts(certificate)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sender, client = Endless(), Recorder()
        server = await loop.create_server(
            lambda: sender, "127.0.0.1", 0, ssl=server_tls, ssl_shutdown_timeout=3600
        )
        transport, _ = await loop.create_connection(
            lambda: client,
            *server.sockets[0].getsockname(),
            ssl=client_tls,
            server_hostname="localhost",
            ssl_shutdown_timeout=3600,
        )
        await client.until_data(100_000)
        if paused:
            transport.pause_reading()
        transport.close()
        await client.until_called("lost")
        await sender.until_called("lost")
        server.close()

    run_on(factory, main())


@on_both_loops
@pytest.mark.parametrize("paused", [False, True])
def test_tls_begins_on_a_transport_that_is_paused(factory, paused: bool, certificate: Path) -> None:
    server_tls, client_tls = tls_contexts(certificate)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = Recorder(), Recorder()
        near, far = await connected_pair(here, there)
        if paused:
            near.pause_reading()
            far.pause_reading()
        client, server = await asyncio.gather(
            loop.start_tls(near, here, client_tls, server_hostname="localhost"),
            loop.start_tls(far, there, server_tls, server_side=True),
        )
        assert client is not None and server is not None
        assert client.is_reading() and server.is_reading()
        client.write(b"to the server")
        server.write(b"to the client")
        await there.until_data(13)
        await here.until_data(13)
        assert there.data == b"to the server"
        assert here.data == b"to the client"
        client.close()
        await here.until_called("lost")
        await there.until_called("lost")

    run_on(factory, main())


def test_connections_leave_nothing_behind(certificate: Path) -> None:
    server_tls, client_tls = tls_contexts(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        await reader.read()
        writer.close()

    async def ask(address: Any) -> None:
        reader, writer = await asyncio.open_connection(
            *address, ssl=client_tls, server_hostname="localhost"
        )
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()

    async def main() -> list[int]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_tls)
        tasks = len(asyncio.all_tasks())
        blocks = []
        for _ in range(6):
            for _ in range(50):
                await ask(server.sockets[0].getsockname())
            while len(asyncio.all_tasks()) > tasks:
                await asyncio.sleep(0)
            gc.collect()
            blocks.append(sys.getallocatedblocks())
        server.close()
        return blocks

    blocks = run_here(main())
    assert min(after - before for before, after in pairwise(blocks)) < 25, blocks
