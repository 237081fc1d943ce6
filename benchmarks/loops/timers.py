"""Works that are timers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from benchmarks.loops.callbacks import nothing

TIMERS = 100
FIRING = 1000
SOON = 0.001


async def cancelled(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Timers of an hour, which are cancelled at once."""
    call_later = asyncio.get_running_loop().call_later
    while True:
        for _ in range(TIMERS):
            call_later(3600, nothing).cancel()
        await asyncio.sleep(0)
        yield TIMERS


async def fired(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Timers that fire, a little one after the other."""
    call_at = (loop := asyncio.get_running_loop()).call_at
    last = asyncio.Event()
    while True:
        last.clear()
        now = loop.time() + SOON
        for number in range(FIRING - 1):
            call_at(now + number * 1e-6, nothing)
        call_at(now + FIRING * 1e-6, last.set)
        await last.wait()
        yield FIRING
