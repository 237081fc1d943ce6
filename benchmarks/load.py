"""The load: wrk on a core of its own, and what it counted."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from benchmarks.pinning import pinned

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


class LoadError(Exception):
    """The load could not be made, or something in it went wrong."""


@dataclass(frozen=True)
class Load:
    """One run of wrk: latencies in microseconds."""

    requests: int
    per_second: float
    p50_us: float
    p99_us: float


def require_wrk() -> str:
    """The path of wrk, or one line that says how to get it."""
    path = shutil.which("wrk")
    if path is None:
        raise LoadError("wrk is not installed: apt-get install wrk")
    return path


def run(url: str, connections: int, seconds: float, core: int) -> Load:
    """Keep `connections` busy for a while. Any failed request is an error."""
    # wrk takes whole seconds only.
    command = [require_wrk(), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    with pinned(core):
        finished = subprocess.run(
            [*command, "--latency", url],
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
    if finished.returncode != 0:
        raise LoadError(f"wrk: {(finished.stderr or finished.stdout).strip()}")
    return parse(finished.stdout)


def parse(text: str) -> Load:
    """Read wrk's report; raises when it counted an error."""
    for wrong in ("Socket errors", "Non-2xx or 3xx responses"):
        if line := re.search(rf"^.*{wrong}.*$", text, re.MULTILINE):
            raise LoadError(line[0].strip())
    return Load(
        requests=int(_find(r"(\d+) requests in", text)),
        per_second=float(_find(r"Requests/sec:\s+([\d.]+)", text)),
        p50_us=_microseconds(_find(r"^\s+50%\s+(\S+)", text)),
        p99_us=_microseconds(_find(r"^\s+99%\s+(\S+)", text)),
    )


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise LoadError(f"wrk said something unexpected:\n{text}")
    return match[1]


def _microseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise LoadError(f"not a time: {text}")
    return float(match[1]) * _UNITS[match[2]]
