"""Works that are tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

TURNS = 100
"""So many at a time that the clock between does not count."""


async def nothing() -> None:
    """What a task does."""


async def sleep_0(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """A task that lets the loop make a turn."""
    while True:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        yield TURNS


async def gather_100(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """A hundred coroutines together."""
    while True:
        await asyncio.gather(*(nothing() for _ in range(100)))
        yield 1


async def create(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """A task that another waits for."""
    create_task = asyncio.get_running_loop().create_task
    while True:
        for _ in range(TURNS):
            await create_task(nothing())
        yield TURNS
