# SPDX-License-Identifier: MIT
"""Signal handlers of the loop, and the signals that have none."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from tests.loop.conftest import FACTORIES, MakeLoop
from tests.loop.support import WAIT, Contexts, Script, turn

kinds = pytest.mark.parametrize("kind", FACTORIES)


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_handler(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[tuple[int, ...]] = []

    def handle(*args: int) -> None:
        calls.append(args)
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handle, 1, 2)
    for count in range(1, 4):
        loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        loop.run_forever()
        assert calls == [(1, 2)] * count
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_wakes_a_loop_that_waits(loop: asyncio.AbstractEventLoop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    worker = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
    loop.call_soon(worker.start)
    loop.run_forever()
    worker.join(WAIT)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_between_two_runs_is_kept(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(signal.SIGUSR1, calls.append, "called")
    turn(loop)
    signal.raise_signal(signal.SIGUSR1)
    assert calls == []
    turn(loop, 3)
    assert calls == ["called"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_two_signals(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[int] = []
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(number, calls.append, number)
    loop.add_signal_handler(signal.SIGUSR2, calls.append, 0)
    signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR2)
    turn(loop, 3)
    assert calls == [signal.SIGUSR1, 0]
    loop.remove_signal_handler(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR2)
    turn(loop, 3)
    assert calls == [signal.SIGUSR1, 0, 0]
    loop.remove_signal_handler(signal.SIGUSR2)


def test_more_signals_than_one_read_takes(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(signal.SIGUSR1, calls.append, "one")
    loop.add_signal_handler(signal.SIGUSR2, calls.append, "last")
    for _ in range(100):
        signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR2)
    turn(loop, 6)
    assert calls == ["one"] * 100 + ["last"]
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.remove_signal_handler(number)


def test_a_handler_that_fails(loop: asyncio.AbstractEventLoop, contexts: Contexts) -> None:
    def fail() -> None:
        raise LookupError("in the handler")

    loop.add_signal_handler(signal.SIGUSR1, fail)
    for count in range(1, 3):
        signal.raise_signal(signal.SIGUSR1)
        turn(loop, 3)
        assert len(contexts) == count
        assert isinstance(contexts[-1]["exception"], LookupError)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_handler_that_removes_itself(loop: asyncio.AbstractEventLoop) -> None:
    calls: list[bool] = []

    def handle() -> None:
        calls.append(loop.remove_signal_handler(signal.SIGUSR1))

    loop.add_signal_handler(signal.SIGUSR1, handle)
    loop.add_signal_handler(signal.SIGUSR2, print)
    signal.raise_signal(signal.SIGUSR1)
    turn(loop, 3)
    assert calls == [True]
    loop.remove_signal_handler(signal.SIGUSR2)


def test_close_gives_the_signals_back(loop: asyncio.AbstractEventLoop) -> None:
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(number, print)
    loop.close()
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        assert signal.getsignal(number) is signal.SIG_DFL


def test_sigint_goes_back_to_the_default_of_python(loop: asyncio.AbstractEventLoop) -> None:
    former = signal.getsignal(signal.SIGINT)
    calls: list[str] = []
    try:
        loop.add_signal_handler(signal.SIGINT, calls.append, "interrupt")
        signal.raise_signal(signal.SIGINT)
        turn(loop, 3)
        assert calls == ["interrupt"]
        loop.remove_signal_handler(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGKILL, RuntimeError),
        (signal.SIGSTOP, RuntimeError),
        (0, ValueError),
        (-1, ValueError),
        (signal.NSIG + 1, ValueError),
        (1 << 40, ValueError),
        ("SIGUSR1", TypeError),
        (10.0, TypeError),
        (None, TypeError),
    ],
)
def test_what_cannot_be_handled(
    loop: asyncio.AbstractEventLoop, number: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        loop.add_signal_handler(number, print)
    if error is RuntimeError:
        assert loop.remove_signal_handler(number) is False
    else:
        with pytest.raises(error):
            loop.remove_signal_handler(number)


def test_coroutines_are_no_handlers(loop: asyncio.AbstractEventLoop) -> None:
    async def handle() -> None:
        """Would never be awaited."""

    coroutine = handle()
    for callback in (handle, coroutine):
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            loop.add_signal_handler(signal.SIGUSR1, callback)  # type: ignore[arg-type]
    coroutine.close()


def test_only_in_the_main_thread(loop: asyncio.AbstractEventLoop) -> None:
    failures: list[BaseException] = []

    def add() -> None:
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError as exc:
            failures.append(exc)

    worker = threading.Thread(target=add)
    worker.start()
    worker.join(WAIT)
    assert len(failures) == 1


def test_a_closed_loop(loop: asyncio.AbstractEventLoop) -> None:
    loop.close()
    with pytest.raises(RuntimeError):
        loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_the_wakeup_descriptor_of_others_comes_back(own_loop: asyncio.AbstractEventLoop) -> None:
    """It is the loop's only while it runs or has handlers."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        turn(own_loop)
        assert signal.set_wakeup_fd(writing, warn_on_full_buffer=False) == writing
        own_loop.add_signal_handler(signal.SIGUSR1, print)
        turn(own_loop)
        own_loop.remove_signal_handler(signal.SIGUSR1)
        assert signal.set_wakeup_fd(writing, warn_on_full_buffer=False) == writing
        own_loop.add_signal_handler(signal.SIGUSR1, print)
        own_loop.close()
    finally:
        assert signal.set_wakeup_fd(-1) == writing
        os.close(reading)
        os.close(writing)


