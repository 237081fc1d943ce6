# SPDX-License-Identifier: MIT
"""Tasks and futures of the loop: asyncio's own, however they are made."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.loop.support import turn

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are there since 3.12")


async def value(result: object = None) -> object:
    """Return it a turn later."""
    await asyncio.sleep(0)
    return result


def test_create_future(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    assert type(future) is asyncio.Future
    assert future.get_loop() is loop
    loop.call_soon(future.set_result, 1)
    assert loop.run_until_complete(future) == 1


def test_callbacks_of_a_future_run_in_the_next_turn(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    future = loop.create_future()
    for number in range(5):
        future.add_done_callback(lambda _, n=number: calls.append(n))  # type: ignore[misc]
    future.set_result(None)
    assert calls == []
    turn(loop)
    assert calls == list(range(5))


def test_create_task(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []

    async def main() -> str:
        steps.append("started")
        await asyncio.sleep(0)
        return "result"

    task = loop.create_task(main())
    assert type(task) is asyncio.Task
    assert task.get_loop() is loop
    assert steps == []
    turn(loop)
    assert steps == ["started"]
    assert loop.run_until_complete(task) == "result"


@pytest.mark.parametrize("debug", [False, True])
def test_name_and_context(loop: asyncio.AbstractEventLoop, debug: bool) -> None:
    loop.set_debug(debug)
    context = contextvars.copy_context()
    context.run(variable.set, "given")

    async def main() -> str:
        seen = variable.get()
        variable.set("changed")
        return seen

    task = loop.create_task(main(), name="named", context=context)
    assert task.get_name() == "named"
    assert loop.run_until_complete(task) == "given"
    assert context[variable] == "changed"
    task = loop.create_task(main(), name=None, context=None)
    assert task.get_name().startswith("Task-")
    assert loop.run_until_complete(task) == "unset"
    assert variable.get() == "unset"


@pytest.mark.parametrize("thing", [None, 1, value, "coroutine"])
def test_what_is_no_coroutine(loop: asyncio.AbstractEventLoop, thing: Any) -> None:
    with pytest.raises(TypeError):
        loop.create_task(thing)
    with pytest.raises(TypeError):
        loop.create_task()  # type: ignore[call-arg]


def test_a_keyword_that_there_is_not(loop: asyncio.AbstractEventLoop) -> None:
    coroutine = value()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, colour="blue")  # type: ignore[call-arg]
    coroutine.close()


def test_current_and_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
    async def waiting() -> None:
        assert asyncio.current_task() is other
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert asyncio.all_tasks() == {task, other}
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        assert asyncio.all_tasks() == {task}

    other = loop.create_task(waiting())
    loop.run_until_complete(main())
    assert asyncio.all_tasks(loop) == set()


def test_cancel(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        never_begun = asyncio.create_task(asyncio.sleep(3600))
        never_begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await never_begun

    loop.run_until_complete(main())


def test_task_factory(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[dict[str, Any]] = []

    def factory(
        which: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        assert which is loop
        calls.append(options)
        return asyncio.Task(coroutine, loop=which, **options)

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)  # type: ignore[arg-type]
    assert loop.get_task_factory() is factory
    context = contextvars.copy_context()
    assert loop.run_until_complete(value(1)) == 1
    task = loop.create_task(value(2), name="named", context=context)
    assert task.get_name() == "named"
    assert loop.run_until_complete(task) == 2
    assert len(calls) == 2
    assert calls[1]["context"] is context
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    assert loop.run_until_complete(value(3)) == 3
    assert len(calls) == 2
    with pytest.raises(TypeError):
        loop.set_task_factory("no function")  # type: ignore[arg-type]


@eager
def test_eager_task_factory(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []

    async def at_once() -> str:
        steps.append("ran")
        return "done"

    async def main() -> None:
        task = asyncio.create_task(at_once())
        assert steps == ["ran"]
        assert task.done()
        assert await task == "done"
        waiting = asyncio.create_task(value("later"), name="waits")
        assert not waiting.done()
        assert waiting in asyncio.all_tasks()
        assert waiting.get_name() == "waits"
        assert await waiting == "later"

    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    loop.run_until_complete(main())


@eager
def test_eager_tasks_by_hand(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        me = asyncio.current_task()

        async def inner() -> object:
            assert asyncio.current_task() is not me
            return 1

        task: Any = asyncio.Task(inner(), loop=loop, eager_start=True)  # type: ignore[call-arg]
        assert task.done()
        assert asyncio.current_task() is me

    loop.run_until_complete(main())


def test_task_group(loop: asyncio.AbstractEventLoop) -> None:
    cancelled: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("forever")
            raise

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("one of them")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(value(number)) for number in range(10)]
        assert [task.result() for task in tasks] == list(range(10))
        with pytest.raises(BaseExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(forever())
                group.create_task(fail())
        assert [type(exc) for exc in caught.value.exceptions] == [LookupError]
        assert cancelled == ["forever"]

    loop.run_until_complete(main())


def test_contexts_of_tasks_stay_apart(loop: asyncio.AbstractEventLoop) -> None:
    async def work(name: str) -> list[str]:
        variable.set(name)
        seen = []
        for _ in range(5):
            await asyncio.sleep(0)
            seen.append(variable.get())
        return seen

    async def main() -> None:
        names = [f"task {number}" for number in range(20)]
        results = await asyncio.gather(*map(work, names))
        assert results == [[name] * 5 for name in names]
        assert variable.get() == "unset"

    loop.run_until_complete(main())


def test_locks_queues_and_events(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(2)
        got: list[int] = []

        async def produce() -> None:
            for number in range(100):
                await queue.put(number)

        async def consume() -> None:
            while len(got) < 100:
                got.append(await queue.get())

        await asyncio.gather(produce(), consume())
        assert got == list(range(100))
        lock = asyncio.Lock()
        inside = 0

        async def enter() -> None:
            nonlocal inside
            async with lock:
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(enter() for _ in range(20)))

    loop.run_until_complete(main())


def test_a_hundred_thousand_steps(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> int:
        count = 0
        for _ in range(20_000):
            await asyncio.sleep(0)
            count += 1
        return count

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(main() for _ in range(5)))

    assert loop.run_until_complete(all_of_them()) == [20_000] * 5


def test_a_future_of_a_loop_that_was_closed(loop: asyncio.AbstractEventLoop) -> None:
    """It is done too late: who did it gets the error."""
    future = loop.create_future()
    future.add_done_callback(print)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        future.set_result(None)


# ---- pipes and subprocesses ----------------------------------------------------------------------


def run_in_main(factory: Any, main: Coroutine[Any, Any, None]) -> None:
    """Until 3.11 a child watcher may be tied to the policy's loop."""
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def test_subprocess_exec(loop_factory: Any) -> None:
    async def main() -> None:
        program = "import sys; data = sys.stdin.read(); print(data.upper()); sys.exit(7)"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(b"hello")
        assert output == b"HELLO\n"
        assert not errors
        assert process.returncode == 7

    run_in_main(loop_factory, main())


