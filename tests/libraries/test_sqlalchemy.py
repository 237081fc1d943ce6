# SPDX-License-Identifier: MIT
"""SQLAlchemy's asyncio side (greenlets over the loop), with both drivers for PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import ForeignKey, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from tests.libraries.support import MANY, run_clean, until_it_works
from tests.support.services import PostgreSQL

with_both_drivers = pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])


class Base(DeclarativeBase):
    """The tables of this file."""


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@asynccontextmanager
async def engine_of(
    postgresql: PostgreSQL, driver: str, **options: Any
) -> AsyncIterator[AsyncEngine]:
    """An engine, which is disposed of at the end."""
    address = postgresql.dsn().replace("postgresql:", f"postgresql+{driver}:")
    engine = create_async_engine(address, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


@with_both_drivers
def test_objects(postgresql: PostgreSQL, driver: str) -> None:
    async def main() -> None:
        async with engine_of(postgresql, driver) as engine:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            sessions = async_sessionmaker(engine, expire_on_commit=False)
            async with sessions.begin() as session:
                for name in ("Ada", "Bob"):
                    books = [Book(title=f"{name} {number}") for number in range(10)]
                    session.add(Author(name=name, books=books))
            async with sessions() as session:
                query = select(Author).options(selectinload(Author.books)).order_by(Author.name)
                authors = (await session.scalars(query)).all()
                assert [author.name for author in authors] == ["Ada", "Bob"]
                assert [len(author.books) for author in authors] == [10, 10]
                session.add(Author(name="Ada"))
                with pytest.raises(IntegrityError):
                    await session.commit()
                await session.rollback()
                titles = await session.stream_scalars(select(Book.title).order_by(Book.id))
                assert len([title async for title in titles]) == 20
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.drop_all)

    run_clean(main())


@with_both_drivers
def test_many_tasks_over_a_pool(postgresql: PostgreSQL, driver: str) -> None:
    async def main() -> None:
        async with engine_of(postgresql, driver, pool_size=8, max_overflow=0) as engine:

            async def one(number: int) -> int | None:
                async with engine.begin() as connection:
                    await connection.execute(text("SELECT pg_sleep(0.001)"))
                    return await connection.scalar(select(func.abs(-number)))

            assert await asyncio.gather(*map(one, range(MANY))) == list(range(MANY))

    run_clean(main())


@with_both_drivers
def test_cancelled_and_timed_out(postgresql: PostgreSQL, driver: str) -> None:
    async def main() -> None:
        async with engine_of(postgresql, driver, pool_size=1, max_overflow=0) as engine:
            async with engine.connect() as connection:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await connection.execute(text("SELECT pg_sleep(60)"))
            async with asyncio.timeout(60):  # the one place of the pool is taken
                async with engine.connect():
                    task = asyncio.create_task(engine.connect().start())
                    await asyncio.sleep(0)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
            async with engine.connect() as connection:
                assert await connection.scalar(text("SELECT 1")) == 1

    run_clean(main())


@with_both_drivers
def test_the_server_goes_and_comes_back(postgresql: PostgreSQL, driver: str) -> None:
    async def main() -> None:
        async with engine_of(postgresql, driver, pool_pre_ping=True) as engine:

            async def ask(seconds: int) -> object:
                async with engine.connect() as connection:
                    return await connection.scalar(text(f"SELECT 1 FROM pg_sleep({seconds})"))

            waiting = asyncio.create_task(ask(60))
            assert await ask(0) == 1
            await asyncio.to_thread(postgresql.stop)
            try:
                with pytest.raises((DBAPIError, OSError)):
                    await waiting
                with pytest.raises((DBAPIError, OSError)):
                    await ask(0)
            finally:
                await asyncio.to_thread(postgresql.start)
            assert await until_it_works(lambda: ask(0), DBAPIError, OSError) == 1

    run_clean(main())
