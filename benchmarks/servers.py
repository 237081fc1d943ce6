"""The servers that are measured: how each is started, and what its processes cost."""

from __future__ import annotations

import ctypes
import os
import resource
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import native
from benchmarks.pinning import pinned

APPS = Path(__file__).parent / "apps"
PORT = "{port}"
"""Stands in a command where the port comes."""


@dataclass(frozen=True)
class Peer:
    """A server program: its packages, its command line, and what turns its access log on or off."""

    packages: tuple[str, ...]
    line: str
    quiet: str = ""
    log: str | None = None
    """None: it has no access log."""
    log_stream: str = "stdout"
    polls: bool = False
    """It keeps its core busy without being asked: it is halted while others have their turn."""

    def command(self, python: str, app: str, access_log: bool) -> list[str]:
        """What serves an app, with `PORT` where the port comes."""
        if access_log and self.log is None:
            raise ServerError("it has no access log")
        words = [*shlex.split(self.line), *shlex.split((access_log and self.log) or self.quiet)]
        known = {"{python}": python, "{bin}": str(Path(python).parent), "{app}": app}
        for name, value in known.items():
            words = [word.replace(name, value) for word in words]
        return words


@dataclass(frozen=True)
class Limit(Peer):
    """The C server of ours: what the kernel and the parser cost without any Python."""

    def command(self, python: str, app: str, access_log: bool) -> list[str]:
        """Compile it, and return what starts it; it knows what the apps answer."""
        if access_log:
            raise ServerError("it has no access log")
        return [str(native.program("limit_server", python)), PORT]


_UVICORN = "{python} -m uvicorn {app} --port {port} --backlog 16384 --loop uvloop --http httptools"
_UVICORN_PACKAGES = ("uvicorn", "uvloop", "httptools", "websockets")
_LOG = "--access-log --log-level info"
_QUIET = "--no-access-log --log-level warning"

# One entry a server. A limit on connections or bodies that may be below the works is raised.
PEERS: dict[str, Peer] = {
    "cuvee": Peer(
        ("cuvee",), "{python} -m cuvee {app} --port {port} --backlog 16384", _QUIET, _LOG
    ),
    "uvicorn": Peer(_UVICORN_PACKAGES, _UVICORN, _QUIET, _LOG),
    "uvicorn-plain": Peer(_UVICORN_PACKAGES, f"{_UVICORN} --no-proxy-headers", _QUIET, _LOG),
    "granian": Peer(
        ("granian", "uvloop"),
        "{python} -m granian {app} --interface asgi --loop uvloop --port {port}"
        " --backlog 16384 --backpressure 16384",
        _QUIET,
        _LOG,
    ),
    "peregrine": Peer(
        ("peregrine-server",),
        "{python} -m peregrine {app} --port {port}"
        " --max-connections 16384 --max-body 1000000000 --backlog 16384",
        "--log-level warning",
        "--access-log",
        "stderr",
    ),
    "weft": Peer(
        ("weft-server",),
        "{python} -m weft {app} --port {port}"
        " --max-connections 16384 --max-body 1000000000 --backlog 16384",
        "--log-level warning",
        "--access-log",
        "stderr",
    ),
    "h2corn": Peer(
        ("h2corn",),
        "{python} -m h2corn {app} --port {port} --backlog 16384",
        "--no-access-log",
        "--access-log",
        "stderr",
    ),
    "hypercorn": Peer(
        ("hypercorn", "uvloop", "wsproto"),
        "{python} -m hypercorn {app} -b 127.0.0.1:{port} -k uvloop --backlog 16384",
        "--log-level warning",
        "--access-logfile -",
    ),
    "gunicorn": Peer(
        ("gunicorn", "uvloop"),
        "{python} -m gunicorn {app} -k asgi -b 127.0.0.1:{port}"
        " --worker-connections 16384 --backlog 16384 --no-control-socket",
        "--log-level warning",
        "--access-logfile -",
    ),
    # The package has no `python -m`; its script stands beside the interpreter.
    "fastpysgi": Peer(
        ("fastpysgi",), "{bin}/fastpysgi {app} --host 127.0.0.1 --port {port}", polls=True
    ),
    "limit": Limit((), ""),
}


