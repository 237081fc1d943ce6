"""Measure how long quick requests take at a constant rate, while one in 200 takes 20 ms of CPU.

The rate is 30 % of what uvicorn can do of this mix. Every server gets it in turns: some that have
served before, and then processes that have just started. h2load keeps the rate; its log says when
each request began, how long it took, and by the status which were the quick ones.

A client of h2load has one request under way at a time. One that is due meanwhile waits, and its
wait would not be in the log. So there are as many clients as it takes for each to be due only every
quarter of a second, and a round in which an answer took longer than that is thrown away with a
message: in the others every request began when it was due. The clients begin one behind the other,
spread over that quarter of a second, or they would all ask at once for ever.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Run as a script, it is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import servers
from benchmarks.pinning import pinned
from benchmarks.servers import RunningServer, ServerError

SHARE = 0.3
INTERVAL = 0.25
"""Seconds from one request of a client to its next."""
SLOTS = 25
"""The clients begin in so many groups."""
QUICK, SLOW = "200", "202"
PERCENTS = (50, 90, 99)


def main() -> int:
    """Measure, print a line a server, and write everything down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default="cuvee,uvicorn", help="ratios refer to uvicorn")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has them")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write all rounds to this file")
    options = parser.parse_args()
    options.servers = options.servers.split(",")
    if unknown := [name for name in options.servers if name not in servers.PEERS]:
        parser.error(f"there is no server {', '.join(unknown)}")
    if "uvicorn" not in options.servers:
        options.servers.append("uvicorn")
    os.sched_setaffinity(0, {options.load_core})
    servers.allow_many_connections()
    rate = measure_saturation(options) * SHARE
    print(f"{rate:.0f} requests/s, {clients_for(rate)} connections", flush=True)
    result: dict[str, Any] = {"rate": round(rate), "share": SHARE}
    result["served before"] = report("served before", in_turns(options, rate))
    result["just started"] = report("just started", just_started(options, rate))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def start(options: argparse.Namespace, name: str) -> RunningServer:
    """Start a server with the app of the mix."""
    command = servers.PEERS[name].command(options.python, "rate:app", False)
    return servers.start(name, command, options.server_core)


def measure_saturation(options: argparse.Namespace) -> float:
    """Requests a second that uvicorn can do of the mix."""
    server = start(options, "uvicorn")
    try:
        rates = []
        for _ in range(4):
            command = ["h2load", "--h1", "-c", "64", "-D", "2", server.url("/")]
            with pinned(options.load_core):
                said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
            if not (match := re.search(r"finished in .*?, ([\d.]+) req/s", said)):
                raise ServerError(f"h2load says {said}")
            rates.append(float(match[1]))
        return statistics.median(rates[1:])
    finally:
        server.stop()


def clients_for(rate: float) -> int:
    """How many clients make this rate, each once in an interval."""
    return max(SLOTS, round(rate * INTERVAL / SLOTS) * SLOTS)


def one_round(server: RunningServer, rate: float, seconds: float) -> dict[str, float] | None:
    """The percentiles of the quick requests in milliseconds; None if some were late."""
    clients = clients_for(rate)
    with tempfile.NamedTemporaryFile("r") as log:
        command = ["h2load", "--h1", "-c", str(clients), "-n", str(round(rate * seconds))]
        command += ["--rps", f"{rate / clients:.3f}", "-r", str(clients // SLOTS)]
        command += ["--rate-period", f"{INTERVAL / SLOTS * 1e3:.0f}ms", f"--log-file={log.name}"]
        done = subprocess.run(
            [*command, server.url("/")], capture_output=True, text=True, timeout=seconds + 60
        )
        server.check_alive()
        rows = [line.split("\t")[1:3] for line in log]
    took: dict[str, list[float]] = {QUICK: [], SLOW: []}
    for status, microseconds in rows:
        if status not in took:
            raise ServerError(f"it answers {status}: {done.stdout}")
        took[status].append(int(microseconds) / 1e3)
    if not took[QUICK] or not took[SLOW]:
        raise ServerError(f"h2load says {done.stdout}{done.stderr}")
    worst = max(took[QUICK] + took[SLOW])
    if worst > INTERVAL * 1e3:
        print(f"a round of {server.name} is left out: an answer took {worst:.0f} ms", flush=True)
        return None
    quick = sorted(took[QUICK])
    return {f"p{p}": quick[len(quick) * p // 100] for p in PERCENTS}


Rounds = dict[str, list[dict[str, float]]]


def in_turns(options: argparse.Namespace, rate: float) -> Rounds:
    """Rounds of servers that are all up, and have served before."""
    running: list[RunningServer] = []
    rounds: Rounds = {}
    try:
        for name in options.servers:
            running.append(start(options, name))
            one_round(running[-1], rate, options.seconds)
        for number in range(options.rounds):
            turn = number % len(running)
            order = running[turn:] + running[:turn]
            add(rounds, {one.name: one_round(one, rate, options.seconds) for one in order})
    finally:
        for server in running:
            server.stop()
    return rounds


def just_started(options: argparse.Namespace, rate: float) -> Rounds:
    """Rounds of a second each, the first that a process serves."""
    rounds: Rounds = {}
    for number in range(options.rounds):
        turn = number % len(options.servers)
        measured: dict[str, dict[str, float] | None] = {}
        for name in options.servers[turn:] + options.servers[:turn]:
            server = start(options, name)
            try:
                measured[name] = one_round(server, rate, 1)
            finally:
                server.stop()
        add(rounds, measured)
    return rounds


def add(rounds: Rounds, measured: dict[str, dict[str, float] | None]) -> None:
    """Add a turn of all servers, unless one of them is not there."""
    for name, figures in measured.items():
        if figures is not None and None not in measured.values():
            rounds.setdefault(name, []).append(figures)


def report(title: str, rounds: Rounds) -> list[dict[str, Any]]:
    """Print and return, for each server, the medians and their ratios to uvicorn's."""
    rows = []
    for name, own in rounds.items():
        row: dict[str, Any] = {"server": name, "rounds": own, "median": {}, "ratio": {}}
        for what in own[0]:
            pairs = zip(own, rounds["uvicorn"], strict=True)
            row["median"][what] = round(statistics.median(one[what] for one in own), 3)
            ratio = statistics.median(one[what] / other[what] for one, other in pairs)
            row["ratio"][what] = round(ratio, 3)
        rows.append(row)
        medians = ", ".join(f"{what} {value:.2f} ms" for what, value in row["median"].items())
        ratios = ", ".join(f"{value:.2f}" for value in row["ratio"].values())
        print(f"{title:14} {name:14} {medians}  to uvicorn: {ratios}", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
