# SPDX-License-Identifier: MIT
"""Debug mode: what is refused, what is told, and what is warned of."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest

from tests.loop.support import WAIT, Contexts, turn


@pytest.fixture
def debug_loop(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """A loop in debug mode."""
    loop.set_debug(True)
    return loop


def schedulers(loop: asyncio.AbstractEventLoop) -> list[Any]:
    """What takes a callback."""
    return [
        loop.call_soon,
        loop.call_soon_threadsafe,
        lambda callback: loop.call_later(1, callback),
        lambda callback: loop.call_at(1, callback),
    ]


def coroutine_origin(coroutine: Any) -> object:
    """Where it was made, if that was tracked."""
    return coroutine.cr_origin


def test_get_and_set(loop: asyncio.AbstractEventLoop) -> None:
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_what_is_not_callable(debug_loop: asyncio.AbstractEventLoop) -> None:
    for schedule in schedulers(debug_loop):
        with pytest.raises(TypeError, match="a callable object was expected by call_"):
            schedule("no function")


def test_coroutines_and_their_functions(debug_loop: asyncio.AbstractEventLoop) -> None:
    async def function() -> None:
        """Would never be awaited."""

    coroutine = function()
    for schedule in schedulers(debug_loop):
        for callback in (function, coroutine):
            with pytest.raises(TypeError, match="coroutines cannot be used with call_"):
                schedule(callback)
    coroutine.close()


def test_the_wrong_thread(debug_loop: asyncio.AbstractEventLoop) -> None:
    failures: list[str] = []

    def wrong() -> None:
        for schedule in schedulers(debug_loop):
            try:
                schedule(int)
            except RuntimeError as exc:
                failures.append(str(exc))
        debug_loop.call_soon_threadsafe(debug_loop.stop)

    worker = threading.Thread(target=wrong)
    debug_loop.call_soon(worker.start)
    debug_loop.run_forever()
    worker.join(WAIT)
    message = "Non-thread-safe operation invoked on an event loop other than the current one"
    assert failures == [message] * 3


def test_slow_callbacks(
    debug_loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    debug_loop.slow_callback_duration = 0  # type: ignore[attr-defined]
    debug_loop.call_soon(sorted, [3, 1, 2])
    debug_loop.call_later(0, len, "abc")
    turn(debug_loop)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    text = "\n".join(lines)
    pattern = r"^Executing <(Timer)?Handle .*{}\(.*\) created at .*> took \d+\.\d\d\d seconds$"
    assert re.search(pattern.format("sorted"), text, re.MULTILINE)
    assert re.search(pattern.format("len"), text, re.MULTILINE)


def test_slow_tasks(
    debug_loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        debug_loop.slow_callback_duration = 0  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    debug_loop.run_until_complete(main())
    assert re.search(r"Executing <Task .*name='Task-\d+'.*> took \d\.\d{3} seconds", caplog.text)


def test_quick_callbacks_are_not_told(
    debug_loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    debug_loop.slow_callback_duration = 3600  # type: ignore[attr-defined]
    debug_loop.call_soon(len, "abc")
    turn(debug_loop)
    assert "Executing" not in caplog.text


def test_where_a_handle_was_made(debug_loop: asyncio.AbstractEventLoop) -> None:
    for handle in (debug_loop.call_soon(len, "abc"), debug_loop.call_later(60, len, "abc")):
        assert re.search(rf" created at {re.escape(__file__)}:\d+>$", repr(handle))
        handle.cancel()
        assert re.search(r"^<(Timer)?Handle cancelled .*len", repr(handle))


def test_a_failure_says_where_its_handle_was_made(debug_loop: asyncio.AbstractEventLoop) -> None:
    contexts = Contexts()
    debug_loop.set_exception_handler(contexts.keep)
    debug_loop.call_soon(int, "no number")
    turn(debug_loop)
    context = contexts.only
    assert isinstance(context["exception"], ValueError)
    assert context["source_traceback"][-1].filename == __file__


def test_everything_else_works(debug_loop: asyncio.AbstractEventLoop) -> None:
    async def part(number: int) -> int:
        await asyncio.sleep(number / 10_000)
        return number

    async def main() -> list[int]:
        return await asyncio.gather(*(part(number) for number in range(20)))

    assert debug_loop.run_until_complete(main()) == list(range(20))


def test_the_origin_of_coroutines(loop: asyncio.AbstractEventLoop) -> None:
    """Is tracked while a loop in debug mode runs, also one that is put in it meanwhile."""

    async def inner() -> None:
        """Only to be looked at."""

    async def main() -> None:
        for debug in (True, False, True):
            loop.set_debug(debug)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            coroutine = inner()
            assert (coroutine_origin(coroutine) is not None) is debug
            coroutine.close()

    loop.run_until_complete(main())
    coroutine = inner()
    assert coroutine_origin(coroutine) is None
    coroutine.close()


def test_a_callback_that_ends_the_run(debug_loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    def end() -> None:
        raise SystemExit(4)

    debug_loop.call_soon(end)
    debug_loop.call_soon(calls.append, "after")
    with pytest.raises(SystemExit):
        debug_loop.run_forever()
    turn(debug_loop)
    assert calls == ["after"]
