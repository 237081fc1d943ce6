# SPDX-License-Identifier: MIT
"""What the tests of libraries share: a run that must leave nothing behind, and waiting without a clock."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import cuvee

T = TypeVar("T")

WAIT = 30
"""Seconds after which a test has failed; nothing that passes comes near it."""

MANY = 50
"""So many tasks use a library together."""


def open_files() -> dict[str, str]:
    """Return the descriptors of this process, and what each is of."""
    found = {}
    for number in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the one that the folder was read by
            found[number] = os.readlink(f"/dev/fd/{number}")
    return found


def run_clean(
    main: Coroutine[Any, Any, T],
    *,
    debug: bool | None = None,
    count_files: bool = True,
    provokes: str | None = None,
) -> T:
    """Run a coroutine on a new loop of cuvee's; fail if it leaves anything.

    That is a task, a descriptor, something told to the exception handler, or (by the filters in
    pytest.ini, and a collection here) an object that had to be closed. Descriptors are not counted
    where a library has threads that open some of their own, and keep them. `provokes` begins a
    message that a library provokes on asyncio's own loop too.
    """
    gc.collect()
    before = open_files()
    told: list[dict[str, Any]] = []

    async def bounded() -> T:
        loop = asyncio.get_running_loop()
        assert type(loop) is cuvee.Loop
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        async with asyncio.timeout(WAIT):
            result = await main
        for _ in range(3):  # what was cancelled or closed by the last line ends now
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    with asyncio.Runner(loop_factory=cuvee.new_event_loop, debug=debug) as runner:
        result = runner.run(bounded())
    gc.collect()
    expected = () if provokes is None else (provokes,)
    assert not [context for context in told if not context["message"].startswith(expected)], told
    after = open_files()  # a server that was started again has another pipe than before
    assert not count_files or len(after) <= len(before), after.items() - before.items()
    return result


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again until the answer is true: each is a round trip to a server."""
    while not await condition():
        await asyncio.sleep(0)


async def until_it_works(attempt: Callable[[], Awaitable[T]], *failures: type[Exception]) -> T:
    """Try until it does not fail: a server is on its way back."""
    while True:
        try:
            return await attempt()
        except failures:
            await asyncio.sleep(0)
