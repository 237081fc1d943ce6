# SPDX-License-Identifier: MIT
"""A request's task takes its first step while it is made (3.12 and later), and asyncio's and anyio's
tools work in that step, whatever makes the tasks."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond

EAGER = sys.version_info >= (3, 12)
Setup = Callable[[], None] | None


class OwnTask(asyncio.Task[Any]):
    """What a factory of a program's own makes."""


def own_tasks() -> None:
    """Let the running loop make tasks as a tool does that wants to see them all."""

    def factory(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> OwnTask:
        return OwnTask(coro, loop=loop, **options)

    asyncio.get_running_loop().set_task_factory(factory)  # type: ignore[arg-type]


def eager_tasks() -> None:
    """Let the running loop start all tasks eagerly."""
    factory = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
    asyncio.get_running_loop().set_task_factory(factory)


@pytest.fixture(params=["plain", "own", "eager"])
def setup(request: pytest.FixtureRequest, loop_kind: str) -> Setup:
    """What makes the tasks of the loop: nothing in particular, or a factory."""
    if request.param == "eager" and not EAGER:
        pytest.skip("tasks start eagerly from Python 3.12 on")
    if request.param == "eager" and loop_kind == "uvloop":
        pytest.skip("uvloop gives an eager factory an argument that it does not take")
    return {"plain": None, "own": own_tasks, "eager": eager_tasks}[request.param]


def check(serve: Serve, setup: Setup, handler: Callable[[], Awaitable[None]]) -> None:
    """Run a handler as the first thing that requests do, two at a time, and see that it ends well."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        await handler()
        assert asyncio.current_task() is task
        assert task.cancelling() == 0
        await anyio.lowlevel.checkpoint()
        await respond(send)

    with serve(app, setup=setup) as server, server.connect() as one, server.connect() as other:
        for _ in range(2):
            one.get()
            other.get()
            assert one.read_response().status == 200
            assert other.read_response().status == 200


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="3.12.1 crashes in get_coro() of such a task"
)
def test_a_handler_that_never_waits_is_over_at_once(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)
        notes.put(asyncio.current_task())

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 200
        assert notes.get().get_coro() is None  # what a task says that ended while it was made


def test_time_is_up_at_once(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(30), 0)
        with pytest.raises(TimeoutError), anyio.fail_after(0):
            await anyio.sleep(30)

    check(serve, setup, handler)


def test_time_is_up_later(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        with anyio.move_on_after(0.01) as outer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            async with asyncio.timeout(30) as timeout:
                await asyncio.Event().wait()
        assert outer.cancelled_caught
        assert not timeout.expired()

    check(serve, setup, handler)


def test_a_timeout_that_is_moved(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        async with asyncio.timeout(0) as timeout:
            timeout.reschedule(None)
            await asyncio.sleep(0)
        assert not timeout.expired()

    check(serve, setup, handler)


def test_a_child_fails_at_once(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        async def fail() -> None:
            raise LookupError("at once")

        with pytest.raises(ExceptionGroup) as failure:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(asyncio.sleep(30))
                group.create_task(fail())
                await asyncio.sleep(30)
        assert [type(error) for error in failure.value.exceptions] == [LookupError]
        assert waiting.cancelled()
        with pytest.raises(ExceptionGroup):
            async with anyio.create_task_group() as others:
                others.start_soon(fail)
                await anyio.sleep(30)

    check(serve, setup, handler)


def test_children_of_the_first_step(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        order = []

        async def child(number: int) -> int:
            order.append(number)
            await asyncio.sleep(0)
            return number

        me = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            children = [group.create_task(child(number)) for number in range(5)]
            assert asyncio.current_task() is me
        assert [task.result() for task in children] == order == list(range(5))

        async def started(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            task_status.started(7)
            await anyio.sleep_forever()

        async with anyio.create_task_group() as others:
            assert await others.start(started) == 7
            others.cancel_scope.cancel()

    check(serve, setup, handler)


def test_a_scope_that_is_cancelled_before_the_first_wait(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            await anyio.sleep(30)
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 30)
            group.cancel_scope.cancel()

    check(serve, setup, handler)


def test_a_child_cancels_the_scope_of_the_request(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                group.cancel_scope.cancel()

            group.start_soon(cancel)
            await anyio.sleep(30)
            raise AssertionError

    check(serve, setup, handler)


def test_a_task_cancels_itself(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        assert task.uncancel() == 0

    check(serve, setup, handler)


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_contexts_of_children_and_of_requests_stay_apart(serve: Serve, setup: Setup) -> None:
    async def handler() -> None:
        assert variable.get() == "unset"
        variable.set("request")

        async def child() -> str:
            before = variable.get()
            variable.set("child")
            await asyncio.sleep(0)
            assert variable.get() == "child"
            return before

        assert await asyncio.gather(*(child() for _ in range(3))) == ["request"] * 3
        assert variable.get() == "request"

    check(serve, setup, handler)
