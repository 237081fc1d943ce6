# SPDX-License-Identifier: MIT
"""Libraries that people use, unmodified, on cuvee's loop."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

import cuvee
from tests.loop.streams_support import run_here

ANYIO_OPTIONS = {"loop_factory": cuvee.new_event_loop}


async def answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An HTTP server of ten lines: says what it was sent, and keeps the connection."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            break
        lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:-2])
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        body = lines[0].encode() + b"\n" + body
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await writer.drain()
    writer.close()


# ---- httpx


def test_httpx() -> None:
    async def main() -> None:
        server = await asyncio.start_server(answer_http, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
            answer = await client.get("/one")
            assert answer.text == "GET /one HTTP/1.1\n"
            body = os.urandom(300_000)
            answer = await client.post("/two", content=body)
            assert answer.content == b"POST /two HTTP/1.1\n" + body
            answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(20)))
            assert [one.text for one in answers] == [f"GET /{n} HTTP/1.1\n" for n in range(20)]
            async with client.stream("GET", "/stream") as streamed:
                assert b"".join([part async for part in streamed.aiter_bytes()])
        server.close()
        await server.wait_closed()

    run_here(main())


def test_httpx_gives_up_in_time() -> None:
    async def main() -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with httpx.AsyncClient(timeout=0.05, trust_env=False) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(f"http://{host}:{port}/")
        server.close()
        await server.wait_closed()

    run_here(main())


# ---- anyio


def run_anyio(main: Any, *arguments: Any) -> None:
    async def bounded() -> None:
        with anyio.fail_after(20):
            await main(*arguments)

    anyio.run(bounded, backend="asyncio", backend_options=ANYIO_OPTIONS)


async def upper(stream: anyio.abc.ByteStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data.upper())


async def talk(stream: anyio.abc.ByteStream) -> None:
    assert isinstance(asyncio.get_running_loop(), cuvee.Loop)
    async with stream:
        await stream.send(b"hello")
        receive = BufferedByteReceiveStream(stream)
        assert await receive.receive_exactly(5) == b"HELLO"
        body = b"x" * 1_000_000
        async with anyio.create_task_group() as group:
            group.start_soon(stream.send, body)
            assert await receive.receive_exactly(len(body)) == body.upper()
        await stream.send_eof()  # type: ignore[attr-defined]
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


def test_anyio_over_tcp() -> None:
    async def main() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, upper)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                await talk(await anyio.connect_tcp("127.0.0.1", port))
                group.cancel_scope.cancel()

    run_anyio(main)


def test_anyio_over_unix_sockets(tmp_path: Path) -> None:
    async def main() -> None:
        async with await anyio.create_unix_listener(tmp_path / "socket") as listener:
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, upper)
                await talk(await anyio.connect_unix(tmp_path / "socket"))
                group.cancel_scope.cancel()

    run_anyio(main)


def test_anyio_cancels_a_receive() -> None:
    async def main() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, upper)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    with anyio.move_on_after(0.01) as scope:
                        await stream.receive()
                    assert scope.cancelled_caught
                    await stream.send(b"still here")
                    assert await stream.receive() == b"STILL HERE"
                group.cancel_scope.cancel()

    run_anyio(main)


def test_anyio_over_udp() -> None:
    async def main() -> None:
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
            port = server.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.create_connected_udp_socket("127.0.0.1", port) as client:
                await client.send(b"hello")
                data, (host, client_port) = await server.receive()
                await server.sendto(data.upper(), host, client_port)
                assert await client.receive() == b"HELLO"

    run_anyio(main)


# ---- aiohttp


def aiohttp_app(folder: Path) -> Any:
    """An application with a bit of everything."""
    if hasattr(sys, "gettotalrefcount"):
        pytest.skip("aiohttp's own C extensions crash in a debug interpreter")
    web = pytest.importorskip("aiohttp.web", reason="aiohttp is not installed")
    (folder / "file").write_bytes(bytes(range(256)) * 8192)

    async def echo(request: Any) -> Any:
        return web.Response(body=await request.read(), headers={"x-method": request.method})

    async def stream(request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(100):
            await response.write(b"%d\n" % number * 1000)
        return response

    async def websocket(request: Any) -> Any:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket

    async def send_file(_request: Any) -> Any:
        return web.FileResponse(folder / "file")

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/echo", echo)
    app.router.add_get("/stream", stream)
    app.router.add_get("/file", send_file)
    app.router.add_get("/websocket", websocket)
    return app


async def talk_aiohttp(session: Any, base: str) -> None:
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
    async with session.get(f"{base}/file") as answer:
        assert await answer.read() == bytes(range(256)) * 8192
    async with session.ws_connect(f"{base}/websocket") as socket:
        for size in (0, 1, 1000, 100_000):
            await socket.send_bytes(body[:size])
            assert await socket.receive_bytes() == body[:size]

    async def one(number: int) -> str:
        async with session.post(f"{base}/echo", data=f"{number}") as answer:
            text: str = await answer.text()
            return text

    assert await asyncio.gather(*map(one, range(50))) == [str(number) for number in range(50)]


def test_aiohttp_over_tcp(tmp_path: Path) -> None:
    app = aiohttp_app(tmp_path)
    import aiohttp
    from aiohttp import web

    async def main() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        async with aiohttp.ClientSession() as session:
            await talk_aiohttp(session, f"http://{host}:{port}")
        await runner.cleanup()

    run_here(main())


def test_aiohttp_over_unix_sockets(tmp_path: Path) -> None:
    app = aiohttp_app(tmp_path)
    import aiohttp
    from aiohttp import web

    async def main() -> None:
        path = str(tmp_path / "socket")
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
            await talk_aiohttp(session, "http://localhost")
        await runner.cleanup()

    run_here(main())
