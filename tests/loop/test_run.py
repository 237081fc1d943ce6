# SPDX-License-Identifier: MIT
"""Running, stopping and closing a loop; Runner and cuvee.loop.run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import cuvee
import cuvee.loop
from tests.loop.conftest import MakeLoop
from tests.loop.support import turn


def test_states(loop_factory: MakeLoop) -> None:
    loop = loop_factory()
    assert not loop.is_running()
    assert not loop.is_closed()
    seen: list[bool] = []
    loop.call_soon(lambda: seen.append(loop.is_running()))
    turn(loop)
    assert seen == [True]
    assert not loop.is_running()
    loop.close()
    assert loop.is_closed()
    loop.close()


def test_repr(own_loop: asyncio.AbstractEventLoop) -> None:
    assert repr(own_loop) == "<Loop running=False closed=False debug=False>"
    own_loop.close()
    assert repr(own_loop) == "<Loop running=False closed=True debug=False>"


def test_the_running_loop(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[object] = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    turn(loop)
    assert seen == [loop]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_stop_lets_the_batch_finish(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        loop.stop()
        loop.call_soon(calls.append, "next turn")

    loop.call_soon(first)
    loop.call_soon(calls.append, "second")
    loop.run_forever()
    assert calls == ["first", "second"]
    turn(loop)
    assert calls == ["first", "second", "next turn"]


def test_stop_before_the_run_is_one_turn(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "called")
    loop.stop()
    loop.stop()
    loop.run_forever()
    assert calls == ["called"]
    loop.call_later(0.001, calls.append, "again")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert calls == ["called", "again"]


def test_running_twice(own_loop: asyncio.AbstractEventLoop) -> None:
    """In asyncio's words; its own loop of 3.13.0 is out of order afterwards."""
    loop = own_loop
    messages: list[str] = []

    def attempt(run: Callable[..., object], *args: Any) -> None:
        try:
            run(*args)
        except RuntimeError as exc:
            messages.append(str(exc))

    other = asyncio.SelectorEventLoop()
    future = loop.create_future()
    loop.call_soon(attempt, loop.run_forever)
    loop.call_soon(attempt, loop.run_until_complete, future)
    loop.call_soon(attempt, other.run_forever)
    loop.call_soon(attempt, loop.close)
    turn(loop)
    other.close()
    assert messages == [
        "This event loop is already running",
        "This event loop is already running",
        "Cannot run the event loop while another loop is running",
        "Cannot close a running event loop",
    ]
    assert not loop.is_running()


def test_a_refused_run_does_not_disturb_the_one_under_way(
    own_loop: asyncio.AbstractEventLoop,
) -> None:
    loop = own_loop

    async def main() -> None:
        with pytest.raises(RuntimeError):
            loop.run_forever()
        assert asyncio.get_running_loop() is loop
        assert loop.is_running()
        await asyncio.sleep(0)
        assert await loop.run_in_executor(None, lambda: 1) == 1

    loop.run_until_complete(main())


