# SPDX-License-Identifier: MIT
"""call_later and call_at: order, exactness, odd deadlines, and many of them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import math
import random
import time
import weakref
from typing import Any

import pytest

from tests.loop.support import turn

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_time_is_monotonic_time(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(100):
        before = time.monotonic()
        now = loop.time()
        assert before <= now <= time.monotonic()


def test_time_does_not_stand_still_within_a_turn(loop: asyncio.AbstractEventLoop) -> None:
    """A callback that takes long sees it."""
    seen: list[bool] = []

    def callback() -> None:
        start = loop.time()
        while loop.time() < start + 0.002:
            pass
        seen.append(loop.time() > start)

    loop.call_soon(callback)
    turn(loop)
    assert seen == [True]


def test_order_is_that_of_the_deadlines(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    start = loop.time() + 0.005
    numbers = list(range(500))
    random.Random(7).shuffle(numbers)
    for number in numbers:
        loop.call_at(start + number * 1e-5, calls.append, number)
    loop.call_at(start + 1e-2, loop.stop)
    loop.run_forever()
    assert calls == sorted(numbers)


def test_equal_deadlines_run_in_the_order_of_the_calls(own_loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    when = own_loop.time() + 0.002
    for number in range(300):
        own_loop.call_at(when, calls.append, number)
    own_loop.call_at(when, own_loop.stop)
    own_loop.run_forever()
    assert calls == list(range(300))


def test_never_early(own_loop: asyncio.AbstractEventLoop) -> None:
    """Not by a fraction of a millisecond, which libuv's own timers would be."""
    late: list[float] = []
    delays = [number * 0.00037 for number in range(60)]

    def fire(when: float) -> None:
        late.append(own_loop.time() - when)

    for delay in delays:
        when = own_loop.time() + delay
        own_loop.call_at(when, fire, when)
        when = own_loop.time() + delay
        handle = own_loop.call_later(delay, fire, when)
        assert handle.when() >= when
    own_loop.call_later(delays[-1] + 0.001, own_loop.stop)
    own_loop.run_forever()
    assert len(late) == 2 * len(delays)
    assert min(late) >= 0


@pytest.mark.parametrize("batches", [3, pytest.param(100, marks=pytest.mark.full)])
def test_none_of_many_is_early(own_loop: asyncio.AbstractEventLoop, batches: int) -> None:
    """Of ten thousand at a time, so that the loop waits, and rounds, often between them."""
    delays = random.Random(batches)
    early: list[float] = []
    fired = 0

    def fire(when: float) -> None:
        nonlocal fired
        fired += 1
        if own_loop.time() < when:
            early.append(when)

    for _ in range(batches):
        for _ in range(5_000):
            when = own_loop.time() + delays.random() * 0.05
            own_loop.call_at(when, fire, when)
            delay = delays.random() * 0.05
            when = own_loop.time() + delay
            own_loop.call_later(delay, fire, when)
        own_loop.call_later(0.05, own_loop.stop)
        own_loop.run_forever()
    assert fired == batches * 10_000
    assert early == []


