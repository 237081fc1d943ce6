# SPDX-License-Identifier: MIT
"""`python -m asyncio ps` and `pstree` of Python 3.14 see the tasks of the loop, from another process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from tests.loop.support import WAIT
from tests.support.server_process import read_until, serve_application

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="came with Python 3.14")


async def inner(asked: asyncio.Event) -> None:
    await asked.wait()


async def outer(asked: asyncio.Event) -> None:
    await inner(asked)


def ask(command: str, process: int) -> str:
    """Look at a process from another one."""
    arguments = [sys.executable, "-m", "asyncio", command, str(process)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=WAIT)
    if "ermission" in done.stderr:
        pytest.skip("no process may look at another one here")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ps_shows_tasks_and_what_they_wait_in(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> tuple[str, str]:
        asked = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(outer(asked), name="the waiting one")
            await asyncio.sleep(0)
            listing = await asyncio.to_thread(ask, "ps", os.getpid())
            tree = await asyncio.to_thread(ask, "pstree", os.getpid())
            asked.set()
        return listing, tree

    listing, tree = loop.run_until_complete(main())
    (line,) = (line for line in listing.splitlines() if "the waiting one" in line)
    assert "inner -> outer" in line
    assert "(T) the waiting one" in tree
    assert "inner " in tree


def test_ps_shows_the_requests_of_a_server() -> None:
    with serve_application("endless") as server, server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready\r\n")
        listing = ask("ps", server.process.pid)
    (line,) = (line for line in listing.splitlines() if "never_end" in line)
    assert "Event.wait -> never_end -> make.<locals>.app" in line
