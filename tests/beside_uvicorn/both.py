# SPDX-License-Identifier: MIT
"""Runs uvicorn and cuvee with the same arguments, and makes what they say comparable."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess, get

HERE = Path(__file__).parent
NAMES = ("uvicorn", "cuvee")
FRAMING = ("server", "date", "transfer-encoding", "content-length")


class Answer(NamedTuple):
    """What a client sees of one answer."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    complete: bool
    framing: list[str]
    """Names of the fields that say who answers, when, and how the body is framed."""


@contextmanager
def running(
    name: str, *arguments: str, target: str = "applications:app", **options: Any
) -> Iterator[ServerProcess]:
    """Run one of the servers on a free port."""
    with ServerProcess(
        target, "--app-dir", str(HERE), "--port", "0", *arguments, module=name, **options
    ) as server:
        yield server


class Conversation:
    """One of the two servers, asked the same as the other."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.port = server.wait_until_running()
        self.markers = 0
        self.seen = (0, 0)
        self.lines()

    def exchange(self, request: bytes) -> list[Answer]:
        """Send `request` on a connection of its own, and return all answers until its end."""
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as client:
            client.sendall(request)
            received = b""
            while data := client.recv(65536):
                received += data
        return list(_answers(received, request))

    def lines(self) -> tuple[list[str], list[str]]:
        """Return what was written to standard output and error since the last call."""
        self.markers += 1
        marker = f"marker-{self.markers}-"
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as client:
            get(client, f"/marker?{marker}")
        assert self.server.stdout is not None
        self.server.stdout.expect(marker)
        self.server.stderr.expect(marker)
        outputs = (self.server.stdout.lines, self.server.stderr.lines)
        new = [lines[start:] for lines, start in zip(outputs, self.seen, strict=True)]
        self.seen = (len(outputs[0]), len(outputs[1]))
        out, err = ([line for line in lines if marker not in line] for lines in new)
        return comparable(out), comparable(err)


def _answers(received: bytes, request: bytes) -> Iterator[Answer]:
    head = request.startswith(b"HEAD ")
    stream = socket.socketpair()
    with stream[0] as ours, stream[1] as theirs:
        ours.sendall(received)
        ours.shutdown(socket.SHUT_WR)
        file = theirs.makefile("rb")
        while file.peek(1):
            yield _answer(_Opened(file), "HEAD" if head else "GET")


class _Opened:
    """Lets HTTPResponse read from a file that goes on behind it."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def makefile(self, _: str) -> Any:
        return _Unclosed(self.file)


class _Unclosed:
    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def close(self) -> None:
        """The next answer is read from it, too."""

    def flush(self) -> None:
        """There is nothing to flush."""


def _answer(stream: Any, method: str) -> Answer:
    response = HTTPResponse(stream, method=method)
    response.begin()
    complete = True
    try:
        body = response.read()
    except Exception as exc:  # http.client.IncompleteRead
        body = getattr(exc, "partial", b"")
        complete = False
    fields = response.getheaders()
    others = [(name, value) for name, value in fields if name not in FRAMING]
    framing = sorted(name for name, _ in fields if name in FRAMING)
    return Answer(response.status, response.reason, others, body, complete, framing)


def comparable(lines: list[str]) -> list[str]:
    """Leave out names, numbers of processes and ports, and the frames of tracebacks."""
    found = []
    traceback = False
    for line in lines:
        if line.startswith(("Traceback ", "  + Exception Group Traceback")):
            traceback = True
        elif traceback and line.startswith((" ", "|")):
            continue
        else:
            traceback = False
            line = re.sub(r"\bUvicorn\b", "Cuvee", line).replace("uvicorn", "cuvee")
            line = re.sub(r"(process \[(?:\x1b\[36m)?)\d+", r"\1PID", line)
            found.append(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line))
    return found
