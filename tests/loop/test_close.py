# SPDX-License-Identifier: MIT
"""What is left when a loop is closed, what it holds while it runs, what it does while it waits."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cuvee
from tests.loop.conftest import FACTORIES
from tests.loop.support import Script, linux_only, nothing_stays_open, open_files, turn

kinds = pytest.mark.parametrize("kind", FACTORIES)


@linux_only
def test_the_check_after_every_test_sees_what_stays_open() -> None:
    """The one that conftest.py makes."""
    with pytest.raises(AssertionError, match="pipe:"), nothing_stays_open():
        pipe = os.pipe()
    os.close(pipe[0])
    os.close(pipe[1])
    with nothing_stays_open():
        loop = cuvee.new_event_loop()
        turn(loop)
        loop.close()


@linux_only
@pytest.mark.parametrize("running", ["running", "closed"])
def test_closed_with_everything_open(running: str) -> None:
    """Servers, transports, readers, timers, signal handlers, executors: no descriptor stays."""
    text = f"""
        import gc, socket, warnings
        from tests.loop.support import open_files
        warnings.simplefilter("ignore", ResourceWarning)
        new_loop().close()
        before = open_files()
        loop = new_loop()
        here, there = socket.socketpair()

        async def main():
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            for _ in range(3):
                await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
            await asyncio.sleep(0)
            loop.add_reader(here, print)
            loop.add_writer(there, int)
            loop.add_signal_handler(signal.SIGUSR1, print)
            for number in range(50):
                loop.call_later(3600 + number, print)
                loop.call_soon_threadsafe(loop.call_later, 3600, print)
            await loop.run_in_executor(None, int)
            await loop.shutdown_default_executor()
            loop.call_soon(int)
            if {running == "closed"}:
                server.close()

        loop.run_until_complete(main())
        assert len(open_files()) > len(before) + 5
        loop.close()
        here.close()
        there.close()
        del loop, here, there
        gc.collect()
        say(open_files() == before or (before, open_files()))
    """
    with Script(text) as script:
        script.expect("True")
        script.end()


@linux_only
@pytest.mark.parametrize("used", [False, True])
def test_many_loops_one_after_another(used: bool) -> None:
    before = open_files()
    for _ in range(200):
        loop = cuvee.new_event_loop()
        if used:
            loop.call_soon(loop.stop)
            loop.call_later(3600, print)
            loop.run_forever()
        loop.close()
    del loop
    assert open_files() == before


@linux_only
def test_many_loops_at_once() -> None:
    before = open_files()
    loops = [cuvee.new_event_loop() for _ in range(50)]
    for loop in loops:
        turn(loop)
    assert len(open_files()) > len(before)
    for loop in loops:
        loop.close()
    assert open_files() == before


@linux_only
@pytest.mark.filterwarnings("ignore:unclosed event loop")
def test_a_loop_that_is_dropped_closes_itself() -> None:
    before = open_files()
    for _ in range(20):
        loop = cuvee.new_event_loop()
        loop.call_later(3600, loop.stop)  # a cycle
        turn(loop)
        del loop
    gc.collect()
    assert open_files() == before


def grown(cycle: Callable[[], object], cycles: int) -> int:
    """How many blocks more are allocated after so many cycles than after a few."""
    for _ in range(500):
        cycle()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(cycles):
        cycle()
    gc.collect()
    return sys.getallocatedblocks() - before


def nothing(*args: object) -> None:
    """Be a callback."""


@pytest.mark.parametrize("count", [0, 2, 5])
def test_call_soon_keeps_nothing(own_loop: asyncio.AbstractEventLoop, count: int) -> None:
    args = tuple(object() for _ in range(count))

    def cycle() -> None:
        for _ in range(100):
            own_loop.call_soon(nothing, *args)
        own_loop.call_soon_threadsafe(nothing, *args)
        own_loop.call_soon(nothing, *args).cancel()
        turn(own_loop)

    assert grown(cycle, 200) < 200


def test_timers_keep_nothing(own_loop: asyncio.AbstractEventLoop) -> None:
    def cycle() -> None:
        own_loop.call_later(3600, nothing, 1, 2, 3, 4).cancel()
        own_loop.call_later(0, nothing, own_loop)
        turn(own_loop)

    assert grown(cycle, 20_000) < 500  # cancelled ones wait until it is worth to weed them out


def test_readers_keep_nothing(own_loop: asyncio.AbstractEventLoop) -> None:
    here, there = socket.socketpair()
    there.send(b"data")

    def cycle() -> None:
        own_loop.add_reader(here, nothing, here)
        own_loop.add_reader(here, nothing)
        own_loop.add_writer(here.fileno(), nothing, 1, 2, 3, 4, 5)
        turn(own_loop)
        own_loop.remove_reader(here)
        own_loop.remove_writer(here)

    assert grown(cycle, 20_000) < 200
    here.close()
    there.close()


def test_errors_keep_nothing(own_loop: asyncio.AbstractEventLoop) -> None:
    own_loop.set_exception_handler(lambda loop, context: None)

    def cycle() -> None:
        own_loop.call_soon(int, "no number")
        own_loop.call_later(-1, int, "no number")
        for wrong in ((), ("no function", 1, 2)):
            with pytest.raises(TypeError):
                own_loop.call_later(*wrong)  # type: ignore[call-overload]
        turn(own_loop)

    assert grown(cycle, 5_000) < 200


def test_tasks_keep_nothing(own_loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        future = own_loop.create_future()
        own_loop.call_soon_threadsafe(future.set_result, None)
        await future

    def cycle() -> None:
        own_loop.run_until_complete(work())

    assert grown(cycle, 5_000) < 200


def test_loops_keep_nothing() -> None:
    def cycle() -> None:
        loop = cuvee.new_event_loop()
        loop.call_soon(nothing, loop)
        loop.call_later(3600, nothing, loop)
        loop.call_later(3600, nothing, loop).cancel()
        loop.call_soon_threadsafe(nothing, loop)
        turn(loop)
        loop.call_soon(nothing, loop)
        loop.close()

    assert grown(cycle, 300) < 300


def strace_or_skip() -> str:
    """The path of strace, where it may be used."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed")
    if subprocess.run([path, "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    return path


@linux_only
def test_a_loop_that_waits_makes_no_system_calls(tmp_path: Path) -> None:
    """With a timer of an hour, a reader and a signal handler it sleeps until something comes."""
    text = """
        loop = new_loop()
        loop.call_later(3600, print)
        loop.add_signal_handler(signal.SIGUSR1, print)

        def read():
            os.read(0, 1)
            loop.stop()

        loop.add_reader(0, read)
        loop.call_later(0.01, say, "waiting")
        loop.run_forever()
        loop.close()
    """
    trace = tmp_path / "trace"
    with Script(text, under=(strace_or_skip(), "-o", str(trace))) as script:
        script.expect("waiting")
        assert script.process.stdin is not None and script.process.stdout is not None
        assert select.select([script.process.stdout], [], [], 0.5)[0] == []
        script.process.stdin.write("x")
        script.process.stdin.flush()
        script.end()
    lines = trace.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith('write(1, "waiting'))
    last = next(n for n, line in enumerate(lines) if line.startswith('read(0, "x"'))
    calls = [re.match(r"\w*", line).group() for line in lines[first + 1 : last]]  # type: ignore[union-attr]
    waits = [line for line in lines[first + 1 : last] if re.match(r"epoll_p?wait", line)]
    # One wait that blocks, the look at what is ready, and what libuv asks before and after.
    assert 1 <= len(waits) <= 2, calls
    assert len(calls) <= 4, calls


@kinds
def test_a_child_after_fork_uses_a_loop_of_its_own(kind: str) -> None:
    text = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)

        async def main():
            await asyncio.sleep(0.001)
            return "works"

        loop = new_loop()
        loop.run_until_complete(main())
        child = os.fork()
        if child == 0:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                say("child " + runner.run(main()))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        say("parent " + loop.run_until_complete(main()))
        loop.close()
    """
    with Script(text, kind=kind) as script:
        script.expect("child works")
        script.expect("parent works")
        script.end()


def test_a_child_after_fork_is_refused_the_loop_of_its_parent() -> None:
    """And may close its copy without harm to the parent's."""
    text = """
        import socket, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        loop = new_loop()
        here, there = socket.socketpair()
        loop.add_reader(here, loop.stop)
        loop.call_later(3600, print)
        loop.stop()
        loop.run_forever()
        child = os.fork()
        if child == 0:
            try:
                loop.run_forever()
            except RuntimeError as exc:
                say(exc)
            loop.close()
            say(f"closed {loop.is_closed()}")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        threading.Thread(target=there.send, args=(b"data",)).start()
        loop.run_forever()
        say("read")
        threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,)).start()
        loop.remove_reader(here)
        loop.run_forever()
        say("woken")
        loop.close()
    """
    with Script(text) as script:
        script.expect("This event loop belongs to the parent process: make a new one after a fork")
        script.expect("closed True")
        script.expect("read")
        script.expect("woken")
        script.end()