class ServerError(Exception):
    """A server did not start, or died, or does not do what it should."""


class LineCount:
    """Counts the lines that come out of a pipe, as fast as they come."""

    def __init__(self, descriptor: int) -> None:
        self.lines = 0
        self._descriptor = descriptor
        threading.Thread(target=self._drain, daemon=True).start()

    def wait_for(self, lines: int, seconds: float = 2) -> int:
        """Give lines that are on their way this much time, and return how many there are."""
        end = time.monotonic() + seconds
        while self.lines < lines and time.monotonic() < end:
            time.sleep(0.001)
        return self.wait_for_quiet()

    def wait_for_quiet(self) -> int:
        """Wait until no line has come for a while, and return how many there are."""
        before = -1
        while before != self.lines:
            before = self.lines
            time.sleep(0.05)
        return before

    def _drain(self) -> None:
        while data := os.read(self._descriptor, 1 << 20):
            self.lines += data.count(b"\n")
        os.close(self._descriptor)


@dataclass
class RunningServer:
    """A server process that listens, pinned to one core with everything it starts."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    output: Path
    log: LineCount | None = None
    rate: float = 2000.0
    """Answers a second that it gave last."""
    polls: bool = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let it run; one that polls is halted afterwards."""
        if self.polls:
            os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            if self.polls:
                os.killpg(self.process.pid, signal.SIGSTOP)

    def url(self, path: str) -> str:
        """The address of a path on this server."""
        return f"http://127.0.0.1:{self.port}{path}"

    def processes(self) -> list[int]:
        """The process and all its descendants."""
        found = [self.process.pid]
        for pid in found:
            found.extend(_children(pid))
        return found

    def cpu_seconds(self) -> float:
        """User and system time of the whole process tree so far, to the nanosecond."""
        return sum(process_clock(pid) for pid in self.processes())

    def check_alive(self) -> None:
        """Raise, with what it printed, when the server is gone."""
        if self.process.poll() is not None:
            said = self.output.read_text(errors="replace").strip()[-300:]
            raise ServerError(f"it exited with {self.process.returncode}: {said}")

    def stop(self) -> None:
        """End the server and what it started, and wait for it."""
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            pass
        try:
            # What is left of the session: a server that does not end, workers of one that did.
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.output.unlink()


def environment(**more: str) -> dict[str, str]:
    """The environment of a server: the apps can be imported."""
    paths = [str(APPS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def with_port(command: list[str], port: int) -> list[str]:
    """A command with this port in it."""
    return [word.replace(PORT, str(port)) for word in command]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    name: str,
    command: list[str],
    core: int,
    log_stream: str | None = None,
    port: int | None = None,
    **more: str,
) -> RunningServer:
    """Start a server on `port`, or a free one, and wait until it accepts.

    `command` has `PORT` where the port comes; `log_stream` is drained and its lines are counted;
    `more` goes into its environment.
    """
    port = port or free_port()
    handle, output = tempfile.mkstemp(prefix="bench-server-")
    reader, writer = os.pipe() if log_stream else (-1, -1)
    with os.fdopen(handle, "wb") as errors, pinned(core):
        process = subprocess.Popen(
            with_port(command, port),
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=writer if log_stream == "stdout" else subprocess.DEVNULL,
            stderr=writer if log_stream == "stderr" else errors,
            start_new_session=True,
        )
    if log_stream:
        os.close(writer)
    log = LineCount(reader) if log_stream else None
    server = RunningServer(name, process, port, Path(output), log)
    try:
        _wait_until_it_accepts(server)
    except BaseException:
        server.stop()
        raise
    return server


def allow_many_connections() -> None:
    """Let this process and what it starts have as many descriptors as the system permits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _wait_until_it_accepts(server: RunningServer, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        server.check_alive()
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise ServerError(f"it does not accept: {error}") from error
            time.sleep(0.05)


_libc = ctypes.CDLL(None, use_errno=True)


def _children(pid: int) -> list[int]:
    """What the threads of a process have started; any of them may end meanwhile."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                found.extend(int(child) for child in children.split())
    return found


def process_clock(pid: int) -> float:
    """What all threads of a process have used, those that have ended among them."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise ServerError("a process of it ended")
    return time.clock_gettime(clock.value)
