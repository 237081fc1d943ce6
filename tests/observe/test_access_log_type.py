# SPDX-License-Identifier: MIT
"""`_core.AccessLog`: uvicorn's lines, and a writer that never holds anyone up."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.logging import AccessFormatter

from cuvee._core import AccessLog

WAIT = 30.0
RENAMED = {413, 414, 416, 422} if sys.version_info < (3, 13) else set()
"""Codes whose phrases Python took from an older RFC then."""


class Pipe:
    """A pipe whose reading end does not block."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)

    def read(self) -> str:
        """Read what is there."""
        parts = []
        try:
            while part := os.read(self.read_end, 65536):
                parts.append(part)
        except BlockingIOError:
            pass
        return b"".join(parts).decode("ascii")

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.write_end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def uvicorn_line(arguments: tuple[str, str, str, str, int], colors: bool) -> str:
    formatter = AccessFormatter(
        '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s', use_colors=colors
    )
    message = '%s - "%s %s HTTP/%s" %d'
    record = logging.LogRecord("a", logging.INFO, "", 0, message, arguments, None)
    return formatter.format(record) + "\n"


@pytest.mark.parametrize("colors", [False, True], ids=["plain", "colors"])
def test_every_status_is_written_as_uvicorn_does(pipe: Pipe, colors: bool) -> None:
    log = AccessLog(pipe.write_end, colors=colors)
    for status in range(100, 1000):
        if status in RENAMED:
            continue
        arguments = ("127.0.0.1:51234", "GET", "/a?b=c", "1.1", status)
        log.write(*arguments)
        assert log.flush(WAIT)
        assert pipe.read() == uvicorn_line(arguments, colors)


@pytest.mark.parametrize(
    "raw_path",
    [
        "/",
        "/a%20b",
        "/a:b@c,d;e=f+g!",
        "/caf%c3%a9",
        "/100%25",
        "//x//",
        "/~u/.well_known-1",
        "/%2f%41",
    ],
)
def test_a_path_is_written_as_uvicorn_does(pipe: Pipe, raw_path: str) -> None:
    shown = urllib.parse.quote(urllib.parse.unquote(raw_path))
    log = AccessLog(pipe.write_end)
    log.write("::1:8", "POST", f"{raw_path}?a=b%20c&d=[e]|f", "1.0", 201)
    assert log.flush(WAIT)
    expected = ("::1:8", "POST", f"{shown}?a=b%20c&d=[e]|f", "1.0", 201)
    assert pipe.read() == uvicorn_line(expected, False)


def test_a_client_cannot_inject_a_line(pipe: Pipe) -> None:
    log = AccessLog(pipe.write_end)
    log.write("a\nb", 'G"ET', '/\r\n"?\x1b[31m\r\n"\u00e9', "1.1", 200)
    assert log.flush(WAIT)
    text = pipe.read()
    assert text.count("\n") == 1
    assert text.count('"') == 2
    assert text.isprintable() or text[:-1].isprintable()


def test_a_full_pipe_drops_lines_and_keeps_its_flags(pipe: Pipe) -> None:
    before = fcntl.fcntl(pipe.write_end, fcntl.F_GETFL)
    log = AccessLog(pipe.write_end, ring_bytes=65536)
    written = 0
    while log.flush(0) or log.dropped == 0:  # until the pipe is full, and then the ring
        for number in range(4000):
            log.write("c:1", "GET", f"/{number:04}", "1.1", 200)
        written += 4000
    assert log.dropped > 0
    lines = 0
    while not log.flush(0):
        lines += pipe.read().count("\n")
    lines += pipe.read().count("\n")
    assert lines + log.dropped == written
    assert fcntl.fcntl(pipe.write_end, fcntl.F_GETFL) == before


def test_flush_lets_other_threads_run(pipe: Pipe) -> None:
    log = AccessLog(pipe.write_end, ring_bytes=1 << 20)
    while os.get_blocking(pipe.write_end):
        os.set_blocking(pipe.write_end, False)
    try:
        while True:
            os.write(pipe.write_end, bytes(4096))
    except BlockingIOError:
        os.set_blocking(pipe.write_end, True)
    log.write("c:1", "GET", "/", "1.1", 200)
    reader = threading.Timer(0, pipe.read)
    reader.start()
    assert log.flush(WAIT)
    reader.join()


def _threads() -> set[str]:
    """The threads of this process, by the kernel's numbers; other tests' may be ending still."""
    return set(os.listdir("/proc/self/task")) if sys.platform == "linux" else set()


def test_close_ends_the_thread_and_later_lines_are_dropped(pipe: Pipe) -> None:
    others = _threads()
    log = AccessLog(pipe.write_end)
    log.write("c:1", "GET", "/", "1.1", 200)
    own = _threads() - others
    assert own or sys.platform != "linux"
    log.close()
    log.close()
    assert pipe.read().count("\n") == 1
    assert log.dropped == 0
    log.write("c:1", "GET", "/", "1.1", 200)
    assert log.dropped == 1
    assert log.flush(0)
    while own & _threads():  # a joined thread may still be listed for a moment
        os.sched_yield()


def test_a_log_that_is_forgotten_writes_what_it_has(pipe: Pipe) -> None:
    log = AccessLog(pipe.write_end)
    log.write("c:1", "GET", "/", "1.1", 200)
    del log
    assert pipe.read().count("\n") == 1


def test_lines_come_out_at_exit(tmp_path: Path) -> None:
    code = (
        "from cuvee._core import AccessLog\n"
        "log = AccessLog(1)\n"
        "for number in range(100): log.write('c:1', 'GET', f'/{number}', '1.1', 200)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 100


def test_a_reader_that_is_gone_costs_the_lines() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    log = AccessLog(write_end)
    log.write("c:1", "GET", "/", "1.1", 200)
    log.close()
    assert log.dropped == 1
    os.close(write_end)


def test_arguments_are_checked(pipe: Pipe) -> None:
    with pytest.raises(ValueError, match="fd"):
        AccessLog(-1)
    with pytest.raises(ValueError, match="ring_bytes"):
        AccessLog(pipe.write_end, ring_bytes=0)
    with pytest.raises(TypeError):
        AccessLog("1")  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        AccessLog(pipe.write_end, ring_bytes=sys.maxsize)
    log = AccessLog(pipe.write_end)
    with pytest.raises(TypeError):
        log.write("c:1", "GET", "/", "1.1")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="version"):
        log.write("c:1", "GET", "/", "2", 200)
    with pytest.raises(ValueError, match="timeout"):
        log.flush(-1)
    with pytest.raises(ValueError, match="timeout"):
        log.flush(float("nan"))
    with pytest.raises(TypeError):
        log.flush("1")  # type: ignore[arg-type]
    assert log.flush(float("inf"))
    with pytest.raises(TypeError):
        type("Sub", (AccessLog,), {})
