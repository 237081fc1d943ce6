# SPDX-License-Identifier: MIT
"""A process that runs the tests of somebody else's suite, and may hang or crash over them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 30.0
"""Seconds after which a test has failed: the suites' own waits are shorter."""
SHORT_LIMIT = 7.0
"""The same for a test that is on the list of those which do."""


class Worker:
    """A process that runs tests one after another; a new one takes over from one that is dead.

    It runs a module that calls `answers.serve`, in a folder which it imports from too.
    """

    def __init__(self, folder: Path, module: str, *arguments: str) -> None:
        self._folder = folder
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the worker

    def _start(self) -> subprocess.Popen[str]:
        path = [str(ROOT), str(self._folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            self._command,
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            text=True,
        )

    def ask(self, name: str, limit: float = LIMIT) -> Any:
        """Return the answer to a name; one that stays away in time is a failure, too."""
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        said = self._errors.tell()
        process.stdin.write(name + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], limit)
        answer = process.stdout.readline() if ready else ""
        if answer:
            return json.loads(answer)
        self._end()
        self._errors.seek(said)
        how = f"ended with status {process.returncode}" if ready else f"hung for {limit} seconds"
        return {"outcome": "failed", "text": f"{how}\n{self._errors.read()}", "loops": {}}

    def names(self) -> list[str]:
        """Return the names of all tests."""
        listed: list[str] = self.ask("list")
        assert isinstance(listed, list), listed
        return listed

    def _end(self) -> None:
        """Kill the process and all that it started; one that hangs says first where."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGABRT)  # faulthandler writes the stacks
        process.wait()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was the last of its group
        assert process.stdin is not None and process.stdout is not None
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # a name that it never read
            process.stdin.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                pass  # a thread of some test goes on
            self._end()
        self._errors.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
