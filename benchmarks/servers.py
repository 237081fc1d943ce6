"""The servers that are measured: how each is started, and what its processes cost."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.pinning import pinned

APPS = Path(__file__).parent / "apps"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Peer:
    """A server program that takes the options of uvicorn, its packages, and further options."""

    module: str
    packages: tuple[str, ...]
    options: tuple[str, ...] = ()

    def command(self, python: str, app: str, access_log: bool) -> list[str]:
        """What serves an app; `--port` comes behind it."""
        log = "--access-log" if access_log else "--no-access-log"
        # The access log needs the info level; without it, nothing but warnings is wanted.
        level = "info" if access_log else "warning"
        line = [python, "-m", self.module, app, "--app-dir", str(APPS)]
        return [*line, log, "--log-level", level, *self.options]


# One entry a server.
_FASTEST = ("--loop", "uvloop", "--http", "httptools")
_UVICORN = ("uvicorn", "uvloop", "httptools")
PEERS = {
    "cuvee": Peer("cuvee", ("cuvee",)),
    "uvicorn": Peer("uvicorn", _UVICORN, _FASTEST),
    "uvicorn-plain": Peer("uvicorn", _UVICORN, (*_FASTEST, "--no-proxy-headers")),
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


def start(name: str, command: list[str], core: int) -> RunningServer:
    """Start a server on a free port and wait until it accepts. Its access log goes nowhere."""
    port = _free_port()
    handle, output = tempfile.mkstemp(prefix="bench-server-")
    with os.fdopen(handle, "wb") as errors, pinned(core):
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=errors
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
