"""The load: programs on a core of their own that ask, and what they counted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import native
from benchmarks.pinning import pinned
from benchmarks.servers import RunningServer
from benchmarks.websocket_clients import Clients
from benchmarks.works import Maker, Work

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}
_PERCENTS = (50, 90, 99)
WARM_UP = 2
"""Seconds in which h2load opens its connections, before it counts."""
PATIENCE = 20
"""Seconds that a program may take longer than it was told."""
SAMPLE = 0.01


class LoadError(Exception):
    """The load could not be made, or something in it went wrong."""


Latency = dict[str, float]
"""How long answers took: `p50_us`, `p90_us`, `p99_us`, `p999_us` and `max_us`, as far as known."""


@dataclass(frozen=True)
class Load:
    """What came back while the load was on, and what it cost the server."""

    count: int
    """Answers; of an endless answer, events."""
    per_second: float
    cpu_seconds: float
    latency: Latency = field(default_factory=dict)
    log_lines: int | None = None
    client_cpu_seconds: float | None = None
    """What the load itself cost, as far as it says so."""


def run(work: Work, server: RunningServer, seconds: int, core: int) -> Load:
    """Keep a server busy with a work for a while. Any failed request is an error."""
    return _MAKERS[work.maker](work, server, seconds, core)


def require(program: str) -> str:
    """The path of a program, or one line that says how to get it."""
    path = shutil.which(program)
    if path is None:
        package = {"h2load": "nghttp2-client"}.get(program, program)
        raise LoadError(f"{program} is not installed: apt-get install {package}")
    return path


# ---- wrk -----------------------------------------------------------------------------------------


def _wrk(work: Work, server: RunningServer, seconds: int, core: int) -> Load:
    command = [require("wrk"), "-t1", f"-c{work.connections}", f"-d{seconds}s", "--latency"]
    with script(work) as path:
        before = server.cpu_seconds()
        said = _output([*command, "-s", str(path), server.url(work.path)], seconds, core)
        cpu_seconds = server.cpu_seconds() - before
    count, per_second, latency = parse_wrk(said)
    # Of pipelined requests wrk takes the time of each batch, but divides as if it were of each.
    return Load(count, per_second, cpu_seconds, latency if work.pipelined == 1 else {})


def lua(work: Work) -> str:
    """What wrk has to send, in its own words."""
    lines = [f"wrk.method = {_quoted(work.method)}"]
    lines += [f"wrk.headers[{_quoted(k)}] = {_quoted(v)}" for k, v in work.headers]
    if work.body:
        lines += [f"wrk.body = string.rep({_quoted(work.body.decode())}, {work.body_times})"]
    if work.pipelined > 1:
        # wrk adds Host before it calls init.
        lines += [
            "local together",
            f"function init(args) together = string.rep(wrk.format(), {work.pipelined}) end",
            "function request() return together end",
        ]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    # What JSON escapes in plain text, Lua writes alike.
    return json.dumps(text)


@contextmanager
def script(work: Work) -> Iterator[Path]:
    """A file with wrk's script."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(lua(work))
        file.flush()
        yield Path(file.name)


def parse_wrk(text: str) -> tuple[int, float, Latency]:
    """Read wrk's report: answers, answers a second, latency. Raises when it counted an error."""
    for wrong in ("Socket errors", "Non-2xx or 3xx responses"):
        if line := re.search(rf"^.*{wrong}.*$", text, re.MULTILINE):
            raise LoadError(line[0].strip())
    count = int(_find(r"(\d+) requests in", text))
    if count == 0:
        raise LoadError("no answer came")
    latency = {
        f"p{percent}_us": _microseconds(_find(rf"^\s+{percent}%\s+(\S+)", text))
        for percent in _PERCENTS
    }
    latency["max_us"] = _microseconds(_find(r"^\s+Latency\s+\S+\s+\S+\s+(\S+)", text))
    return count, float(_find(r"Requests/sec:\s+([\d.]+)", text)), latency


# ---- h2load --------------------------------------------------------------------------------------


def _h2load(work: Work, server: RunningServer, seconds: int, core: int) -> Load:
    """Measure from when all connections are there."""
    with tempfile.NamedTemporaryFile("r") as log:
        command = [*_h2load_command(work, log.name), f"-D{seconds}", f"--warm-up-time={WARM_UP}"]
        marks = ("Main benchmark duration is started", "Main benchmark duration is over")
        command.append(server.url(work.path))
        said, (begin, end) = _metered(command, marks, server.cpu_seconds, seconds, core)
        count, _ = parse_h2load(said)
        return Load(count, count / seconds, end - begin, read_latencies(log.read()))


def _h2load_counted(work: Work, server: RunningServer, seconds: int, core: int) -> Load:
    """Ask so many times, and see that the access log has as many lines."""
    if server.log is None:
        raise LoadError("the access log is not read")
    count = max(work.connections, round(server.rate * seconds))
    lines = server.log.wait_for_quiet()
    with tempfile.NamedTemporaryFile("r") as log:
        command = [*_h2load_command(work, log.name), f"-n{count}", server.url(work.path)]
        before = server.cpu_seconds()
        done, per_second = parse_h2load(_output(command, 10 * seconds, core))
        lines = server.log.wait_for(lines + done) - lines
        cpu_seconds = server.cpu_seconds() - before
        latency = read_latencies(log.read())
    if lines != done:
        raise LoadError(f"{lines} lines in the access log for {done} answers")
    return Load(done, per_second, cpu_seconds, latency, lines)


