"""Works that are calls: as many a turn as a busy loop has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping

CALLS = 100
CALLS_FROM_A_THREAD = 10


def nothing(*args: object) -> None:
    """What is called."""


async def plain(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Calls without arguments."""
    call_soon = asyncio.get_running_loop().call_soon
    while True:
        for _ in range(CALLS):
            call_soon(nothing)
        await asyncio.sleep(0)
        yield CALLS


async def with_arguments(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Calls with three arguments."""
    call_soon = asyncio.get_running_loop().call_soon
    one, two, three = object(), object(), object()
    while True:
        for _ in range(CALLS):
            call_soon(nothing, one, two, three)
        await asyncio.sleep(0)
        yield CALLS


async def from_own_thread(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Calls that could come from any thread, and come from the loop's own."""
    call_soon = asyncio.get_running_loop().call_soon_threadsafe
    while True:
        for _ in range(CALLS):
            call_soon(nothing)
        await asyncio.sleep(0)
        yield CALLS


async def from_another_thread(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Calls from another thread, which waits until they have been made."""
    loop = asyncio.get_running_loop()
    wanted = threading.Semaphore(0)
    called = asyncio.Event()
    ended = False

    def call() -> None:
        while True:
            wanted.acquire()
            if ended:
                return
            for _ in range(CALLS_FROM_A_THREAD - 1):
                loop.call_soon_threadsafe(nothing)
            loop.call_soon_threadsafe(called.set)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        while True:
            called.clear()
            wanted.release()
            await called.wait()
            yield CALLS_FROM_A_THREAD
    finally:
        ended = True
        wanted.release()
        thread.join()
