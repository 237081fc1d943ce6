# SPDX-License-Identifier: MIT
"""aiohttp, both client and server."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

if hasattr(sys, "gettotalrefcount"):
    pytest.skip("aiohttp's own C extensions crash in a debug interpreter", allow_module_level=True)
pytest.importorskip("aiohttp")

import aiohttp
from aiohttp import web

from tests.libraries.support import MANY, run_clean, until

CONTENT = bytes(range(256)) * 8192
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    *handlers: Handler, tls: ssl.SSLContext | None = None, unix: Path | None = None
) -> AsyncIterator[str]:
    """A server that has each handler under the name of its function; the value is its address."""
    app = web.Application(client_max_size=1 << 24)
    for handler in handlers:
        app.router.add_route("*", f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        if unix is not None:
            await web.UnixSite(runner, str(unix)).start()
            yield "http://localhost"
        else:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), headers={"x-method": request.method})


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(100):
        await response.write(b"%d\n" % number * 1000)
    return response


async def websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        else:
            await socket.send_bytes(message.data)
    return socket


async def talk(session: aiohttp.ClientSession, base: str) -> None:
    """A bit of everything."""
    body = os.urandom(500_000)
    async with session.post(f"{base}/echo", data=body) as answer:
        assert answer.headers["x-method"] == "POST"
        assert await answer.read() == body

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield body[:10_000]

    async with session.put(f"{base}/echo", data=pieces()) as answer:
        assert await answer.read() == body[:10_000] * 10
    async with session.get(f"{base}/stream") as answer:
        assert await answer.read() == b"".join(b"%d\n" % number * 1000 for number in range(100))
    for compress in (0, 15):
        async with session.ws_connect(f"{base}/websocket", compress=compress) as socket:
            for size in (0, 1, 125, 126, 1000, 65_535, 65_536, 500_000):
                await socket.send_bytes(body[:size])
                assert await socket.receive_bytes() == body[:size]
            await socket.send_str("grüße")
            assert await socket.receive_str() == "GRÜSSE"
            await socket.ping()
        assert socket.close_code == 1000

    async def one(number: int) -> str:
        async with session.post(f"{base}/echo", data=f"{number}") as answer:
            return await answer.text()

    assert await asyncio.gather(*map(one, range(MANY))) == [str(n) for n in range(MANY)]


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_over_tcp(debug: bool) -> None:
    async def main() -> None:
        async with serving(echo, stream, websocket) as base, aiohttp.ClientSession() as session:
            await talk(session, base)

    run_clean(main(), debug=debug)


def test_over_unix_sockets(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "socket"
        async with serving(echo, stream, websocket, unix=path) as base:
            connector = aiohttp.UnixConnector(str(path))
            async with aiohttp.ClientSession(connector=connector) as session:
                await talk(session, base)

    run_clean(main())


def test_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(echo, stream, websocket, tls=server_tls) as base:
            connector = aiohttp.TCPConnector(ssl=client_tls, limit=8)
            async with aiohttp.ClientSession(connector=connector) as session:
                await talk(session, base)

    run_clean(main())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tls: bool,
) -> None:
    """By the kernel's sendfile where nothing has to be encrypted."""
    (tmp_path / "file").write_bytes(CONTENT)
    calls, sendfile = [], os.sendfile

    def seen(*arguments: int) -> int:
        calls.append(arguments)
        return sendfile(*arguments)

    monkeypatch.setattr(os, "sendfile", seen)

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(tmp_path / "file")

    async def main() -> None:
        async with serving(file, tls=server_tls if tls else None) as base:
            connector = aiohttp.TCPConnector(ssl=client_tls)
            async with aiohttp.ClientSession(connector=connector) as session:
                for _ in range(3):
                    async with session.get(f"{base}/file") as answer:
                        assert await answer.read() == CONTENT
                part = {"range": "bytes=1000-99999"}
                async with session.get(f"{base}/file", headers=part) as answer:
                    assert answer.status == 206
                    assert await answer.read() == CONTENT[1000:100_000]
                async with session.head(f"{base}/file") as answer:
                    assert answer.headers["content-length"] == str(len(CONTENT))

    run_clean(main())
    assert bool(calls) is not tls


def test_the_client_gives_up() -> None:
    """The handler of a client that is gone is cancelled where the server was told to do that."""
    gone: list[str] = []

    async def wait(request: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gone.append(request.query["who"])
            raise
        raise AssertionError

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/wait", wait)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/wait"
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                await session.get(f"{url}?who=timeout", timeout=aiohttp.ClientTimeout(0.5))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await session.get(f"{url}?who=cancelled")

            async def both_are_gone() -> bool:
                await asyncio.sleep(0)
                return len(gone) == 2

            await until(both_are_gone)
        await runner.cleanup()
        assert gone == ["timeout", "cancelled"]

    run_clean(main())


def test_the_server_goes_and_comes_back() -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with serving(echo, websocket) as base:
                await (await session.post(f"{base}/echo", data=b"1")).read()
                socket = await session.ws_connect(f"{base}/websocket")
            assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSED
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.post(f"{base}/echo")
            async with serving(echo) as base:
                answer = await session.post(f"{base}/echo", data=b"2")
                assert await answer.read() == b"2"

    run_clean(main())
