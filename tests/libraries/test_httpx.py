# SPDX-License-Identifier: MIT
"""httpx, beside a server of cuvee's on the same loop, and a few lines of asyncio's streams."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

import cuvee
from tests.libraries.support import MANY, run_clean
from tests.support.asgi import Receive, Scope, Send, read_body, respond


@asynccontextmanager
async def serving(unix: Path | None = None) -> AsyncIterator[str]:
    """A server of cuvee's that says what it was sent; the value is its address."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        head = f"{scope['method']} {scope['path']}\n".encode()
        await respond(send, head + await read_body(receive))

    listener = socket.socket(socket.AF_INET if unix is None else socket.AF_UNIX)
    listener.bind(("127.0.0.1", 0) if unix is None else str(unix))
    listener.listen()
    server = cuvee.Server(cuvee.Config(app, lifespan="off", log_level="critical"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        port = "" if unix is not None else f":{listener.getsockname()[1]}"
        yield f"http://localhost{port}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@asynccontextmanager
async def serving_by_streams(
    wait: asyncio.Event, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A server that answers one request of each connection when it is time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await wait.wait()
            body = head.split(b" ")[1] * 100_000
            fields = b"content-length: %d\r\nconnection: close\r\n" % len(body)
            writer.write(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has given up
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        wait.set()
        await server.wait_closed()


async def talk(client: httpx.AsyncClient) -> None:
    """A bit of everything."""
    assert (await client.get("/one")).text == "GET /one\n"
    body = os.urandom(300_000)
    assert (await client.post("/two", content=body)).content == b"POST /two\n" + body

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield body[:10_000]

    answer = await client.put("/three", content=pieces())
    assert answer.content == b"PUT /three\n" + body[:10_000] * 10
    answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(MANY)))
    assert [one.text for one in answers] == [f"GET /{number}\n" for number in range(MANY)]
    async with client.stream("POST", "/stream", content=body) as streamed:
        parts = [part async for part in streamed.aiter_bytes(1000)]
    assert b"".join(parts) == b"POST /stream\n" + body


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_over_tcp(debug: bool) -> None:
    async def main() -> None:
        async with serving() as base:
            async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
                await talk(client)

    run_clean(main(), debug=debug)


def test_over_unix_sockets(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path / "socket") as base:
            transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "socket"))
            async with httpx.AsyncClient(base_url=base, transport=transport) as client:
                await talk(client)

    run_clean(main())


def test_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        now = asyncio.Event()
        now.set()
        async with serving_by_streams(now, server_tls) as base:
            async with httpx.AsyncClient(
                base_url=base, verify=client_tls, trust_env=False
            ) as client:
                answers = await asyncio.gather(*(client.get(f"/{n}") for n in range(10)))
        assert [one.text for one in answers] == [f"/{number}" * 100_000 for number in range(10)]

    run_clean(main())


def test_giving_up() -> None:
    """By httpx's own time limit, and by the program's."""

    async def main() -> None:
        async with serving_by_streams(asyncio.Event()) as base:
            async with httpx.AsyncClient(trust_env=False) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(base, timeout=httpx.Timeout(20, read=0.05))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client.get(base, timeout=None)

    run_clean(main())


def test_the_server_goes_and_comes_back() -> None:
    async def main() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            async with serving() as base:
                assert (await client.get(f"{base}/1")).text == "GET /1\n"
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{base}/2")
            async with serving() as base:
                assert (await client.get(f"{base}/3")).text == "GET /3\n"

    run_clean(main())