def test_a_loop_that_waits_for_one_timer_after_another(own_loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        for delay in (0.0001, 0.0009, 0.001, 0.0011, 0.0019):
            before = time.monotonic()
            await asyncio.sleep(delay)
            assert time.monotonic() - before >= delay

    own_loop.run_until_complete(main())


@pytest.mark.parametrize("delay", [0, -1, -1e300, 0.0, -math.inf])
def test_a_delay_of_nothing_runs_in_the_next_turn(
    loop: asyncio.AbstractEventLoop, delay: float
) -> None:
    calls: list[str] = []
    handle = loop.call_later(delay, calls.append, "timer")
    assert isinstance(handle.when(), float)
    loop.call_soon(calls.append, "soon")
    turn(loop)
    assert sorted(calls) == ["soon", "timer"]


def test_a_timer_that_sets_a_due_timer_lets_the_turn_end(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []

    def again() -> None:
        calls.append(len(calls))
        loop.call_later(0, again)

    loop.call_later(0, again)
    for count in range(1, 6):
        turn(loop)
        assert calls == list(range(count))


def test_due_timers_do_not_wait_for_an_idle_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Nor the other way round: a busy loop looks at its timers in each turn."""

    def spin() -> None:
        loop.call_soon(spin)

    loop.call_soon(spin)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()


@pytest.mark.parametrize("delay", [1e9, 1e18, 1e300, math.inf, 86400.0 * 365])
def test_huge_delays_wait(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    calls: list[str] = []
    handle = loop.call_later(delay, calls.append, "huge")
    assert handle.when() >= delay
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert calls == []
    handle.cancel()


def test_only_a_huge_timer(loop: asyncio.AbstractEventLoop) -> None:
    """What the poll is given is not taken for forever, nor for nothing."""
    handle = loop.call_later(1e18, print, "never")

    async def main() -> str:
        return await loop.run_in_executor(None, lambda: "from the thread")

    assert loop.run_until_complete(main()) == "from the thread"
    assert not handle.cancelled()


def test_nan_does_not_break_the_order(own_loop: asyncio.AbstractEventLoop) -> None:
    """It is due at once; asyncio's heap would lose its order."""
    calls: list[object] = []
    now = own_loop.time()
    for number in (5, 3, 1, 4, 2):
        own_loop.call_at(now + number * 1e-4, calls.append, number)
        handle = own_loop.call_later(math.nan, calls.append, "nan")
        assert math.isnan(handle.when())
    own_loop.call_at(now + 1e-3, own_loop.stop)
    own_loop.run_forever()
    assert [call for call in calls if call != "nan"] == [1, 2, 3, 4, 5]
    assert calls.count("nan") == 5


@pytest.mark.parametrize("delay", [None, "1", [], object()])
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_a_deadline_is_a_number(
    own_loop: asyncio.AbstractEventLoop, method: str, delay: Any
) -> None:
    with pytest.raises(TypeError):
        getattr(own_loop, method)(delay, print)
    with pytest.raises(OverflowError):
        getattr(own_loop, method)(10**400, print)


@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_none_is_no_deadline(loop: asyncio.AbstractEventLoop, method: str) -> None:
    with pytest.raises(TypeError, match="None"):
        getattr(loop, method)(None, print)


@pytest.mark.parametrize(
    ("args", "keywords"),
    [
        ((), {}),
        ((1,), {}),
        ((1, print), {"contexts": None}),
        ((1, print), {"callback": print}),
        ((1,), {"context": None}),
    ],
)
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_wrong_arguments(
    loop: asyncio.AbstractEventLoop, method: str, args: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        getattr(loop, method)(*args, **keywords)


def test_arguments_by_name(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_later(delay=0, callback=lambda: calls.append("later"))
    turn(loop)
    loop.call_at(when=loop.time(), callback=lambda: calls.append("at"))
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert calls == ["later", "at"]


@pytest.mark.parametrize("count", range(6))
def test_arguments(loop: asyncio.AbstractEventLoop, count: int) -> None:
    calls: list[tuple[int, ...]] = []

    def callback(*args: int) -> None:
        calls.append(args)

    loop.call_later(0, callback, *range(count))
    turn(loop)
    assert calls == [tuple(range(count))]


def test_cancel(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    handles = [loop.call_later(0.001, calls.append, "cancelled") for _ in range(5)]
    handles.append(loop.call_later(0, calls.append, "cancelled"))
    for handle in handles:
        assert not handle.cancelled()
        handle.cancel()
        handle.cancel()
        assert handle.cancelled()
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    assert calls == []


def test_cancel_by_a_timer_of_the_same_turn(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    now = loop.time()
    handle = loop.call_at(now - 1, calls.append, "cancelled")
    loop.call_at(now - 2, handle.cancel)
    turn(loop, 2)
    assert calls == []


def test_cancel_after_it_ran(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    handles = [loop.call_later(0, calls.append, number) for number in range(300)]
    turn(loop)
    for handle in handles:
        handle.cancel()
    later = [loop.call_later(3600, calls.append, -1) for number in range(300)]
    for handle in later:
        handle.cancel()
    assert sorted(calls) == list(range(300))
    loop.call_later(0, calls.append, 300)
    turn(loop)
    assert calls[-1] == 300


def test_cancel_lets_go_of_what_it_held(loop: asyncio.AbstractEventLoop) -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    handle = loop.call_later(3600, id, thing)
    del thing
    assert reference() is not None
    handle.cancel()
    assert reference() is None


def test_many_with_most_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    """Cancelled timers are weeded out; the others keep their order and none is lost."""
    calls: list[int] = []
    chosen = random.Random(11)
    now = loop.time() - 10
    handles = {}
    for number in range(5000):
        handles[number] = loop.call_at(now + number * 1e-3, calls.append, number)
    numbers = list(handles)
    chosen.shuffle(numbers)
    for number in numbers[:4500]:
        handles.pop(number).cancel()
        if number % 7 == 0:
            loop.call_later(3600, print).cancel()
    turn(loop)
    assert calls == sorted(handles)


def test_cancelled_timers_are_freed_while_the_loop_stands(loop: asyncio.AbstractEventLoop) -> None:
    references = []
    for _ in range(500):
        handle = loop.call_later(3600, print)
        references.append(weakref.ref(handle))
        handle.cancel()
        del handle
    turn(loop)
    gc.collect()
    assert sum(reference() is not None for reference in references) <= 101


def test_dropping_a_cancelled_timer_may_set_timers(own_loop: asyncio.AbstractEventLoop) -> None:
    """The heap is whole while what it held is finalized."""
    calls: list[int] = []

    class Handles:
        """In a cycle with its handle, so that it dies with it."""

        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:
            if not own_loop.is_closed():
                own_loop.call_at(own_loop.time() - 1, calls.append, self.number)

    handles = []
    for number in range(400):
        context = contextvars.copy_context()
        context.run(holder.set, Handles(number))
        handles.append(own_loop.call_later(3600, print, context=context))
        del context
    for handle in handles:
        handle.cancel()
    del handle
    handles.clear()
    turn(own_loop)
    gc.collect()
    turn(own_loop)
    assert sorted(calls) == list(range(400))


holder: contextvars.ContextVar[object] = contextvars.ContextVar("holder")


def test_when(loop: asyncio.AbstractEventLoop) -> None:
    when = loop.time() + 100
    handle = loop.call_at(when, print)
    assert handle.when() == when
    before = loop.time()
    later = loop.call_later(50, print)
    assert before + 50 <= later.when() <= loop.time() + 50
    handle.cancel()
    assert handle.when() == when
    later.cancel()


def test_timers_compare_by_deadline(loop: asyncio.AbstractEventLoop) -> None:
    late, early = loop.call_at(2e9, print, 1), loop.call_at(1e9, print, 2)
    assert early < late
    assert early <= late
    assert late > early
    assert late >= early
    assert early != late
    assert early == early  # noqa: PLR0124
    assert sorted([late, early]) == [early, late]
    assert len({late, early, late}) == 2
    with pytest.raises(TypeError):
        _ = late < 3  # type: ignore[operator]


def test_repr(loop: asyncio.AbstractEventLoop) -> None:
    handle = loop.call_at(2e9, test_repr, loop)
    assert repr(handle).startswith("<TimerHandle when=2000000000.0 test_repr(")
    handle.cancel()
    assert repr(handle) == "<TimerHandle cancelled when=2000000000.0>"


def test_context(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[str] = []
    given = contextvars.copy_context()
    given.run(variable.set, "given")
    token = variable.set("current")
    now = loop.time()
    loop.call_at(now - 3, lambda: seen.append(variable.get()))
    loop.call_at(now - 2, lambda: seen.append(variable.get()), context=given)
    loop.call_later(-1, lambda: seen.append(variable.get()), context=None)
    variable.reset(token)
    turn(loop)
    assert seen == ["current", "given", "current"]


def test_timers_of_a_loop_that_is_closed_never_run(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    handles = [loop.call_later(number / 1000, calls.append, number) for number in range(150)]
    loop.close()
    for handle in handles:
        handle.cancel()
    assert all(handle.cancelled() for handle in handles)
    assert calls == []


def test_timeouts_and_sleeps(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(3600)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0)
        async with asyncio.timeout(3600) as timeout:
            await asyncio.sleep(0)
            timeout.reschedule(loop.time() + 3600)
        assert not timeout.expired()
        order: list[int] = []

        async def sleeper(number: int) -> None:
            await asyncio.sleep(number / 1000)
            order.append(number)

        await asyncio.gather(*map(sleeper, (4, 1, 3, 2)))
        assert order == [1, 2, 3, 4]

    loop.run_until_complete(main())
