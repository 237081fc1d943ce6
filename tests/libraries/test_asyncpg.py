# SPDX-License-Identifier: MIT
"""asyncpg."""

from __future__ import annotations

import asyncio
import datetime
import io
import ssl

import pytest

pytest.importorskip("asyncpg")

import asyncpg

from tests.libraries.support import MANY, run_clean, until, until_it_works
from tests.support.services import PostgreSQL

GONE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What there is to expect of a server that is stopped."""


async def talk(connection: asyncpg.Connection) -> None:
    """A bit of everything."""
    row = await connection.fetchrow(
        "SELECT $1::int AS number, $2::date AS day", 7, datetime.date.min
    )
    assert dict(row) == {"number": 7, "day": datetime.date.min}
    await connection.execute("CREATE TEMPORARY TABLE item (id int PRIMARY KEY, name text)")
    await connection.executemany(
        "INSERT INTO item VALUES ($1, $2)", [(n, f"{n}") for n in range(1000)]
    )
    with pytest.raises(asyncpg.UniqueViolationError):
        async with connection.transaction():
            await connection.execute("DELETE FROM item WHERE id > 10")
            await connection.execute("INSERT INTO item VALUES (1, 'again')")
    assert await connection.fetchval("SELECT count(*) FROM item") == 1000
    await connection.copy_records_to_table(
        "item", records=[(n, "copied") for n in range(1000, 3000)]
    )
    out = io.BytesIO()
    await connection.copy_from_query("SELECT id FROM item ORDER BY id", output=out)
    assert out.getvalue() == b"".join(b"%d\n" % n for n in range(3000))
    async with connection.transaction():
        numbers = [row["id"] async for row in connection.cursor("SELECT id FROM item ORDER BY id")]
    assert numbers == list(range(3000))
    text = "x" * 3_000_000
    assert await connection.fetchval("SELECT upper($1::text)", text) == text.upper()


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_a_connection(postgresql: PostgreSQL, unix: bool) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(postgresql.dsn(unix=unix), ssl=False)
        await talk(connection)
        await connection.close()

    run_clean(main())


def test_in_debug_mode(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(postgresql.dsn(), ssl=False)
        await talk(connection)
        await connection.close()

    run_clean(main(), debug=True)


def test_over_tls(postgresql: PostgreSQL, client_tls: ssl.SSLContext) -> None:
    """PostgreSQL is asked in plain text first: `start_tls` on a connection that has spoken."""

    async def main() -> None:
        connection = await asyncpg.connect(postgresql.dsn(), ssl=client_tls)
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        await talk(connection)
        await connection.close()

    run_clean(main())


def test_notifications(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        listener = await asyncpg.connect(postgresql.dsn(), ssl=False)
        speaker = await asyncpg.connect(postgresql.dsn(), ssl=False)
        heard: asyncio.Queue[str] = asyncio.Queue()
        await listener.add_listener("news", lambda *words: heard.put_nowait(words[-1]))
        for number in range(20):
            await speaker.execute("SELECT pg_notify('news', $1)", str(number))
        assert [await heard.get() for _ in range(20)] == [str(number) for number in range(20)]
        await listener.reset()
        await listener.close()
        await speaker.close()

    run_clean(main())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_many_tasks_over_a_pool(
    postgresql: PostgreSQL, client_tls: ssl.SSLContext, tls: bool
) -> None:
    async def main() -> None:
        options = {"min_size": 2, "max_size": 8, "ssl": client_tls if tls else False}
        async with asyncpg.create_pool(postgresql.dsn(), **options) as pool:

            async def one(number: int) -> int:
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute("SELECT pg_sleep(0.001)")
                    found: int = await connection.fetchval("SELECT $1::int * 2", number)
                    return found

            found = await asyncio.gather(*map(one, range(MANY)))
            assert found == [number * 2 for number in range(MANY)]

    run_clean(main())


def test_a_query_is_cancelled(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        busy = await asyncpg.connect(postgresql.dsn(), ssl=False)
        other = await asyncpg.connect(postgresql.dsn(), ssl=False)
        pid = busy.get_server_pid()

        async def sleeps() -> bool:
            query = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1"
            return bool(await other.fetchval(query, pid))

        task = asyncio.create_task(busy.execute("SELECT pg_sleep(60)"))
        await until(sleeps)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await busy.fetchval("SELECT 1") == 1
        assert not await sleeps()
        await busy.close()
        await other.close()

    run_clean(main())


def test_time_is_up(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(postgresql.dsn(), ssl=False)
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(60)", timeout=0.02)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await connection.execute("SELECT pg_sleep(60)")
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    run_clean(main())


def test_the_server_goes_and_comes_back(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        async with asyncpg.create_pool(postgresql.dsn(), ssl=False, min_size=4) as pool:
            waiting = asyncio.create_task(pool.fetchval("SELECT pg_sleep(60)"))
            assert await pool.fetchval("SELECT 1") == 1
            await asyncio.to_thread(postgresql.stop)
            try:
                with pytest.raises(GONE):
                    await waiting
                with pytest.raises(GONE):
                    await pool.fetchval("SELECT 1")
            finally:
                await asyncio.to_thread(postgresql.start)
            assert await until_it_works(lambda: pool.fetchval("SELECT 2"), *GONE) == 2

    run_clean(main())


def test_a_connection_is_dropped(postgresql: PostgreSQL) -> None:
    """`terminate` in the middle of a query, from another task."""

    async def main() -> None:
        connection = await asyncpg.connect(postgresql.dsn(), ssl=False)
        task = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        connection.terminate()
        with pytest.raises(asyncpg.PostgresConnectionError):
            await task
        assert connection.is_closed()

    run_clean(main())