@kinds
def test_a_child_in_a_running_loop(kind: str) -> None:
    """Forked in a callback; it leaves without touching the loop, and the parent goes on."""
    text = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)

        async def main():
            child = os.fork()
            if child == 0:
                os._exit(5)
            await asyncio.sleep(0.001)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        with asyncio.Runner(loop_factory=new_loop) as runner:
            say(runner.run(main()))
    """
    with Script(text, kind=kind) as script:
        script.expect("5")
        script.end()


@pytest.mark.parametrize("end", ["close", "abort", "pause_reading"])
def test_a_child_that_ends_a_connection_of_its_parent(end: str) -> None:
    """As libraries do that find themselves in a child: the parent goes on reading from it."""
    text = f"""
        import socket, warnings
        warnings.simplefilter("ignore", DeprecationWarning)

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                say("parent reads " + data.decode())
                loop.stop()

        async def main():
            transport, _ = await loop.create_connection(Protocol, sock=here)
            await asyncio.sleep(0.001)  # the kernel has been told to watch it
            child = os.fork()
            if child == 0:
                transport.{end}()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            threading.Thread(target=there.send, args=(b"data",)).start()

        here, there = socket.socketpair()
        loop = new_loop()
        task = loop.create_task(main())
        loop.run_forever()
        os._exit(0)
    """
    with Script(text) as script:
        script.expect("parent reads data")
        script.end()


@kinds
@pytest.mark.parametrize("state", ["loop.close()", "pass"])
def test_a_program_that_ends_with_its_loop(kind: str, state: str) -> None:
    """However much still stands on it, the interpreter comes down in peace."""
    text = f"""
        import socket, warnings
        warnings.simplefilter("ignore", ResourceWarning)
        loop = new_loop()
        here, there = socket.socketpair()

        async def main():
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
            loop.add_reader(here, print)
            loop.call_later(3600, main)
            loop.call_soon(int)
            loop.kept = loop.call_later(3600, loop.stop)

        loop.run_until_complete(main())
        {state}
    """
    with Script(text, kind=kind) as script:
        assert "Fatal" not in script.end()
