"""The servers that are measured: how each is started, and what its processes cost."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

APPS = Path(__file__).parent / "apps"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Peer:
    """A server program: the arguments that serve an app on a port, and its packages."""

    arguments: Callable[[str, int, bool], list[str]]
    packages: tuple[str, ...]


def _uvicorn_like(module: str, *more: str) -> Callable[[str, int, bool], list[str]]:
    def arguments(app: str, port: int, access_log: bool) -> list[str]:
        log = "--access-log" if access_log else "--no-access-log"
        # The access log needs the info level; without it, nothing but warnings is wanted.
        level = "info" if access_log else "warning"
        line = ["-m", module, app, "--app-dir", str(APPS), "--port", str(port)]
        return [*line, log, "--log-level", level, *more]

    return arguments


# One entry a server. The arguments go to the Python interpreter that has its packages.
PEERS = {
    "cuvee": Peer(_uvicorn_like("cuvee"), ("cuvee",)),
    "uvicorn": Peer(
        _uvicorn_like("uvicorn", "--loop", "uvloop", "--http", "httptools"),
        ("uvicorn", "uvloop", "httptools"),
    ),
    "uvicorn-plain": Peer(
        _uvicorn_like("uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-proxy-headers"),
        ("uvicorn", "uvloop", "httptools"),
    ),
}


class ServerError(Exception):
    """A server did not start, or died."""


@dataclass
class RunningServer:
    """A server process that listens, pinned to one core with everything it starts."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    output: Path
    rounds: list[dict[str, float]] = field(default_factory=list)

    def url(self, path: str) -> str:
        """The address of a path on this server."""
        return f"http://127.0.0.1:{self.port}{path}"

    def cpu_seconds(self) -> float:
        """User and system time of the whole process tree so far."""
        return sum(_own_ticks(pid) for pid in _tree(self.process.pid)) / TICK

    def check_alive(self) -> None:
        """Raise, with what it printed, when the server is gone."""
        if self.process.poll() is not None:
            said = self.output.read_text(errors="replace").strip()[-2000:]
            raise ServerError(f"{self.name} exited with {self.process.returncode}: {said}")

    def stop(self) -> None:
        """End the server and wait for it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.unlink()


def start(
    name: str, peer: Peer, python: str, app: str, core: int, access_log: bool
) -> RunningServer:
    """Start a server on a free port and wait until it accepts. Its access log goes nowhere."""
    port = _free_port()
    handle, output = tempfile.mkstemp(prefix=f"bench-{peer.packages[0]}-")
    with os.fdopen(handle, "wb") as errors:
        process = subprocess.Popen(
            [python, *peer.arguments(app, port, access_log)],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    server = RunningServer(name, process, port, Path(output))
    try:
        _wait_until_it_accepts(server)
    except BaseException:
        server.stop()
        raise
    return server


def _wait_until_it_accepts(server: RunningServer, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        server.check_alive()
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise ServerError(f"{server.name} does not accept: {error}") from error
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tree(root: int) -> list[int]:
    """A process and all its descendants."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found.extend(int(child) for child in children.read_text().split())
    return found


def _own_ticks(pid: int) -> int:
    # The command may contain blanks, so fields are counted from the parenthesis behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