def test_a_python_handler_that_fails_leaves_run_forever(
    own_loop: asyncio.AbstractEventLoop,
) -> None:
    """One of signal.signal, while the loop waits; the loop can go on afterwards."""
    raised = threading.Event()

    def handle(number: int, frame: types.FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "run_forever":  # and no callback's
            raised.set()
            raise LookupError("in the handler")

    def send(thread: int) -> None:
        while not raised.wait(0.001):
            signal.pthread_kill(thread, signal.SIGUSR1)

    former = signal.signal(signal.SIGUSR1, handle)
    try:
        worker = threading.Thread(target=send, args=(threading.get_ident(),))
        worker.start()
        with pytest.raises(LookupError):
            own_loop.run_forever()
        worker.join(WAIT)
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert not own_loop.is_running()
    calls: list[str] = []
    own_loop.call_soon(calls.append, "again")
    turn(own_loop)
    assert calls == ["again"]


@kinds
def test_interrupt_while_the_loop_waits(kind: str) -> None:
    """SIGINT is KeyboardInterrupt out of run_forever, and the loop can be run again."""
    text = """
        loop = new_loop()
        loop.call_soon(say, "running")
        for _ in range(3):
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                say(f"interrupted {loop.is_running()}")
            loop.call_soon(say, "running")
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        say("closed")
    """
    with Script(text, kind=kind) as script:
        for _ in range(3):
            script.expect("running")
            script.signal(signal.SIGINT)
            script.expect("interrupted False")
        script.expect("running")
        script.expect("closed")
        script.end()


@kinds
def test_interrupt_while_a_callback_runs(kind: str) -> None:
    text = """
        loop = new_loop()

        def spin():
            say("spinning")
            while True:
                pass

        loop.call_soon(spin)
        loop.call_soon(say, "after")
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            say("interrupted")
        loop.stop()
        loop.run_forever()
        loop.close()
    """
    with Script(text, kind=kind) as script:
        script.expect("spinning")
        script.signal(signal.SIGINT)
        script.expect("interrupted")
        script.expect("after")
        script.end()


@kinds
def test_interrupt_of_a_busy_loop(kind: str) -> None:
    text = """
        loop = new_loop()

        def again():
            loop.call_soon(again)

        loop.call_soon(again)
        loop.call_soon(say, "running")
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            say("interrupted")
        loop.close()
    """
    with Script(text, kind=kind) as script:
        script.expect("running")
        script.signal(signal.SIGINT)
        script.expect("interrupted")
        script.end()


@kinds
def test_interrupt_of_a_runner_cancels_the_main_task(kind: str) -> None:
    text = """
        async def main():
            say("running")
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                say("cancelled")
                raise

        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(main())
        except KeyboardInterrupt:
            say("interrupted")
    """
    with Script(text, kind=kind) as script:
        script.expect("running")
        script.signal(signal.SIGINT)
        script.expect("cancelled")
        script.expect("interrupted")
        script.end()


def test_interrupt_of_run() -> None:
    text = """
        async def main():
            try:
                say("running")
                await asyncio.Event().wait()
            finally:
                say("finally")

        cuvee.loop.run(main())
    """
    with Script(text) as script:
        script.expect("running")
        script.signal(signal.SIGINT)
        script.expect("finally")
        assert script.end(-signal.SIGINT).endswith("KeyboardInterrupt\n")


@kinds
def test_a_second_interrupt_does_not_wait(kind: str) -> None:
    text = """
        async def main():
            while True:
                try:
                    say("running")
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass

        runner = asyncio.Runner(loop_factory=new_loop)
        try:
            runner.run(main())
        except KeyboardInterrupt:
            say("interrupted")
            os._exit(0)
    """
    with Script(text, kind=kind) as script:
        script.expect("running")
        script.signal(signal.SIGINT)
        script.expect("running")
        script.signal(signal.SIGINT)
        script.expect("interrupted")
        script.end()


@kinds
def test_sigint_and_sigterm_handled_by_the_loop(kind: str) -> None:
    text = """
        async def main():
            loop = asyncio.get_running_loop()
            got = asyncio.Queue()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, got.put_nowait, number)
            say("running")
            for _ in range(2):
                say((await got.get()).name)

        asyncio.Runner(loop_factory=new_loop).run(main())
        os._exit(0)
    """
    with Script(text, kind=kind) as script:
        script.expect("running")
        for number in (signal.SIGTERM, signal.SIGINT):
            script.signal(number)
            script.expect(number.name)
        script.end()


@kinds
def test_a_loop_in_a_thread_leaves_signals_alone(kind: str) -> None:
    """Neither loop takes the other's: the one in the main thread gets them."""
    text = """
        other = new_loop()
        worker = threading.Thread(target=other.run_forever)
        worker.start()
        loop = new_loop()
        loop.add_signal_handler(signal.SIGUSR1, loop.stop)
        loop.call_soon(say, "running")
        loop.run_forever()
        say("stopped")
        other.call_soon_threadsafe(other.stop)
        worker.join()
        other.close()
        loop.close()
    """
    with Script(text, kind=kind) as script:
        script.expect("running")
        script.signal(signal.SIGUSR1)
        script.expect("stopped")
        script.end()


def test_the_loops_of_asyncio_and_cuvee_take_turns(
    loop: asyncio.AbstractEventLoop, loop_factory: MakeLoop
) -> None:
    """The handlers of the loop that runs are called; the other one's do not disturb it."""
    calls: list[str] = []
    other = loop_factory()
    loop.add_signal_handler(signal.SIGUSR1, calls.append, "one")
    signal.raise_signal(signal.SIGUSR1)
    turn(loop, 3)
    loop.remove_signal_handler(signal.SIGUSR1)
    other.add_signal_handler(signal.SIGUSR1, calls.append, "two")
    signal.raise_signal(signal.SIGUSR1)
    turn(other, 3)
    other.close()
    assert calls == ["one", "two"]
