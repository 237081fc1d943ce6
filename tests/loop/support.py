# SPDX-License-Identifier: MIT
"""What the tests of the event loop share."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

WAIT = 20
"""Seconds after which a test has failed; nothing that passes comes near it."""

ROOT = Path(__file__).resolve().parent.parent.parent

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which only Linux has")


class Contexts(list[dict[str, Any]]):
    """What an exception handler was told, in order."""

    def keep(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Be the exception handler."""
        self.append(context)

    @property
    def only(self) -> dict[str, Any]:
        """The one context there is."""
        assert len(self) == 1, self
        return self[0]


def turn(loop: asyncio.AbstractEventLoop, count: int = 1) -> None:
    """Run exactly so many turns."""
    for _ in range(count):
        loop.stop()
        loop.run_forever()


def open_files() -> dict[int, str]:
    """The descriptors of this process and what they lead to."""
    files = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            files[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the descriptor of the listing itself
    return files


@contextlib.contextmanager
def nothing_stays_open() -> Iterator[None]:
    """Compare the open descriptors before and after.

    That takes in libuv's handles: a loop with one left could not be closed, and its epoll would stay.
    """
    before = open_files()
    yield
    if open_files() != before:
        gc.collect()  # what a failure, or a loop that was dropped, leaves in cycles
    after = open_files()
    assert after == before, (after.items() - before.items(), before.items() - after.items())


class Script:
    """A program of its own that talks to the test through its standard files.

    `loop` is a new loop of the kind that the test asked for.
    """

    HEAD = """
        import asyncio, os, signal, sys, threading
        import cuvee, cuvee.loop
        new_loop = {"cuvee": cuvee.new_event_loop, "asyncio": asyncio.SelectorEventLoop}[sys.argv[1]]

        def say(text):
            print(text, flush=True)

    """

    def __init__(self, text: str, *, kind: str = "cuvee", under: tuple[str, ...] = ()) -> None:
        program = textwrap.dedent(self.HEAD) + textwrap.dedent(text)
        self.process = subprocess.Popen(
            [*under, sys.executable, "-X", "faulthandler", "-c", program, kind],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def expect(self, line: str) -> None:
        """Read one line of the output."""
        assert self.process.stdout is not None
        got = self.process.stdout.readline()
        if got != line + "\n":
            self.process.kill()
            output, errors = self.process.communicate()
            pytest.fail(f"{line!r} expected, got {got + output!r} and {errors}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, code: int = 0) -> str:
        """Close its input and wait for its end; return what it wrote on standard error."""
        output, errors = self.process.communicate(timeout=WAIT)
        assert self.process.returncode == code, (self.process.returncode, output, errors)
        assert output == ""
        return errors

    def __enter__(self) -> Script:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
