"""How many instructions a server runs for a request, counted by callgrind: the same each time.

The kernel's are not among them. Needs valgrind, and wrk for requests that are written in Lua.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from benchmarks import servers
from benchmarks.lockstep import Lockstep
from benchmarks.servers import RunningServer, ServerError

WARM_UP = 3000
"""Requests before anything is counted: caches are full, and an adaptive interpreter has adapted."""

ATTEMPTS = 6
TOLERANCE = 0.01

# What wrk is told to do in place of sending: write down what it would send.
_DUMP = """
local prepare = init
function init(args)
    if prepare then prepare(args) end
    local file = io.open(os.getenv("REQUEST_FILE"), "wb")
    file:write((request or wrk.format)())
    file:close()
    os.exit(0)
end
"""


def per_request(
    command: list[str], path: str, connections: int, requests: int, lua: str | None = None
) -> float:
    """User instructions of a server's processes for one request; `lua` is a script of wrk's for it.

    Such a script may ask for several things at once: that is one request here.
    """
    with tempfile.TemporaryDirectory(prefix="bench-callgrind-") as folder:
        tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--trace-children=yes"]
        tool += [f"--callgrind-out-file={folder}/out.%p"]
        # An order of dicts and sets that is the same in each run.
        server = servers.start("callgrind", [*tool, *command], 0, PYTHONHASHSEED="0")
        try:
            clients = Lockstep(server.port, path, connections)
            if lua is not None:
                request = _written_by_wrk(lua, server.url(path))
                clients.send_this(request, request.count(b" HTTP/1.1\r\n"))
            with clients:
                clients.ask(max(1, WARM_UP // connections))
                _tell(server, "instrumentation", "on")
                clients.ask(1)
                return _agreed(server, clients, Path(folder), max(1, requests // connections))
        finally:
            server.stop()


def _agreed(server: RunningServer, clients: Lockstep, folder: Path, times: int) -> float:
    """Count until two counts in a row agree: the first may have met something that happens once."""
    last = 0.0
    for _ in range(ATTEMPTS):
        _tell(server, "zero")
        asked = clients.ask(times)
        _tell(server, "dump")
        counted = 0
        for file in folder.glob("out.*.*"):
            counted += _total(file)
            file.unlink()
        this = counted / asked
        if this > 0 and abs(this - last) <= this * TOLERANCE:
            return this
        last = this
    raise ServerError(f"its instructions do not repeat: {last:.0f} for a request at last")


def _written_by_wrk(lua: str, url: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="bench-request-") as folder:
        script, request = Path(folder, "script.lua"), Path(folder, "request")
        script.write_text(lua + _DUMP)
        command = ["wrk", "-t1", "-c1", "-d1s", "-s", str(script), url]
        env = {**os.environ, "REQUEST_FILE": str(request)}
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=30)
        if not request.exists():
            raise ServerError(f"wrk does not take the script: {done.stderr.strip()}")
        return request.read_bytes()


def _tell(server: RunningServer, *what: str) -> None:
    """Tell callgrind in every process of a server."""
    for pid in server.processes():
        command = ["vgdb", f"--pid={pid}", *what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise ServerError(f"callgrind does not listen: {done.stderr.strip()}")


def _total(file: Path) -> int:
    """The instructions in one dump of callgrind."""
    # "summary" says nothing where counting was switched.
    return sum(
        int(total) for total in re.findall(r"^totals: (\d+)", file.read_text(), re.MULTILINE)
    )
