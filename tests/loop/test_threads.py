# SPDX-License-Identifier: MIT
"""call_soon_threadsafe, executors, and what other threads get done while the loop waits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import signal
import socket
import sys
import threading
import time
from typing import Any

import pytest

from tests.loop.conftest import MakeLoop
from tests.loop.support import WAIT, Contexts, turn

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_many_threads(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing is lost, and each thread's calls keep their order."""
    threads, each = 8, 2000
    calls: list[tuple[int, int]] = []
    start = threading.Barrier(threads)

    def receive(thread: int, number: int) -> None:
        calls.append((thread, number))
        if len(calls) == threads * each:
            loop.stop()

    def send(thread: int) -> None:
        start.wait(WAIT)
        for number in range(each):
            loop.call_soon_threadsafe(receive, thread, number)

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    loop.run_forever()
    for worker in workers:
        worker.join(WAIT)
    for thread in range(threads):
        assert [number for origin, number in calls if origin == thread] == list(range(each))


@pytest.mark.skipif(sys.version_info < (3, 14), reason="nobody waits before 3.14")
@pytest.mark.parametrize("ask", ["cancel", "cancelled"])
def test_a_callback_that_runs_is_waited_for(loop: asyncio.AbstractEventLoop, ask: str) -> None:
    """Who has cancelled it from another thread knows that it is not under way."""
    asked = threading.Event()
    given: concurrent.futures.Future[asyncio.Handle] = concurrent.futures.Future()
    order: list[str] = []

    def callback() -> None:
        threads = [threading.Thread(target=another) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert asked.wait(WAIT)
        getattr(given.result(WAIT), ask)()  # the loop's own thread does not wait for itself
        for _ in range(100):
            time.sleep(0)  # others have turns
        order.append("callback")
        loop.call_soon(finish, threads)

    def another() -> None:
        handle = given.result(WAIT)
        asked.set()
        getattr(handle, ask)()
        order.append(ask)

    def finish(threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(WAIT)
        loop.stop()

    given.set_result(loop.call_soon_threadsafe(callback))
    loop.run_forever()
    assert order == ["callback", ask, ask, ask]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="nobody waits before 3.14")
def test_a_signal_ends_the_wait_for_a_callback(loop: asyncio.AbstractEventLoop) -> None:
    running, end = threading.Event(), threading.Event()
    main = threading.get_ident()

    def callback() -> None:
        running.set()
        signal.pthread_kill(main, signal.SIGUSR1)
        assert end.wait(WAIT)
        loop.stop()

    def handler(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, handler)
    handle = loop.call_soon_threadsafe(callback)
    thread = threading.Thread(target=loop.run_forever)
    try:
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            running.wait(WAIT)
            handle.cancel()
    finally:
        end.set()
        thread.join(WAIT)
        signal.signal(signal.SIGUSR1, before)
    assert not handle.cancelled()


@pytest.mark.parametrize("seconds", [None, pytest.param(60, marks=pytest.mark.full)])
def test_threads_that_never_rest(loop: asyncio.AbstractEventLoop, seconds: float | None) -> None:
    """Nothing is lost, nothing comes twice, and each thread's calls keep their order; the loop falls
    asleep in between, since a thread has so many calls under way at the most."""
    threads, each, under_way = 8, 50_000, 500
    sent = [0] * threads
    came = [0] * threads
    wrong: list[tuple[int, int]] = []
    room = [threading.Semaphore(under_way) for _ in range(threads)]
    until = time.monotonic() + seconds if seconds else None

    def receive(thread: int, number: int) -> None:
        if number != came[thread]:
            wrong.append((thread, number))
        came[thread] += 1
        room[thread].release()

    def goes_on(thread: int) -> bool:
        return time.monotonic() < until if until else sent[thread] < each

    def send(thread: int) -> None:
        while goes_on(thread):
            room[thread].acquire()
            loop.call_soon_threadsafe(receive, thread, sent[thread])
            sent[thread] += 1

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]

    def end() -> None:
        for worker in workers:
            worker.join()
        loop.call_soon_threadsafe(loop.stop)

    for thread in (*workers, closer := threading.Thread(target=end)):
        thread.start()
    loop.run_forever()
    closer.join(WAIT)
    assert wrong == []
    assert came == sent and min(came) > 0


def test_wakes_a_loop_that_waits(loop: asyncio.AbstractEventLoop) -> None:
    """Again and again, each time from a wait that nothing else would end."""
    waiting = threading.Semaphore(0)
    rounds = 200
    calls: list[int] = []

    def receive(number: int) -> None:
        calls.append(number)
        if number == rounds - 1:
            loop.stop()
        else:
            waiting.release()

    def send() -> None:
        for number in range(rounds):
            assert waiting.acquire(timeout=WAIT)
            loop.call_soon_threadsafe(receive, number)

    worker = threading.Thread(target=send)
    worker.start()
    timer = loop.call_later(3600, print)
    loop.call_soon(waiting.release)
    loop.run_forever()
    timer.cancel()
    worker.join(WAIT)
    assert calls == list(range(rounds))


