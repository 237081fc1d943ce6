# SPDX-License-Identifier: MIT
"""Subprocesses under odd conditions: prepared by Python code, from several loops, with bad files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.loop.conftest import MakeLoop
from tests.loop.support import WAIT, Script


def run_on(factory: MakeLoop, main: Any) -> Any:
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(asyncio.wait_for(main, WAIT))


def test_a_function_runs_in_the_child_first(loop_factory: MakeLoop, tmp_path: Path) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            "pwd", stdout=subprocess.PIPE, preexec_fn=lambda: os.chdir(tmp_path)
        )
        output, _ = await process.communicate()
        assert output.decode().rstrip() == str(tmp_path.resolve())

    run_on(loop_factory, main())


def test_a_function_that_fails_in_the_child(loop_factory: MakeLoop) -> None:
    async def main() -> None:
        with pytest.raises(subprocess.SubprocessError, match="preexec_fn"):
            await asyncio.create_subprocess_exec("true", preexec_fn=lambda: 1 / 0)
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0

    run_on(loop_factory, main())


def test_loops_in_two_threads_start_processes_at_once(loop_factory: MakeLoop) -> None:
    start = threading.Barrier(2)
    codes: list[list[int]] = []

    async def one(number: int) -> int:
        process = await asyncio.create_subprocess_shell(f"exit {number}")
        return await process.wait()

    async def main() -> list[int]:
        start.wait(WAIT)
        return list(await asyncio.gather(*map(one, range(10))))

    def work() -> None:
        codes.append(run_on(loop_factory, main()))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert codes == [list(range(10))] * 2


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_file_that_is_not_open_is_refused(loop_factory: MakeLoop, stream: str) -> None:
    """And the loop starts others after it."""

    async def main() -> None:
        redirected: dict[str, Any] = {stream: 1_000_000}
        with pytest.raises(OSError, match="Bad file descriptor"):
            await asyncio.create_subprocess_exec("true", **redirected)
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0

    run_on(loop_factory, main())


def test_a_child_that_somebody_else_waited_for(loop_factory: MakeLoop) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec("true")
        with contextlib.suppress(
            ChildProcessError
        ):  # 3.11's loop waits in a thread, and may be first
            os.waitpid(process.pid, 0)
        assert await process.wait() in {0, 255}

    run_on(loop_factory, main())


@pytest.mark.parametrize("isolated", [True, False])
def test_subinterpreters(isolated: bool) -> None:
    """An isolated one may not import the loop, from 3.12 on; any other one starts processes on it."""
    text = f"""
        program = '''if True:
            import asyncio
            try:
                import cuvee.loop
            except ImportError:
                print("refused", flush=True)
            else:
                async def main():
                    process = await asyncio.create_subprocess_exec("true")
                    assert await process.wait() == 0
                    print("works", flush=True)
                with asyncio.Runner(loop_factory=cuvee.new_event_loop) as runner:
                    runner.run(main())
        '''
        if sys.version_info >= (3, 13):
            import _interpreters as interpreters
            created = interpreters.create("isolated" if {isolated} else "legacy")
        else:
            import _xxsubinterpreters as interpreters
            created = interpreters.create(isolated={isolated} and sys.version_info >= (3, 12))
        failed = interpreters.run_string(created, program)
        assert not failed, failed
        interpreters.destroy(created)
    """
    with Script(text) as script:
        refused = isolated and sys.version_info >= (3, 12)
        script.expect("refused" if refused else "works")
        assert script.end() == ""
