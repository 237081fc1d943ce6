# SPDX-License-Identifier: MIT
"""uvloop's test suite: got from its source distribution, run in a process that may hang or crash."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from build_support.pins import LIBUV
from build_support.sources import read_archive

HERE = Path(__file__).resolve().parent
LIMIT = 30.0
"""Seconds after which a test has failed: uvloop's own waits are shorter."""
SHORT_LIMIT = 7.0
"""The same for a test that is on the list of those which do."""


def unpack(folder: Path) -> None:
    """Write the suite and the stand-in for its package into a folder."""
    root = LIBUV.archive.removesuffix(".tar.gz") + "/"
    with tarfile.open(fileobj=io.BytesIO(read_archive(LIBUV)), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix(root)
            wanted = name.startswith("tests/") or name == "uvloop/_testbase.py"
            if not member.isreg() or not wanted or ".." in name.split("/"):
                continue
            file = archive.extractfile(member)
            assert file is not None  # a regular file
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read())
    (folder / "uvloop" / "__init__.py").write_bytes((HERE / "stand_in.py").read_bytes())


class Worker:
    """A process that runs tests one after another; a new one takes over from one that is dead."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the worker

    def _start(self) -> subprocess.Popen[str]:
        path = [str(self._folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, "-P", HERE / "worker.py", self._folder],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            text=True,
        )

    def ask(self, name: str, limit: float = LIMIT) -> Any:
        """Return the answer to a name; AssertionError when there is none in time."""
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
        raise AssertionError(f"{name} {how}\n{self._errors.read()}")

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


def names() -> list[str]:
    """Return the names of all tests."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder))
        worker = Worker(Path(folder))
        try:
            listed: list[str] = worker.ask("list")
        finally:
            worker.close()
    return listed