def test_a_closed_loop(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    loop.close()

    async def nothing() -> None:
        """Is never run."""

    coroutine = nothing()
    attempts: list[Callable[[], object]] = [
        loop.run_forever,
        lambda: loop.run_until_complete(future),
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(1, print),
        lambda: loop.create_task(coroutine),
        lambda: loop.run_in_executor(None, print),
    ]
    for attempt in attempts:
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            attempt()
    coroutine.close()
    assert loop.is_closed()
    loop.stop()
    loop.set_debug(True)
    assert loop.time() > 0


def test_run_until_complete(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> str:
        await asyncio.sleep(0)
        return "result"

    async def fail() -> None:
        raise LookupError("in the task")

    assert loop.run_until_complete(main()) == "result"
    with pytest.raises(LookupError, match="in the task"):
        loop.run_until_complete(fail())
    future = loop.create_future()
    loop.call_soon(future.set_result, "of a future")
    assert loop.run_until_complete(future) == "of a future"
    assert loop.run_until_complete(future) == "of a future"
    with pytest.raises(TypeError):
        loop.run_until_complete("no awaitable")  # type: ignore[arg-type]


def test_run_until_complete_that_is_stopped(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
        loop.run_until_complete(future)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(future)


def test_a_future_of_another_loop(loop: asyncio.AbstractEventLoop, loop_factory: MakeLoop) -> None:
    other = loop_factory()
    future = other.create_future()
    with pytest.raises(ValueError, match="loop"):
        loop.run_until_complete(future)
    other.close()


def test_thousand_runs(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    for number in range(1000):
        loop.call_soon(calls.append, number)
        turn(loop)
    assert calls == list(range(1000))


def test_runner(loop_factory: MakeLoop) -> None:
    async def main(value: str) -> tuple[str, asyncio.AbstractEventLoop]:
        await asyncio.sleep(0)
        return value, asyncio.get_running_loop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        assert runner.run(main("one")) == ("one", loop)
        assert runner.run(main("two")) == ("two", loop)
    assert loop.is_closed()


def test_a_runner_cancels_what_is_left(loop_factory: MakeLoop) -> None:
    calls: list[str] = []

    async def left() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            calls.append("cancelled")
            raise

    async def main() -> None:
        tasks.append(asyncio.create_task(left()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert calls == ["cancelled"]
    assert tasks[0].cancelled()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="run() takes a loop_factory since 3.12")
def test_asyncio_run() -> None:
    async def main() -> object:
        return type(asyncio.get_running_loop())

    kind = asyncio.run(main(), loop_factory=cuvee.new_event_loop)  # type: ignore[call-arg]
    assert kind is cuvee.loop.Loop


def test_run() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop()

    loop = cuvee.loop.run(main())
    assert type(loop) is cuvee.loop.Loop
    assert loop.is_closed()


@pytest.mark.parametrize("debug", [None, False, True])
def test_run_with_debug(debug: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONASYNCIODEBUG", raising=False)

    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert cuvee.loop.run(main(), debug=debug) is (bool(debug) or sys.flags.dev_mode)


def test_run_hands_on_what_is_raised() -> None:
    async def fail(error: type[BaseException]) -> None:
        await asyncio.sleep(0)
        raise error("on purpose")

    for error in (LookupError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error, match="on purpose"):
            cuvee.loop.run(fail(error))


def test_run_within_a_running_loop(own_loop: asyncio.AbstractEventLoop) -> None:
    async def nothing() -> None:
        """Is never run."""

    async def main() -> None:
        coroutine = nothing()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            cuvee.loop.run(coroutine)
        assert asyncio.get_running_loop() is own_loop
        coroutine.close()

    own_loop.run_until_complete(main())


def test_an_unclosed_loop_is_warned_of() -> None:
    loops = [cuvee.new_event_loop()]
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        loops.clear()


# ---- asynchronous generators ---------------------------------------------------------------------


def test_shutdown_asyncgens(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    async def numbers(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            calls.append(name)

    async def main() -> None:
        for name in ("one", "two"):
            generator = numbers(name)
            assert await anext(generator) == 1
            kept.append(generator)

    kept: list[AsyncIterator[int]] = []
    loop.run_until_complete(main())
    assert calls == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert sorted(calls) == ["one", "two"]


def test_a_generator_that_is_dropped_is_finalized(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            calls.append("finalized")

    async def main() -> None:
        async for _ in numbers():
            break
        for _ in range(4):
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert calls == ["finalized"]


def test_the_hooks_of_generators_come_back(loop: asyncio.AbstractEventLoop) -> None:
    before = sys.get_asyncgen_hooks()
    seen: list[bool] = []
    loop.call_soon(lambda: seen.append(sys.get_asyncgen_hooks() != before))
    turn(loop)
    assert seen == [True]
    assert sys.get_asyncgen_hooks() == before


def test_stop_in_a_chain_of_callbacks_ends_it(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        loop.call_soon(second)

    def second() -> None:
        calls.append("second")
        loop.stop()
        loop.call_soon(calls.append, "third")

    loop.call_soon(first)
    loop.run_forever()
    assert calls == ["first", "second"]
    turn(loop)
    assert calls == ["first", "second", "third"]


def test_an_exit_in_a_chain_of_callbacks_ends_it(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    def first() -> None:
        loop.call_soon(second)

    def second() -> None:
        loop.call_soon(calls.append, "third")
        raise KeyboardInterrupt

    loop.call_soon(first)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert calls == []
    turn(loop)
    assert calls == ["third"]


def test_a_chain_without_end_keeps_neither_descriptors_nor_timers_waiting(
    loop: asyncio.AbstractEventLoop,
) -> None:
    reading, writing = os.pipe()
    due: list[str] = []

    def spin() -> None:
        if len(due) < 2:
            loop.call_soon(spin)
        else:
            loop.stop()

    def read() -> None:
        due.append("descriptor")
        loop.remove_reader(reading)

    loop.add_reader(reading, read)
    os.write(writing, b"x")
    loop.call_later(0.001, due.append, "timer")
    loop.call_soon(spin)
    loop.run_forever()
    assert sorted(due) == ["descriptor", "timer"]
    os.close(reading)
    os.close(writing)
