# SPDX-License-Identifier: MIT
"""The websockets library, both client and server."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("websockets")

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve, unix_serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.http11 import Request, Response

from tests.libraries.support import MANY, run_clean, until_it_works

SIZES = (0, 1, 125, 126, 1000, 65_535, 65_536, 900_000)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def address_of(server: Server, scheme: str = "ws") -> str:
    """Return the URL of a server."""
    port = next(iter(server.sockets)).getsockname()[1]
    return f"{scheme}://127.0.0.1:{port}"


async def talk(connection: ClientConnection) -> None:
    """A bit of everything."""
    body = os.urandom(900_000)
    for size in SIZES:
        await connection.send(body[:size])
        assert await connection.recv() == body[:size]
    await connection.send("grüße")
    assert await connection.recv() == "grüße"

    async def fragments() -> Any:
        for number in range(100):
            yield b"%d" % number

    await connection.send(fragments())
    parts = [part async for part in connection.recv_streaming(decode=False)]
    assert b"".join(parts) == b"".join(b"%d" % number for number in range(100))
    assert await (await connection.ping()) >= 0


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_over_tcp(compression: str | None, debug: bool) -> None:
    async def main() -> None:
        options: dict[str, Any] = {"compression": compression}
        async with serve(echo, "127.0.0.1", 0, **options) as server:
            async with connect(address_of(server), proxy=None, **options) as connection:
                await talk(connection)
            assert connection.close_code == 1000

    run_clean(main(), debug=debug)


def test_over_unix_sockets(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        async with unix_serve(echo, path), unix_connect(path) as connection:
            await talk(connection)

    run_clean(main())


def test_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, ssl=server_tls) as server:
            url = address_of(server, "wss")
            async with connect(url, ssl=client_tls, proxy=None) as connection:
                await talk(connection)

    run_clean(main())


def test_many_connections_and_a_broadcast() -> None:
    async def main() -> None:
        connected: set[ServerConnection] = set()
        everybody = asyncio.Event()

        async def handler(connection: ServerConnection) -> None:
            connected.add(connection)
            if len(connected) == MANY:
                everybody.set()
            await connection.wait_closed()

        async def client(url: str) -> list[str | bytes]:
            async with connect(url, proxy=None) as connection:
                return [await connection.recv() for _ in range(20)]

        async with serve(handler, "127.0.0.1", 0) as server:
            clients = [asyncio.create_task(client(address_of(server))) for _ in range(MANY)]
            await everybody.wait()
            for number in range(20):
                broadcast(connected, str(number))
            heard = await asyncio.gather(*clients)
        assert heard == [[str(number) for number in range(20)]] * MANY

    run_clean(main())


def test_a_client_that_does_not_read() -> None:
    """The server's send waits, and goes on when the client reads."""

    async def main() -> None:
        sent = 0

        async def flood(connection: ServerConnection) -> None:
            nonlocal sent
            for _ in range(300):
                await connection.send(bytes(100_000))
                sent += 1

        async with serve(flood, "127.0.0.1", 0, compression=None) as server:
            options: dict[str, Any] = {"max_queue": 2, "compression": None, "proxy": None}
            async with connect(address_of(server), **options) as connection:
                before = -1
                while sent != before:
                    before = sent
                    await asyncio.sleep(0.05)
                assert sent < 300
                messages = [message async for message in connection]
        assert messages == [bytes(100_000)] * 300

    run_clean(main())


def test_a_wait_is_cancelled() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            async with connect(address_of(server), proxy=None) as connection:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await connection.recv()
                await connection.send("still here")
                assert await connection.recv() == "still here"

    run_clean(main())


def test_how_a_connection_ends() -> None:
    async def main() -> None:
        async def end(connection: ServerConnection) -> None:
            how = await connection.recv()
            if how == "close":
                await connection.close(4000, "enough")
            elif how == "abort":
                connection.transport.abort()
            else:
                raise LookupError(how)

        def refuse(connection: ServerConnection, request: Request) -> Response | None:
            return connection.respond(404, "no\n") if request.path == "/no" else None

        async with serve(end, "127.0.0.1", 0, process_request=refuse) as server:
            url = address_of(server)
            for how, code in {"close": 4000, "abort": 1006, "fail": 1011}.items():
                async with connect(url, proxy=None) as connection:
                    await connection.send(how)
                    with pytest.raises(ConnectionClosed):
                        await connection.recv()
                    assert connection.close_code == code
            with pytest.raises(InvalidStatus):
                await connect(f"{url}/no", proxy=None)

    run_clean(main())


def test_the_server_goes_and_comes_back() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            url = address_of(server)
            port = next(iter(server.sockets)).getsockname()[1]
            connection = await connect(url, proxy=None)
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        assert connection.close_code == 1001
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await connect(url, proxy=None)
        async with serve(echo, "127.0.0.1", port):
            async with await until_it_works(
                lambda: connect(url, proxy=None).__aenter__(), OSError, ConnectionClosedError
            ) as connection:
                await talk(connection)

    run_clean(main())
