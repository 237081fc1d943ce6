# SPDX-License-Identifier: MIT
"""psycopg 3: libpq's own sockets, watched by `add_reader` and `add_writer`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

import psycopg
from psycopg_pool import AsyncConnectionPool

from tests.libraries.support import MANY, run_clean, until, until_it_works
from tests.support.services import PostgreSQL


async def connect(address: str) -> psycopg.AsyncConnection:
    """Open a connection on which every statement is a transaction of its own."""
    return await psycopg.AsyncConnection.connect(address, autocommit=True)


async def talk(connection: psycopg.AsyncConnection) -> None:
    """A bit of everything."""
    async with connection.cursor() as cursor:
        await cursor.execute("CREATE TEMPORARY TABLE item (id int PRIMARY KEY, name text)")
        items = [(number, f"{number}") for number in range(1000)]
        await cursor.executemany("INSERT INTO item VALUES (%s, %s)", items)
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with connection.transaction():
                await cursor.execute("DELETE FROM item WHERE id > 10")
                await cursor.execute("INSERT INTO item VALUES (1, 'again')")
        async with cursor.copy("COPY item FROM STDIN") as copy:
            for number in range(1000, 3000):
                await copy.write_row((number, "copied"))
        await cursor.execute("SELECT id FROM item ORDER BY id")
        assert [row[0] async for row in cursor] == list(range(3000))
        async with cursor.copy("COPY item (id) TO STDOUT") as copy:
            assert b"".join([bytes(part) async for part in copy]).count(b"\n") == 3000
    async with connection.cursor(name="on_the_server") as cursor:
        async with connection.transaction():
            await cursor.execute("SELECT id FROM item ORDER BY id")
            assert len(await cursor.fetchmany(10)) == 10
    async with connection.pipeline():
        cursors = [await connection.execute("SELECT %s::int", [number]) for number in range(100)]
    assert [await cursor.fetchone() for cursor in cursors] == [(number,) for number in range(100)]
    text = "x" * 3_000_000
    cursor = await connection.execute("SELECT upper(%s::text)", [text])
    assert await cursor.fetchone() == (text.upper(),)


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_a_connection(postgresql: PostgreSQL, unix: bool) -> None:
    async def main() -> None:
        async with await connect(postgresql.dsn(unix=unix)) as connection:
            await talk(connection)

    run_clean(main())


def test_in_debug_mode(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        async with await connect(postgresql.dsn()) as connection:
            await talk(connection)

    run_clean(main(), debug=True)


def test_over_tls(postgresql: PostgreSQL, authority_file: Path) -> None:
    async def main() -> None:
        options = f"?sslmode=verify-full&sslrootcert={authority_file}"
        async with await connect(postgresql.dsn() + options) as connection:
            query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert await (await connection.execute(query)).fetchone() == (True,)
            await talk(connection)

    run_clean(main())


def test_notifications(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        async with (
            await connect(postgresql.dsn()) as listener,
            await connect(postgresql.dsn()) as speaker,
        ):
            await listener.execute("LISTEN news")

            async def speak() -> None:
                for number in range(20):
                    await speaker.execute("SELECT pg_notify('news', %s)", [str(number)])

            speaking = asyncio.create_task(speak())
            heard = []
            async for notification in listener.notifies(timeout=20, stop_after=1):
                heard.append(notification.payload)
            await speaking
            if len(heard) < 20:
                rest = listener.notifies(timeout=20, stop_after=20 - len(heard))
                heard += [notification.payload async for notification in rest]
            assert heard == [str(number) for number in range(20)]
            assert [more async for more in listener.notifies(timeout=0.05)] == []

    run_clean(main())


def test_many_tasks_over_a_pool(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        async with AsyncConnectionPool(postgresql.dsn(), min_size=2, max_size=8) as pool:

            async def one(number: int) -> int:
                async with pool.connection() as connection:
                    await connection.execute("SELECT pg_sleep(0.001)")
                    cursor = await connection.execute("SELECT %s::int * 2", [number])
                    row = await cursor.fetchone()
                    assert row is not None
                    return int(row[0])

            found = await asyncio.gather(*map(one, range(MANY)))
            assert found == [number * 2 for number in range(MANY)]

    run_clean(main())


def test_a_query_is_cancelled(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        async with (
            await connect(postgresql.dsn()) as busy,
            await connect(postgresql.dsn()) as other,
        ):
            pid = busy.info.backend_pid

            async def sleeps() -> bool:
                query = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s"
                row = await (await other.execute(query, [pid])).fetchone()
                return row == (True,)

            task = asyncio.create_task(busy.execute("SELECT pg_sleep(60)"))
            await until(sleeps)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await (await busy.execute("SELECT 1")).fetchone() == (1,)
            assert not await sleeps()

    run_clean(main())


def test_time_is_up(postgresql: PostgreSQL) -> None:
    async def main() -> None:
        async with await connect(postgresql.dsn()) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await connection.execute("SELECT pg_sleep(60)")
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)

    run_clean(main())


def test_the_server_goes_and_comes_back(postgresql: PostgreSQL) -> None:
    """The descriptor of a new connection may have the number of the one that was lost."""

    async def main() -> None:
        check = AsyncConnectionPool.check_connection
        async with AsyncConnectionPool(postgresql.dsn(), min_size=2, check=check) as pool:
            asking = asyncio.Event()

            async def ask(seconds: int) -> object:
                async with pool.connection() as connection:
                    asking.set()
                    cursor = await connection.execute("SELECT 1 FROM pg_sleep(%s)", [seconds])
                    return await cursor.fetchone()

            waiting = asyncio.create_task(ask(60))
            await asking.wait()  # else it may wait for a connection from the pool
            assert await ask(0) == (1,)
            await asyncio.to_thread(postgresql.stop)
            try:
                with pytest.raises(psycopg.OperationalError):
                    await waiting
                with pytest.raises(psycopg.OperationalError):
                    await connect(postgresql.dsn())
            finally:
                await asyncio.to_thread(postgresql.start)
            assert await until_it_works(lambda: ask(0), psycopg.OperationalError) == (1,)

    run_clean(main())
