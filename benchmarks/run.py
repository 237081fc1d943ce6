"""Measure servers side by side: what requests cost, how many there are, how long they take.

All servers of one work are up together and take turns in short rounds, so that what else the
machine does meets them alike. The servers run on one core, the load on another. README.md beside
this file says how to read the numbers.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

# Run as a script, it is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import costs, idle_websockets, load, report, results_file, rounds, servers
from benchmarks.works import WORKS

_PROGRAMS = {"wrk": "wrk", "h2load": "h2load", "h2load-counted": "h2load"}
"""Which of the works need a program that has to be there."""
FRAMEWORKS = ("fastapi", "pydantic", "starlette", "django")


def main() -> int:
    """Run the works that were asked for and report them."""
    options = _options()
    conditions = rounds.Conditions(
        options.servers,
        options.python,
        options.rounds,
        options.seconds,
        options.server_core,
        options.load_core,
    )
    os.sched_setaffinity(0, {options.load_core})
    servers.allow_many_connections()
    try:
        for program in sorted(
            {_PROGRAMS.get(WORKS[name].maker, "") for name in options.work} - {""}
        ):
            load.require(program)
        machine = report.machine(
            conditions.python, _packages(conditions), conditions.rounds, conditions.seconds
        )
        file = results_file.File(options.json, machine, options.keep)
    except (load.LoadError, results_file.ResultsError) as error:
        print(f"benchmarks/run.py: {error}", file=sys.stderr)
        return 1
    for name in options.work:
        file.add("works", "work", _measure(name, conditions, options))
    if options.footprint:
        for server, peer in conditions.servers.items():
            row = costs.of_server(server, peer, conditions)
            file.add("footprint", "server", row)
            report.print_figures(row)
    if options.idle_websockets:
        _measure_rest(conditions, options, file)
    return 0


def _measure_rest(
    conditions: rounds.Conditions, options: argparse.Namespace, file: results_file.File
) -> None:
    """Connections over which nothing is said, beside tasks that only hold a scope."""
    rest = idle_websockets.Rest(options.idle_connections, options.idle_seconds)
    bare = idle_websockets.bare(conditions, rest)
    for row in (
        bare,
        *(
            idle_websockets.of_server(server, peer, conditions, rest, bare)
            for server, peer in conditions.servers.items()
        ),
    ):
        file.add("idle_websockets", "server", row)
        report.print_figures(row)


def _packages(conditions: rounds.Conditions) -> set[str]:
    """Whose versions the results name."""
    return {package for peer in conditions.servers.values() for package in peer.packages} | {
        *FRAMEWORKS
    }


def _measure(
    name: str, conditions: rounds.Conditions, options: argparse.Namespace
) -> dict[str, Any]:
    work = WORKS[name]
    print(f"{name}:", file=sys.stderr)
    result = report.of_work(name, work, rounds.take_turns(work, conditions))
    if options.inside:
        # The clocks cost, and differ little from round to round: a third of the rounds will do.
        fewer = replace(conditions, rounds=math.ceil(conditions.rounds / 3))
        report.add_inside(result, rounds.take_turns(work, fewer, timed=True))
    if options.instructions:
        report.add_instructions(result, *costs.instructions_of(work, conditions))
    report.print_work(result)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    every = ",".join(name for name in servers.PEERS if name != "uvicorn-plain")
    add(
        "--servers",
        type=_servers,
        default=every,
        help=f"names of {', '.join(servers.PEERS)}, or LABEL=NAME (default: {every})",
    )
    add(
        "--work", type=_works, default=",".join(WORKS), help=f"none, or of {', '.join(WORKS)} (all)"
    )
    add("--rounds", type=_positive, default=10, help="turns that each server takes (10)")
    add("--seconds", type=_positive, default=1, help="whole seconds of a turn (1)")
    add("--inside", action="store_true", help="also the part inside the app, in more rounds")
    add("--instructions", action="store_true", help="also instructions a request, by callgrind")
    add("--footprint", action="store_true", help="also memory, start, idle and system calls")
    add("--idle-websockets", action="store_true", help="also WebSockets over which nothing is said")
    add("--idle-connections", type=_positive, default=10_000, help="so many of them (10000)")
    add("--idle-seconds", type=_positive, default=60, help="how long they rest (60)")
    add("--python", default=sys.executable, help="interpreter that has all servers installed")
    add("--server-core", type=int, default=0, help="the servers' core (0)")
    add("--load-core", type=int, default=1, help="the load generator's core (1)")
    add("--json", type=Path, metavar="FILE", help="write every round and the summary here")
    add("--keep", action="store_true", help="keep what FILE has and this run does not measure")
    return parser.parse_args()


def _servers(text: str) -> dict[str, servers.Peer]:
    chosen: dict[str, servers.Peer] = {}
    for word in text.split(","):
        label, _, name = word.rpartition("=")
        if name not in servers.PEERS:
            raise argparse.ArgumentTypeError(f"no server is called {name!r}")
        if (label or name) in chosen:
            raise argparse.ArgumentTypeError(f"{label or name!r} is there twice: use LABEL=NAME")
        chosen[label or name] = servers.PEERS[name]
    return chosen


def _works(text: str) -> list[str]:
    if text == "none":
        return []
    for name in text.split(","):
        if name not in WORKS:
            raise argparse.ArgumentTypeError(f"no work is called {name!r}")
    return text.split(",")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
