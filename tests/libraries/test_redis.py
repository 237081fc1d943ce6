# SPDX-License-Identifier: MIT
"""redis-py's asyncio client."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("redis")

from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as GoneError
from redis.exceptions import ResponseError, WatchError

from tests.libraries.support import MANY, run_clean, until, until_it_works
from tests.support.services import Redis


def client_of(server: Redis, **options: Any) -> Any:
    """Return a client over TCP."""
    return redis.Redis(host=server.host, port=server.port, **options)


async def talk(client: Any) -> None:
    """A bit of everything."""
    await client.flushall()
    assert await client.set("word", "hello")
    assert await client.get("word") == b"hello"
    value = bytes(range(256)) * 16384
    await client.set("much", value)
    assert await client.get("much") == value
    with pytest.raises(ResponseError):
        await client.incr("word")
    async with client.pipeline(transaction=True) as pipe:
        for number in range(200):
            pipe.rpush("list", number)
        pipe.lrange("list", 0, -1)
        answers = await pipe.execute()
    assert answers[:200] == list(range(1, 201))
    assert answers[200] == [b"%d" % number for number in range(200)]
    async with client.pipeline() as pipe:
        await pipe.watch("word")
        pipe.multi()
        pipe.set("word", "mine")
        await client.set("word", "theirs")
        with pytest.raises(WatchError):
            await pipe.execute()
    double = client.register_script("return redis.call('get', KEYS[1]) .. ARGV[1]")
    assert await double(keys=["word"], args=["!"]) == b"theirs!"
    assert sorted([key async for key in client.scan_iter(count=2)]) == [b"list", b"much", b"word"]


def test_over_tcp(redis_server: Redis) -> None:
    async def main() -> None:
        async with client_of(redis_server) as client:
            await talk(client)

    run_clean(main())


def test_in_debug_mode(redis_server: Redis) -> None:
    async def main() -> None:
        async with client_of(redis_server, protocol=3) as client:
            await talk(client)

    run_clean(main(), debug=True)


def test_over_unix_sockets(redis_server: Redis) -> None:
    async def main() -> None:
        async with redis.Redis(unix_socket_path=redis_server.path) as client:
            await talk(client)

    run_clean(main())


def test_over_tls(redis_server: Redis, authority_file: Path) -> None:
    async def main() -> None:
        options: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(authority_file)}
        options |= {"ssl_min_version": ssl.TLSVersion.TLSv1_3}
        options |= {"host": redis_server.host, "port": redis_server.tls_port}
        async with redis.Redis(**options) as client:
            await talk(client)

    run_clean(main())


def test_many_tasks_over_a_pool(redis_server: Redis) -> None:
    async def main() -> None:
        address = f"redis://{redis_server.host}:{redis_server.port}"
        pool = redis.BlockingConnectionPool.from_url(address, max_connections=8, timeout=20)
        async with redis.Redis.from_pool(pool) as client:
            await client.delete("count")

            async def one(number: int) -> bytes:
                await client.set(f"key {number}", number)
                async with client.pipeline() as pipe:
                    pipe.incr("count")
                    pipe.get(f"key {number}")
                    found: bytes = (await pipe.execute())[1]
                    return found

            found = await asyncio.gather(*map(one, range(MANY)))
            assert found == [b"%d" % number for number in range(MANY)]
            assert await client.get("count") == b"%d" % MANY

    run_clean(main())


def test_publish_and_subscribe(redis_server: Redis) -> None:
    async def main() -> None:
        async with client_of(redis_server) as client, client.pubsub() as listener:
            await listener.subscribe("news")
            await listener.psubscribe("weather.*")

            async def speak() -> None:
                for number in range(100):
                    assert await client.publish("news", number) == 1
                    assert await client.publish("weather.rain", number) == 1

            speaking = asyncio.create_task(speak())
            heard = []
            async for message in listener.listen():
                if message["type"].endswith("message"):
                    heard.append((message["channel"], message["data"]))
                if len(heard) == 200:
                    break
            await speaking
            assert heard[::2] == [(b"news", b"%d" % number) for number in range(100)]
            assert heard[1::2] == [(b"weather.rain", b"%d" % number) for number in range(100)]
            assert await listener.get_message(timeout=0.01) is None

    run_clean(main())


def test_a_wait_is_cancelled(redis_server: Redis) -> None:
    async def main() -> None:
        async with client_of(redis_server) as client:

            async def blocked() -> int:
                found: int = (await client.info("clients"))["blocked_clients"]
                return found

            await client.delete("empty")
            task = asyncio.create_task(client.blpop("empty", 60))
            await until(blocked)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.rpush("empty", "late")  # the answer to nobody, who is gone
            assert await client.ping()
            await client.delete("empty")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await client.blpop("empty", 60)
            assert await client.ping()

    run_clean(main())


def test_the_server_goes_and_comes_back(redis_server: Redis) -> None:
    async def main() -> None:
        retry = Retry(NoBackoff(), 1)
        async with client_of(redis_server, retry=retry) as client, client.pubsub() as listener:
            await listener.subscribe("news")
            assert (await listener.get_message(timeout=20))["type"] == "subscribe"
            waiting = asyncio.create_task(client.blpop("empty", 60))
            assert await client.ping()
            await asyncio.to_thread(redis_server.stop)
            try:
                with pytest.raises(GoneError):
                    await waiting
                with pytest.raises(GoneError):
                    await client.ping()
            finally:
                await asyncio.to_thread(redis_server.start)
            assert await until_it_works(client.ping, GoneError)
            # The listener connects again, and asks for its channel again.
            assert (await listener.get_message(timeout=20))["type"] == "subscribe"
            await client.publish("news", "back")
            assert (await listener.get_message(timeout=20))["data"] == b"back"

    run_clean(main())