def _h2load_command(work: Work, log: str) -> list[str]:
    return [require("h2load"), "--h1", f"-c{work.connections}", f"--log-file={log}"]


def parse_h2load(text: str) -> tuple[int, float]:
    """Read h2load's report: answers and answers a second. Raises when one was not a success."""
    line = _find(r"^(requests: .*)$", text)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", line)}
    if counts["succeeded"] == 0 or counts["succeeded"] != counts["done"] or counts["errored"]:
        raise LoadError(f"{line}, {_find('^(status codes: .*)$', text)}")
    return counts["succeeded"], float(_find(r"([\d.]+) req/s", text))


def read_latencies(log: str) -> Latency:
    """Percentiles of the third column of h2load's log."""
    took = sorted(int(line.rsplit("\t", 1)[1]) for line in log.splitlines())
    if not took:
        raise LoadError("no answer came")
    latency = {f"p{percent}_us": float(took[len(took) * percent // 100]) for percent in _PERCENTS}
    return latency | {"max_us": took[-1]}


# ---- programs of ours ----------------------------------------------------------------------------


def _events(work: Work, server: RunningServer, seconds: int, core: int) -> Load:
    said, cpu_seconds = _native("event_clients", work, server, [work.connections, seconds], core)
    if said["clients"] != work.connections or said["events"] == 0:
        raise LoadError(f"{said['clients']} clients had {said['events']} events")
    latency = {name: value for name, value in said.items() if name.endswith("_us")}
    return Load(said["events"], said["events"] / said["seconds"], cpu_seconds, latency)


def _uploads(work: Work, server: RunningServer, seconds: int, core: int) -> Load:
    numbers = [work.body_size, work.connections, seconds]
    said, cpu_seconds = _native("uploader", work, server, numbers, core)
    if said["requests"] == 0 or said["bytes"] < said["requests"] * work.body_size:
        raise LoadError(f"{said['requests']} answers to {said['bytes']} bytes")
    return Load(said["requests"], said["requests"] / said["seconds"], cpu_seconds)


def _websockets(work: Work, server: RunningServer, seconds: int, core: int) -> Load:
    assert work.talk is not None
    with Clients(work.talk, server.port, work.path, core) as clients:
        before = server.cpu_seconds()
        said = clients.go_on(seconds)
        cpu_seconds = server.cpu_seconds() - before
    latency = {name: value for name, value in said.items() if name.endswith("_us")}
    count = said["messages"]
    per_second = count / said["seconds"]
    return Load(count, per_second, cpu_seconds, latency, client_cpu_seconds=said["cpu_seconds"])


def _native(
    program: str, work: Work, server: RunningServer, numbers: list[int], core: int
) -> tuple[dict[str, Any], float]:
    """What a client of ours says, and what it cost the server."""
    path = native.program(program, sys.executable)
    command = [str(path), str(server.port), work.path, *map(str, numbers)]
    with pinned(core):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    # It counts for the last so many seconds of its life: before, it opens its connections.
    spent = [(time.monotonic(), server.cpu_seconds())]
    output = errors = None
    while output is None:
        try:
            output, errors = process.communicate(timeout=SAMPLE)
        except subprocess.TimeoutExpired:
            if time.monotonic() > spent[0][0] + numbers[-1] + PATIENCE:
                process.kill()
        spent.append((time.monotonic(), server.cpu_seconds()))
    if process.returncode != 0:
        raise LoadError(f"{program}: {(errors or 'it hangs').strip()[-300:]}")
    said: dict[str, Any] = json.loads(output)
    end, cpu_seconds = spent[-1]
    return said, cpu_seconds - next(cpu for at, cpu in spent if at >= end - said["seconds"])


_MAKERS: dict[Maker, Callable[[Work, RunningServer, int, int], Load]] = {
    "wrk": _wrk,
    "h2load": _h2load,
    "h2load-counted": _h2load_counted,
    "events": _events,
    "uploads": _uploads,
    "websockets": _websockets,
}


# ---- how programs are run ------------------------------------------------------------------------


def _output(command: list[str], seconds: float, core: int) -> str:
    with pinned(core):
        finished = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + PATIENCE, check=False
        )
    if finished.returncode != 0:
        said = (finished.stderr or finished.stdout).strip()
        raise LoadError(f"{Path(command[0]).name} fails: {said[-300:]}")
    return finished.stdout


def _metered(
    command: list[str], marks: Sequence[str], meter: Callable[[], float], seconds: float, core: int
) -> tuple[str, list[float]]:
    """Run a program that says when it begins and ends to count; read the meter at these marks."""
    said, read = "", list[float]()
    with pinned(core):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    killer = threading.Timer(seconds + WARM_UP + PATIENCE, process.kill)
    killer.start()
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if len(read) < len(marks) and marks[len(read)] in line:
                read.append(meter())
    killer.cancel()
    if process.returncode != 0 or len(read) != len(marks):
        *_, last = said.strip().splitlines() or ["nothing"]
        state = "does not end" if process.returncode < 0 else "fails"
        raise LoadError(f"{Path(command[0]).name} {state}, and said last: {last}")
    return said, read


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise LoadError(f"something unexpected was said: {text[-300:]}")
    return match[1]


def _microseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise LoadError(f"not a time: {text}")
    return float(match[1]) * _UNITS[match[2]]
