"""Works of libraries that run on the loop, as clients of other servers or as servers.

A client has several connections, each of which asks again when it has the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

CONNECTIONS = 4
ASKED = 20
"""How often each connection asks before the clock is looked at."""


async def _together(asks: list[Callable[[], Awaitable[object]]]) -> int:
    async def again_and_again(ask: Callable[[], Awaitable[object]]) -> None:
        for _ in range(ASKED):
            await ask()

    await asyncio.gather(*map(again_and_again, asks))
    return ASKED * len(asks)


async def postgresql(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """`SELECT 1` by asyncpg, prepared."""
    import asyncpg

    async with AsyncExitStack() as stack:
        asks = []
        for _ in range(CONNECTIONS):
            connection = await asyncpg.connect(settings["dsn"])
            stack.push_async_callback(connection.close)
            asks.append((await connection.prepare("SELECT 1")).fetchval)
        while True:
            yield await _together(asks)


async def redis_get(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """`GET` by redis."""
    import redis.asyncio

    async with AsyncExitStack() as stack:
        asks: list[Callable[[], Awaitable[object]]] = []
        for _ in range(CONNECTIONS):
            client: Any = redis.asyncio.Redis.from_url(
                settings["url"], single_connection_client=True
            )
            await stack.enter_async_context(client)
            await client.set("key", "value")
            asks.append(partial(client.get, "key"))
        while True:
            yield await _together(asks)


async def aiohttp_client(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Requests by aiohttp."""
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def ask() -> None:
            async with session.get(settings["url"]) as answer:
                if await answer.read() != b"Hello, world!":
                    raise RuntimeError("that is not the answer")

        while True:
            yield await _together([ask] * CONNECTIONS)


async def aiohttp_server(settings: Mapping[str, str]) -> AsyncIterator[str]:
    """An application of aiohttp."""
    from aiohttp import web

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="Hello, world!")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield str(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def websockets_server(settings: Mapping[str, str]) -> AsyncIterator[str]:
    """An echo by websockets."""
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        yield str(server.sockets[0].getsockname()[1])
