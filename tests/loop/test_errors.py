# SPDX-License-Identifier: MIT
"""What callbacks and tasks raise: told to the exception handler, or out of run_forever."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.loop.support import Contexts, turn

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Odd(BaseException):
    """No Exception, but none that ends a program either."""


def fail(error: type[BaseException] = LookupError) -> None:
    raise error("on purpose")


@pytest.mark.parametrize("error", [LookupError, Odd, asyncio.CancelledError, GeneratorExit])
def test_a_callback_that_fails(
    loop: asyncio.AbstractEventLoop, contexts: Contexts, error: type[BaseException]
) -> None:
    calls: list[str] = []
    handle = loop.call_soon(fail, error)
    loop.call_soon(calls.append, "next")
    turn(loop)
    context = contexts.only
    assert set(context) == {"message", "exception", "handle"}
    assert context["message"].startswith("Exception in callback fail(")
    assert type(context["exception"]) is error
    assert context["exception"].__traceback__ is not None
    assert context["handle"] is handle
    assert calls == ["next"]


def test_a_timer_that_fails(loop: asyncio.AbstractEventLoop, contexts: Contexts) -> None:
    handle = loop.call_later(0, fail)
    turn(loop)
    assert contexts.only["handle"] is handle
    assert contexts.only["message"].startswith("Exception in callback fail(")


def test_what_is_not_callable_fails_when_it_runs(
    loop: asyncio.AbstractEventLoop, contexts: Contexts
) -> None:
    loop.call_soon("no function")  # type: ignore[arg-type]
    turn(loop)
    assert isinstance(contexts.only["exception"], TypeError)


def test_the_default_handler_logs(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    assert loop.get_exception_handler() is None
    loop.call_soon(fail)
    turn(loop)
    (record,) = caplog.records
    assert record.name == "asyncio"
    assert record.levelno == logging.ERROR
    lines = record.getMessage().splitlines()
    assert lines[0].startswith("Exception in callback fail(")
    assert lines[1].startswith("handle: <Handle fail(")
    assert record.exc_info is not None and record.exc_info[0] is LookupError


def test_set_and_reset_the_handler(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    contexts = Contexts()
    handler = contexts.keep
    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() == handler
    loop.call_exception_handler({"message": "one"})
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    loop.call_exception_handler({"message": "two"})
    assert [context["message"] for context in contexts] == ["one"]
    assert "two" in caplog.text
    with pytest.raises(TypeError):
        loop.set_exception_handler("no function")  # type: ignore[arg-type]


def test_a_handler_may_use_the_default_one(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(which: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        assert which is loop
        which.default_exception_handler(context)

    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    turn(loop)
    assert "Exception in callback fail(" in caplog.text


def test_a_handler_that_fails_is_logged(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raise ZeroDivisionError("in the handler")

    loop.set_exception_handler(handler)
    calls: list[str] = []
    loop.call_soon(fail)
    loop.call_soon(calls.append, "next")
    turn(loop)
    assert "Unhandled error in exception handler" in caplog.text
    assert calls == ["next"]


def test_a_handler_that_ends_the_program(loop: asyncio.AbstractEventLoop) -> None:
    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raise SystemExit(3)

    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    with pytest.raises(SystemExit) as caught:
        loop.run_forever()
    assert caught.value.code == 3
    loop.set_exception_handler(None)
    turn(loop)


def test_the_handler_runs_in_the_context_of_what_failed(
    own_loop: asyncio.AbstractEventLoop,
) -> None:
    """asyncio's does since 3.12; cuvee's on every version."""
    seen: list[str] = []
    own_loop.set_exception_handler(lambda loop, context: seen.append(variable.get()))
    context = contextvars.copy_context()
    context.run(variable.set, "of the callback")
    own_loop.call_soon(fail, context=context)
    turn(own_loop)
    assert seen == ["of the callback"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_callback_that_ends_the_run(
    loop: asyncio.AbstractEventLoop, contexts: Contexts, error: type[BaseException]
) -> None:
    """What was behind it runs when the loop does again."""
    calls: list[str] = []
    loop.call_soon(calls.append, "before")
    loop.call_soon(fail, error)
    loop.call_soon(calls.append, "after")
    with pytest.raises(error, match="on purpose"):
        loop.run_forever()
    assert calls == ["before"]
    assert not loop.is_running()
    assert contexts == []
    turn(loop)
    assert calls == ["before", "after"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_timer_that_ends_the_run(
    loop: asyncio.AbstractEventLoop, error: type[BaseException]
) -> None:
    loop.call_later(0.001, fail, error)
    with pytest.raises(error):
        loop.run_forever()
    turn(loop)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_reader_that_ends_the_run(
    loop: asyncio.AbstractEventLoop, error: type[BaseException]
) -> None:
    here, there = socket.socketpair()
    loop.add_writer(here, fail, error)
    for _ in range(3):
        with pytest.raises(error):
            loop.run_forever()
    loop.remove_writer(here)
    here.close()
    there.close()
    turn(loop)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_protocol_that_ends_the_run(
    loop: asyncio.AbstractEventLoop, error: type[BaseException]
) -> None:
    class Protocol(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            fail(error)

    here, there = socket.socketpair()
    transport, _ = loop.run_until_complete(loop.create_connection(Protocol, sock=here))
    there.send(b"data")
    with pytest.raises(error):
        loop.run_forever()
    transport.abort()
    turn(loop, 2)
    there.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_task_that_ends_the_run(
    loop: asyncio.AbstractEventLoop, error: type[BaseException]
) -> None:
    async def main() -> None:
        await asyncio.sleep(0)
        fail(error)

    with pytest.raises(error):
        loop.run_until_complete(main())
    task = loop.create_task(main())
    with pytest.raises(error):
        loop.run_forever()
    assert isinstance(task.exception(), error)

    async def later() -> str:
        await asyncio.sleep(0.001)
        return "works"

    assert loop.run_until_complete(later()) == "works"


def test_the_first_end_decides(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(fail, SystemExit)
    loop.call_soon(fail, KeyboardInterrupt)
    with pytest.raises(SystemExit):
        loop.run_forever()
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    turn(loop)


def test_an_end_and_stop_in_one_turn(loop: asyncio.AbstractEventLoop) -> None:
    """The stop does not outlive the run that was left."""
    loop.call_soon(loop.stop)
    loop.call_soon(fail, SystemExit)
    with pytest.raises(SystemExit):
        loop.run_forever()
    calls: list[str] = []
    loop.call_later(0.001, calls.append, "timer")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert calls == ["timer"]


def test_a_task_that_nobody_asks(loop: asyncio.AbstractEventLoop, contexts: Contexts) -> None:
    async def main() -> None:
        fail()

    task = loop.create_task(main())
    turn(loop, 2)
    del task
    gc.collect()
    assert contexts.only["message"] == "Task exception was never retrieved"
    assert isinstance(contexts.only["exception"], LookupError)


def test_a_task_that_is_dropped(loop: asyncio.AbstractEventLoop, contexts: Contexts) -> None:
    async def main() -> None:
        await loop.create_future()

    task = loop.create_task(main())
    turn(loop)
    del task
    gc.collect()
    assert contexts.only["message"] == "Task was destroyed but it is pending!"


def test_a_done_callback_that_fails(loop: asyncio.AbstractEventLoop, contexts: Contexts) -> None:
    def callback(future: asyncio.Future[None]) -> None:
        fail()

    async def main() -> None:
        future = loop.create_future()
        future.add_done_callback(callback)
        future.set_result(None)
        await future
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert isinstance(contexts.only["exception"], LookupError)


@pytest.mark.parametrize("schedule", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_errors_in_a_row(
    loop: asyncio.AbstractEventLoop, contexts: Contexts, schedule: str
) -> None:
    method: Callable[..., object] = getattr(loop, schedule)
    for _ in range(200):
        method(*([0] if schedule == "call_later" else []), fail)
    turn(loop)
    assert len(contexts) == 200