def test_before_the_loop_runs(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    for number in range(100):
        loop.call_soon_threadsafe(calls.append, number)
    turn(loop)
    assert calls == list(range(100))


def test_what_it_schedules_runs_in_the_next_turn(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        loop.call_soon_threadsafe(calls.append, "nested")

    loop.call_soon_threadsafe(first)
    turn(loop)
    assert calls == ["first"]
    turn(loop)
    assert calls == ["first", "nested"]


def test_cancel_before_it_runs(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon_threadsafe(calls.append, "one")
    handle = loop.call_soon_threadsafe(calls.append, "two")
    handle.cancel()
    assert handle.cancelled()
    turn(loop)
    assert calls == ["one"]


def test_context_is_that_of_the_calling_thread(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[str] = []

    def send() -> None:
        variable.set("of the thread")
        loop.call_soon_threadsafe(lambda: seen.append(variable.get()))
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        loop.call_soon_threadsafe(lambda: seen.append(variable.get()), context=context)
        loop.call_soon_threadsafe(loop.stop)

    worker = threading.Thread(target=send)
    worker.start()
    loop.run_forever()
    worker.join(WAIT)
    assert seen == ["of the thread", "given"]


@pytest.mark.parametrize(
    ("args", "keywords"), [((), {}), ((print,), {"contexts": None}), ((print,), {"callback": 1})]
)
def test_wrong_arguments(
    loop: asyncio.AbstractEventLoop, args: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        loop.call_soon_threadsafe(*args, **keywords)


def test_threads_that_meet_a_loop_that_closes(loop_factory: MakeLoop) -> None:
    """Each call is taken or refused with RuntimeError; nothing else happens."""
    for _ in range(20):
        loop = loop_factory()
        refused: list[str] = []
        begun = threading.Semaphore(0)

        def send(
            loop: asyncio.AbstractEventLoop = loop,
            begun: threading.Semaphore = begun,
            refused: list[str] = refused,
        ) -> None:
            try:
                while True:
                    loop.call_soon_threadsafe(int)
                    begun.release()
            except RuntimeError as exc:
                refused.append(str(exc))

        workers = [threading.Thread(target=send) for _ in range(3)]
        for worker in workers:
            worker.start()
        for _ in range(10):
            assert begun.acquire(timeout=WAIT)
        turn(loop)
        loop.close()
        for worker in workers:
            worker.join(WAIT)
        assert refused == ["Event loop is closed"] * 3


def test_from_a_signal_handler(loop: asyncio.AbstractEventLoop) -> None:
    """A handler of signal.signal runs while the loop waits, and what it schedules too."""
    calls: list[str] = []

    def handler(number: int, frame: object) -> None:
        calls.append("handler")
        loop.call_soon_threadsafe(calls.append, "scheduled")
        loop.call_soon_threadsafe(loop.stop)

    former = signal.signal(signal.SIGUSR1, handler)
    try:
        main = threading.get_ident()
        worker = threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGUSR1))
        loop.call_soon(worker.start)
        timer = loop.call_later(3600, print)
        loop.run_forever()
        timer.cancel()
        worker.join(WAIT)
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert calls == ["handler", "scheduled"]


def test_from_a_signal_handler_that_interrupts_a_callback(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    number = 0

    def handler(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(calls.append, number)

    def callback() -> None:
        nonlocal number
        if number == 200:
            loop.stop()
            return
        signal.raise_signal(signal.SIGUSR1)
        number += 1
        loop.call_soon(callback)

    former = signal.signal(signal.SIGUSR1, handler)
    try:
        loop.call_soon(callback)
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert calls == list(range(200))


def test_other_threads_run_while_the_loop_waits(loop: asyncio.AbstractEventLoop) -> None:
    """The lock of the interpreter is free during the wait, or this would never end."""
    total = 0

    def work() -> None:
        nonlocal total
        for number in range(200_000):
            total += number
        loop.call_soon_threadsafe(loop.stop)

    worker = threading.Thread(target=work)
    timer = loop.call_later(3600, print)
    loop.call_soon(worker.start)
    loop.run_forever()
    timer.cancel()
    worker.join(WAIT)
    assert total == sum(range(200_000))


def test_other_threads_run_while_the_loop_is_busy(loop: asyncio.AbstractEventLoop) -> None:
    done = threading.Event()

    def spin() -> None:
        if done.is_set():
            loop.stop()
        else:
            loop.call_soon(spin)

    def work() -> None:
        for _ in range(1000):
            time.monotonic()
        done.set()

    worker = threading.Thread(target=work)
    loop.call_soon(worker.start)
    loop.call_soon(spin)
    loop.run_forever()
    worker.join(WAIT)


def test_two_loops_in_two_threads(loop_factory: MakeLoop) -> None:
    """They talk to each other over a socket pair; each is the running loop of its own thread."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    rounds = 200
    loops: list[asyncio.AbstractEventLoop] = []
    failures: list[BaseException] = []

    async def talk(end: socket.socket, first: bool) -> None:
        loop = asyncio.get_running_loop()
        loops.append(loop)
        if first:
            await loop.sock_sendall(end, b"0")
        for _ in range(rounds):
            data = await loop.sock_recv(end, 10)
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is loop
            await loop.sock_sendall(end, data)
        if not first:
            await loop.sock_recv(end, 10)

    def run(end: socket.socket, first: bool) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(talk(end, first))
        except BaseException as exc:
            failures.append(exc)
            raise

    workers = [threading.Thread(target=run, args=(ends[n], n == 0)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WAIT)
    for end in ends:
        end.close()
    assert failures == []
    assert len(set(loops)) == 2


def test_a_loop_is_made_in_one_thread_and_runs_in_another(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    loop.call_soon(lambda: calls.append(threading.get_ident()))
    loop.call_soon(loop.stop)
    worker = threading.Thread(target=loop.run_forever)
    worker.start()
    worker.join(WAIT)
    assert calls == [worker.ident]
    loop.call_soon(lambda: calls.append(threading.get_ident()))
    turn(loop)
    assert calls[1:] == [threading.get_ident()]


def test_run_coroutine_threadsafe(loop: asyncio.AbstractEventLoop) -> None:
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    async def fail() -> None:
        raise LookupError("in the loop")

    results: list[object] = []

    def ask() -> None:
        results.append(asyncio.run_coroutine_threadsafe(add(1, 2), loop).result(WAIT))
        results.append(type(asyncio.run_coroutine_threadsafe(fail(), loop).exception(WAIT)))
        loop.call_soon_threadsafe(loop.stop)

    worker = threading.Thread(target=ask)
    worker.start()
    loop.run_forever()
    worker.join(WAIT)
    assert results == [3, LookupError]


# ---- executors ---------------------------------------------------------------------------------


def test_run_in_executor(loop: asyncio.AbstractEventLoop) -> None:
    def work(number: int) -> tuple[int, int]:
        return number * 2, threading.get_ident()

    async def main() -> None:
        results = await asyncio.gather(*(loop.run_in_executor(None, work, n) for n in range(50)))
        assert [number for number, _ in results] == [n * 2 for n in range(50)]
        assert threading.get_ident() not in {thread for _, thread in results}

    loop.run_until_complete(main())


def test_run_in_executor_fails(loop: asyncio.AbstractEventLoop) -> None:
    def fail() -> None:
        raise LookupError("in the thread")

    async def main() -> None:
        with pytest.raises(LookupError, match="in the thread"):
            await loop.run_in_executor(None, fail)

    loop.run_until_complete(main())


def test_run_in_a_given_executor(loop: asyncio.AbstractEventLoop) -> None:
    async def main(executor: concurrent.futures.Executor) -> str:
        return await loop.run_in_executor(executor, lambda: threading.current_thread().name)

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="given") as executor:
        assert loop.run_until_complete(main(executor)).startswith("given")


def test_set_default_executor(loop: asyncio.AbstractEventLoop) -> None:
    executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default")
    loop.set_default_executor(executor)

    async def main() -> str:
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    assert loop.run_until_complete(main()).startswith("default")
    loop.run_until_complete(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(int)


def test_the_default_executor_is_a_thread_pool(loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(TypeError):
        loop.set_default_executor("an executor")  # type: ignore[arg-type]


def test_shutdown_default_executor_waits_for_its_threads(loop: asyncio.AbstractEventLoop) -> None:
    release = threading.Event()
    done: list[str] = []

    def work() -> None:
        assert release.wait(WAIT)
        done.append("work")

    async def main() -> None:
        future = loop.run_in_executor(None, work)
        loop.call_soon(release.set)
        await loop.shutdown_default_executor()
        assert done == ["work"]
        await future
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, work)

    loop.run_until_complete(main())


def test_to_thread_sees_the_context(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> str:
        variable.set("of the task")
        return await asyncio.to_thread(variable.get)

    assert loop.run_until_complete(main()) == "of the task"


def test_name_look_ups(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
            expected = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)
            assert await loop.getaddrinfo(host, 80, type=socket.SOCK_STREAM) == expected
            assert expected[0][0] == family
        assert await loop.getaddrinfo("localhost", 80)
        assert await loop.getaddrinfo(None, 80, flags=socket.AI_PASSIVE)
        address = ("127.0.0.1", 80)
        flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert await loop.getnameinfo(address, flags) == ("127.0.0.1", "80")
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("256.0.0.1", 80, flags=socket.AI_NUMERICHOST)
        with pytest.raises(UnicodeError):
            await loop.getaddrinfo("a" * 64 + "\xe9.example", 80)

    loop.run_until_complete(main())


def test_an_executor_that_outlives_the_loop(loop_factory: MakeLoop) -> None:
    """The result of a thread that comes too late is dropped."""
    release = threading.Event()
    loop = loop_factory()
    contexts = Contexts()
    loop.set_exception_handler(contexts.keep)
    executor = concurrent.futures.ThreadPoolExecutor(1)
    future = loop.run_in_executor(executor, release.wait, WAIT)
    turn(loop)
    loop.close()
    release.set()
    executor.shutdown()
    assert not future.done()
    assert contexts == []
