"""What a run found, in numbers that a reader can compare: medians, and ratios of each round."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.turns import Outcome
from benchmarks.works import Work

_COLUMNS = {
    "cpu_us": "CPU µs",
    "inside_us": "inside",
    "per_second": "per s",
    "p50_us": "p50 µs",
    "p90_us": "p90 µs",
    "p99_us": "p99 µs",
    "p999_us": "p99.9 µs",
    "max_us": "max µs",
    "client_cpu_us": "client µs",
    "instructions": "instr.",
}


def of_work(name: str, work: Work, outcome: Outcome) -> dict[str, Any]:
    """One work: the servers that did it, with their medians and ratios, and those that failed."""
    return {
        "work": name,
        "title": work.title,
        "unit": work.unit,
        "connections": work.connections,
        "servers": [
            {
                "server": server,
                "median": medians(rounds),
                "cpu_ratio_to": ratios(server, outcome.rounds),
                "rounds": {figure: [one[figure] for one in rounds] for figure in rounds[0]},
            }
            for server, rounds in outcome.rounds.items()
        ],
        "failed": outcome.failed,
    }


def add_inside(result: dict[str, Any], outcome: Outcome) -> None:
    """Add the part inside the app, which was measured in rounds of its own."""
    for row in result["servers"]:
        if rounds := outcome.rounds.get(row["server"]):
            row["median"] |= medians(rounds)
            row["inside_rounds"] = [one["inside_us"] for one in rounds]
    result["inside_failed"] = outcome.failed


def add_instructions(
    result: dict[str, Any], counted: dict[str, float], failed: dict[str, str]
) -> None:
    """Add the instructions of each server."""
    for row in result["servers"]:
        if row["server"] in counted:
            row["median"]["instructions"] = counted[row["server"]]
    result["instructions_failed"] = failed


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of every figure over the rounds."""
    return {
        figure: round(statistics.median(one[figure] for one in rounds), 3) for figure in rounds[0]
    }


def ratios(server: str, rounds: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """A server's cost to every other's: the median of each round's own ratio."""
    return {
        other: round(
            statistics.median(
                mine["cpu_us"] / its["cpu_us"]
                for mine, its in zip(rounds[server], its_rounds, strict=True)
            ),
            4,
        )
        for other, its_rounds in rounds.items()
        if other != server
    }


def machine(python: str, packages: set[str], rounds: int, seconds: float) -> dict[str, Any]:
    """What the numbers depend on, without a path or a name of the machine."""
    program = (
        "import json, platform, sys\n"
        "from importlib.metadata import PackageNotFoundError, version\n"
        "found = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = version(name)\n"
        "    except PackageNotFoundError: pass\n"
        "print(json.dumps([platform.python_implementation() + ' ' + platform.python_version(), found]))"
    )
    told = subprocess.run(
        [python, "-c", program, *sorted(packages)],
        capture_output=True,
        text=True,
        check=True,
    )
    version, versions = json.loads(told.stdout)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.release()}",
        "python": version,
        "packages": versions,
        "rounds": rounds,
        "seconds": seconds,
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def print_work(result: dict[str, Any]) -> None:
    """Print one work; the ratio is the first server's cost to that of the line."""
    print(f"\n{result['title']} ({result['work']})")
    found = {figure for row in result["servers"] for figure in row["median"]}
    columns = {figure: title for figure, title in _COLUMNS.items() if figure in found}
    if result["servers"]:
        first = result["servers"][0]
        ratio = f"{first['server']}/it"
        print(f"{'':14}{ratio:>13}" + "".join(f"{title:>11}" for title in columns.values()))
        for row in result["servers"]:
            to_it = first["cpu_ratio_to"].get(row["server"], 1.0)
            cells = (f"{row['median'].get(figure, float('nan')):11.1f}" for figure in columns)
            print(f"{row['server']:14}{to_it:13.3f}" + "".join(cells))
    for what in ("failed", "inside_failed", "instructions_failed"):
        for server, reason in result.get(what, {}).items():
            print(f"{server:14}  {what.replace('_', ' ')}: {reason}")


def print_figures(row: dict[str, Any]) -> None:
    """Print what a server needs when nothing is asked."""
    figures = {name: value for name, value in row.items() if name not in ("server", "failed")}
    print(
        f"{row['server']:14}",
        ", ".join(f"{name} {value:g}" for name, value in figures.items()),
        flush=True,
    )
    for what, reason in row["failed"].items():
        print(f"{'':14} {what} failed: {reason}")
