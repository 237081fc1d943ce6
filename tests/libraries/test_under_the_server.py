# SPDX-License-Identifier: MIT
"""What an application does: each request asks a database, a cache and another server, on one loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

pytest.importorskip("asyncpg")
pytest.importorskip("redis")

import asyncpg
from redis import asyncio as redis

import cuvee
from tests.libraries.support import MANY, run_clean
from tests.support.asgi import App, Receive, Scope, Send, respond
from tests.support.services import PostgreSQL, Redis


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    """A server of cuvee's on the running loop; the value is its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = cuvee.Server(cuvee.Config(app, lifespan="off", log_level="critical"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


def cache_of(server: Redis) -> Any:
    """Return a client of the cache."""
    return redis.Redis(host=server.host, port=server.port)


async def shout(scope: Scope, receive: Receive, send: Send) -> None:
    """The other server."""
    await respond(send, scope["path"].upper().encode())


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_all_at_once(postgresql: PostgreSQL, redis_server: Redis, debug: bool) -> None:
    async def main() -> None:
        async with (
            asyncpg.create_pool(postgresql.dsn(), ssl=False, min_size=2, max_size=8) as database,
            cache_of(redis_server) as cache,
            serving(shout) as other,
            httpx.AsyncClient(base_url=other, trust_env=False) as client,
        ):
            await cache.flushall()

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                number = int(scope["path"][1:])
                async with asyncio.TaskGroup() as group:
                    double = group.create_task(database.fetchval("SELECT $1::int * 2", number))
                    visits = group.create_task(cache.incr(f"visits {number % 5}"))
                    shouted = group.create_task(client.get(f"/word{number}"))
                assert 1 <= visits.result() <= 2 * MANY
                await respond(send, f"{double.result()} {shouted.result().text}".encode())

            async with (
                serving(app) as base,
                httpx.AsyncClient(base_url=base, trust_env=False) as visitor,
            ):
                for _ in range(2):
                    answers = await asyncio.gather(
                        *(visitor.get(f"/{number}") for number in range(MANY))
                    )
                    expected = [f"{number * 2} /WORD{number}" for number in range(MANY)]
                    assert [answer.text for answer in answers] == expected
            visits = await cache.mget([f"visits {number}" for number in range(5)])
            assert sum(map(int, visits)) == 2 * MANY

    run_clean(main(), debug=debug)


def test_a_visitor_goes_while_the_database_works(postgresql: PostgreSQL) -> None:
    """The work goes on to its end."""

    async def main() -> None:
        begun, done = asyncio.Event(), asyncio.Event()
        async with asyncpg.create_pool(postgresql.dsn(), ssl=False, min_size=1) as database:

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                begun.set()
                await database.execute("SELECT pg_sleep(0.1)")
                await receive()
                assert (await receive())["type"] == "http.disconnect"
                done.set()

            async with (
                serving(app) as base,
                httpx.AsyncClient(base_url=base, trust_env=False) as visitor,
            ):
                visit = asyncio.create_task(visitor.get("/"))
                await begun.wait()
                visit.cancel()
                await done.wait()

    run_clean(main())