def test_subprocess_shell_with_much_output(loop_factory: Any) -> None:
    async def main() -> None:
        program = f"{sys.executable} -c 'print(\"x\" * 1000000)'; echo end >&2; exit 3"
        process = await asyncio.create_subprocess_shell(
            program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await process.communicate()
        assert len(output) == 1_000_001
        assert errors == b"end\n"
        assert process.returncode == 3

    run_in_main(loop_factory, main())


def test_subprocess_that_is_killed(loop_factory: Any) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "3600")
        process.kill()
        assert await process.wait() == -9

    run_in_main(loop_factory, main())


def test_many_subprocesses(loop_factory: Any) -> None:
    async def one(number: int) -> int:
        process = await asyncio.create_subprocess_shell(f"exit {number}")
        return await process.wait()

    async def main() -> None:
        assert await asyncio.gather(*map(one, range(10))) == list(range(10))

    run_in_main(loop_factory, main())


def test_a_program_that_there_is_not(loop_factory: Any) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nonexistent/program")

    run_in_main(loop_factory, main())


def test_pipes(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        reader = asyncio.StreamReader()
        source, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        sink, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(writing, "wb", 0))
        sink.write(b"through the pipe\n")
        assert await reader.readline() == b"through the pipe\n"
        sink.write(bytes(1 << 20))
        assert len(await reader.readexactly(1 << 20)) == 1 << 20
        sink.close()
        assert await reader.read() == b""
        source.close()
        await asyncio.sleep(0)

    loop.run_until_complete(main())
