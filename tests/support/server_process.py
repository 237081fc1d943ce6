# SPDX-License-Identifier: MIT
"""The `cuvee` command in a process of its own, whose output and exit code tests wait for."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.support.asgi import WAIT

APPLICATIONS = Path(__file__).parent.parent / "server"
"""The folder of applications.py, whose applications the command serves."""

RUNNING = re.compile(r"(?:Cuvee|Uvicorn) running on http://(.+):(\d+) \(Press CTRL\+C to quit\)")
COLOR = re.compile("\x1b\\[[0-9;]*m")
UNIX_RUNNING = "Cuvee running on unix socket"


class Output:
    """The lines of one output stream, which a thread collects as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def expect(self, text: str, seconds: float = WAIT, *, nth: int = 1) -> str:
        """Wait for the `nth` line that contains `text`, and return it."""

        def found() -> str | None:
            lines = (line for line in self._lines if text in line)
            return next(itertools.islice(lines, nth - 1, None), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._ended, seconds)
            line = found()
            assert line is not None, f"no line with {text!r} among {self._lines}"
            return line

    def wait_for_end(self) -> list[str]:
        """Wait until the stream is closed, and return all lines."""
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), f"the output goes on after {self._lines}"
        self._stream.close()
        return self._lines

    @property
    def lines(self) -> list[str]:
        """What has come until now."""
        return list(self._lines)


class ServerProcess:
    """`python -m cuvee ARGUMENTS` while a `with` block runs; killed at its end if it still runs.

    `module` may be another server; `script` runs in place of a module; `prefix` are words in front of the command;
    `preexec` is called in the child.
    """

    def __init__(
        self,
        *arguments: str,
        module: str = "cuvee",
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        preexec: Callable[[], object] | None = None,
        stdout: int | None = None,
        script: Path | None = None,
    ) -> None:
        program = ["-m", module] if script is None else [str(script)]
        self.process = subprocess.Popen(
            [*prefix, sys.executable, *program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            cwd=cwd,
            pass_fds=pass_fds,
            preexec_fn=preexec,
        )
        assert self.process.stderr is not None
        self.stderr = Output(self.process.stderr)
        self.stdout = Output(self.process.stdout) if self.process.stdout is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        self.stderr.wait_for_end()
        if self.stdout is not None:
            self.stdout.wait_for_end()

    def wait_until_running(self) -> int:
        """Wait until the server listens on a TCP port, and return that."""
        found = RUNNING.search(COLOR.sub("", self.stderr.expect(" running on ")))
        assert found is not None
        return int(found[2])

    def connect(self) -> socket.socket:
        """Wait until the server runs, and return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.wait_until_running()), WAIT)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Send SIGINT, and return the exit code."""
        self.signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the process, and return its exit code: minus the number of a signal."""
        return self.process.wait(WAIT)

    def errors(self) -> list[str]:
        """Wait for the end of the process, and return the lines of standard error."""
        return self.stderr.wait_for_end()

    def output(self) -> list[str]:
        """Wait for the end of the process, and return the lines of standard output."""
        assert self.stdout is not None
        return self.stdout.wait_for_end()


def application(name: str) -> tuple[str, ...]:
    """Return the arguments that serve `name` of applications.py on a free port."""
    return (f"applications:{name}", "--app-dir", str(APPLICATIONS), "--port", "0")


def serve_application(name: str, *arguments: str, **options: Any) -> ServerProcess:
    """Start a server for `name` of applications.py on a free port; further arguments override."""
    return ServerProcess(*application(name), *arguments, **options)


def get(connection: socket.socket, target: str = "/") -> bytes:
    """Send a request on `connection`, and return the body of the answer, which must be counted."""
    connection.sendall(f"GET {target} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
    return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    """Read one answer with a content-length from `connection`, and return its body."""
    received = read_until(connection, b"\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    assert length is not None, head
    while len(body) < int(length[1]):
        more = connection.recv(65536)
        assert more, "closed in the middle of a body"
        body += more
    return body


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """Read until `end` has come, and return everything."""
    received = b""
    while end not in received:
        more = connection.recv(65536)
        assert more, f"closed after {received!r}"
        received += more
    return received
