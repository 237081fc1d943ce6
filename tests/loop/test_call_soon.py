# SPDX-License-Identifier: MIT
"""call_soon and the handles that it returns."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from typing import Any

import pytest

from tests.loop.support import turn

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_order(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    for number in range(1000):
        loop.call_soon(calls.append, number)
    assert calls == []
    turn(loop)
    assert calls == list(range(1000))


def test_what_a_callback_schedules_runs_in_the_next_turn(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        loop.call_soon(calls.append, "nested")

    loop.call_soon(first)
    loop.call_soon(calls.append, "second")
    turn(loop)
    assert calls == ["first", "second"]
    turn(loop)
    assert calls == ["first", "second", "nested"]


def test_a_chain_takes_one_turn_for_each_link(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []

    def link(number: int) -> None:
        calls.append(number)
        loop.call_soon(link, number + 1)

    loop.call_soon(link, 0)
    for count in range(1, 10):
        turn(loop)
        assert calls == list(range(count))


@pytest.mark.parametrize("count", range(6))
def test_arguments(loop: asyncio.AbstractEventLoop, count: int) -> None:
    calls: list[tuple[object, ...]] = []

    def callback(*args: object) -> None:
        calls.append(args)

    args = tuple(object() for _ in range(count))
    loop.call_soon(callback, *args)
    turn(loop)
    assert calls == [args]


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_bound_method_gets_its_arguments(loop: asyncio.AbstractEventLoop, count: int) -> None:
    """A bound method may write where the vectorcall protocol lets it: before its arguments."""

    class Receiver:
        def __init__(self) -> None:
            self.calls: list[tuple[object, ...]] = []

        def receive(self, *args: object) -> None:
            gc.collect()
            assert "receive" in repr(handle)
            self.calls.append(args)

    receiver = Receiver()
    handle = loop.call_soon(receiver.receive, *range(count))
    turn(loop)
    assert receiver.calls == [tuple(range(count))]


def test_cancel_before_it_runs(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "one")
    handle = loop.call_soon(calls.append, "two")
    loop.call_soon(calls.append, "three")
    assert handle.cancelled() is False
    handle.cancel()
    handle.cancel()
    assert handle.cancelled() is True
    turn(loop)
    assert calls == ["one", "three"]


def test_cancel_by_a_callback_of_the_same_turn(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    handles: list[asyncio.Handle] = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(calls.append, "cancelled"))
    turn(loop, 2)
    assert calls == []


def test_cancel_while_it_runs(loop: asyncio.AbstractEventLoop) -> None:
    """The callback goes on with its arguments."""
    calls: list[list[str]] = []

    def callback(argument: list[str]) -> None:
        handle.cancel()
        gc.collect()
        argument.append("still there")
        calls.append(argument)

    handle = loop.call_soon(callback, ["argument"])
    turn(loop)
    assert calls == [["argument", "still there"]]
    assert handle.cancelled()


def test_cancel_while_c_code_runs(loop: asyncio.AbstractEventLoop) -> None:
    """A function in C borrows its arguments: they stay until it returns."""
    alive: list[bool] = []

    class Thing:
        def __getattr__(self, name: str) -> object:
            handle.cancel()
            gc.collect()
            alive.append(reference() is not None)
            raise AttributeError(name)

    default = Thing()
    reference = weakref.ref(default)
    handle = loop.call_soon(getattr, Thing(), "missing", default)
    del default
    turn(loop)
    assert alive == [True]
    gc.collect()
    assert reference() is None


def test_cancel_after_it_ran(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    handle = loop.call_soon(calls.append, 1)
    turn(loop)
    assert not handle.cancelled()
    handle.cancel()
    assert handle.cancelled()
    turn(loop)
    assert calls == [1]


@pytest.mark.parametrize("count", [1, 5])
def test_cancel_lets_go_of_what_it_held(loop: asyncio.AbstractEventLoop, count: int) -> None:
    class Thing:
        def __call__(self, *args: object) -> None:
            """Be a callback."""

    things = [Thing() for _ in range(count)]
    references = [weakref.ref(thing) for thing in things]
    handle = loop.call_soon(things[0], *things[1:])
    del things
    assert all(reference() is not None for reference in references)
    handle.cancel()
    gc.collect()
    assert all(reference() is None for reference in references)
    turn(loop)


def test_a_handle_that_ran_is_let_go(loop: asyncio.AbstractEventLoop) -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    loop.call_soon(id, thing)
    del thing
    turn(loop)
    gc.collect()
    assert reference() is None


def test_a_callback_that_refers_to_its_handle_is_collected(
    loop: asyncio.AbstractEventLoop,
) -> None:
    class Callback:
        handle: asyncio.Handle

        def __call__(self) -> None:
            """Be a callback."""

    callback = Callback()
    callback.handle = loop.call_soon(callback)
    reference = weakref.ref(callback)
    del callback
    turn(loop)
    gc.collect()
    assert reference() is None


def test_handles_take_weak_references(loop: asyncio.AbstractEventLoop) -> None:
    handle = loop.call_soon(int)
    reference = weakref.ref(handle)
    assert reference() is handle
    del handle
    turn(loop)
    gc.collect()
    assert reference() is None


def test_repr(loop: asyncio.AbstractEventLoop) -> None:
    handle = loop.call_soon(test_repr, loop)
    text = repr(handle)
    assert text.startswith("<Handle test_repr(")
    assert f"{__file__}:" in text
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"


def test_runs_in_a_copy_of_the_context_of_the_call(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[str] = []

    def callback() -> None:
        seen.append(variable.get())
        variable.set("changed by the callback")

    def schedule(value: str) -> None:
        variable.set(value)
        loop.call_soon(callback)
        variable.set("after the call")

    for value in ("one", "two"):
        contextvars.copy_context().run(schedule, value)
    turn(loop)
    assert seen == ["one", "two"]
    assert variable.get() == "unset"


def test_runs_in_the_given_context_itself(loop: asyncio.AbstractEventLoop) -> None:
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    seen: list[str] = []

    def callback() -> None:
        seen.append(variable.get())
        variable.set(f"{variable.get()}+")

    handle: Any = loop.call_soon(callback, context=context)
    loop.call_soon(callback, context=context)
    turn(loop)
    assert seen == ["given", "given+"]
    assert context[variable] == "given++"
    if hasattr(asyncio.Handle, "get_context"):  # since 3.12
        assert handle.get_context() is context


def test_none_for_a_context_is_a_copy_of_the_current_one(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[str] = []
    token = variable.set("current")
    loop.call_soon(lambda: seen.append(variable.get()), context=None)
    variable.reset(token)
    turn(loop)
    assert seen == ["current"]


def test_a_context_that_is_entered_already(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    context = contextvars.copy_context()
    loop.call_soon(calls.append, "not run", context=context)
    context.run(turn, loop)
    assert calls == []
    assert "cannot enter context" in caplog.text
    loop.call_soon(calls.append, "run", context=context)
    turn(loop)
    assert calls == ["run"]


def test_callback_by_name(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(callback=lambda: calls.append("called"))
    turn(loop)
    assert calls == ["called"]


@pytest.mark.parametrize(
    ("args", "keywords"),
    [
        ((), {}),
        ((), {"context": None}),
        ((print,), {"contexts": None}),
        ((print,), {"callback": print}),
        ((print,), {"context": None, "other": 1}),
    ],
)
def test_wrong_arguments(
    loop: asyncio.AbstractEventLoop, args: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        loop.call_soon(*args, **keywords)


def test_order_among_call_soon_and_call_soon_threadsafe(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []

    def schedule(first: int) -> None:
        for number in range(first, first + 10):
            method = loop.call_soon if number % 2 else loop.call_soon_threadsafe
            method(calls.append, number)

    schedule(0)
    turn(loop)
    assert calls == list(range(10))
    loop.call_soon(schedule, 10)
    turn(loop, 2)
    assert calls == list(range(20))


def test_many_at_once_and_again(loop: asyncio.AbstractEventLoop) -> None:
    """The ring grows while it is being run, with its head anywhere."""
    calls: list[int] = []
    scheduled = 0

    def more(count: int) -> None:
        nonlocal scheduled
        for _ in range(count):
            loop.call_soon(calls.append, scheduled)
            scheduled += 1

    for count in (1, 63, 64, 65, 200, 7, 5000):
        loop.call_soon(more, count)
        loop.call_soon(more, count)
        turn(loop)
    turn(loop)
    assert calls == list(range(scheduled))


def test_dropping_a_handle_may_schedule_another(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    class Scheduling:
        def __call__(self) -> None:
            calls.append("called")

        def __del__(self) -> None:
            if not loop.is_closed():
                loop.call_soon(calls.append, "from the finalizer")

    loop.call_soon(Scheduling())
    turn(loop)
    turn(loop)
    assert calls == ["called", "from the finalizer"]


def test_handles_cannot_be_made_by_hand(own_loop: asyncio.AbstractEventLoop) -> None:
    """One without a loop would have nothing to run on."""
    for handle in (own_loop.call_soon(int), own_loop.call_later(60, int)):
        with pytest.raises(TypeError):
            type(handle)()  # type: ignore[call-arg]
        handle.cancel()
