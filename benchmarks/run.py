"""Measure servers side by side: CPU time per request, requests per second and latency.

All servers of one work are up together and take turns in short rounds, so that what else the
machine does meets them alike. Each server runs on one core, the load generator on another.
README.md beside this file says how to read the numbers.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run as a script, it is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import load, servers


@dataclass(frozen=True)
class Work:
    """An app, the path that is asked for, and the answer that has to come."""

    app: str
    path: str
    content_type: str
    body: bytes


def _items(first: int, count: int) -> bytes:
    items = [
        {"id": n, "name": f"item {n}", "price": n * 1.5, "tags": ["red", "white"]}
        for n in range(first, first + count)
    ]
    return json.dumps(items, separators=(",", ":")).encode()


WORKS = {
    "hello": Work("hello:app", "/", "text/plain", b"Hello, world!"),
    "fastapi": Work("fastapi_json:app", "/", "application/json", b'{"message":"Hello, world!"}'),
    "fastapi-items": Work(
        "fastapi_json:app", "/items/7?offset=2&limit=3", "application/json", _items(9, 3)
    ),
}


def main() -> int:
    """Run the works that were asked for and report them."""
    options = _options()
    try:
        load.require_wrk()
        results = [_measure(name, options) for name in options.work]
    except (load.LoadError, servers.ServerError) as error:
        print(f"benchmarks/run.py: {error}", file=sys.stderr)
        return 1
    if options.json is not None:
        report = {"machine": _machine(options), "works": results}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--servers",
        type=_servers,
        default="cuvee,uvicorn",
        help="what to measure, the last one being what ratios refer to: names of "
        f"{', '.join(servers.PEERS)}, or LABEL=NAME (default: cuvee,uvicorn)",
    )
    add("--work", type=_works, default=",".join(WORKS), help=f"of {', '.join(WORKS)} (all)")
    add("--rounds", type=_positive, default=10, help="turns that each server takes (10)")
    add("--seconds", type=_positive, default=2, help="whole seconds of a turn (2)")
    add("--connections", type=_positive, default=64, help="kept busy by the load generator (64)")
    add("--access-log", action="store_true", help="with the access log, written to /dev/null")
    add("--python", default=sys.executable, help="interpreter that has all servers installed")
    add("--server-core", type=int, default=0, help="the servers' core (0)")
    add("--load-core", type=int, default=1, help="the load generator's core (1)")
    add("--json", type=Path, metavar="FILE", help="write every round and the summary here")
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
    for name in text.split(","):
        if name not in WORKS:
            raise argparse.ArgumentTypeError(f"no work is called {name!r}")
    return text.split(",")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One work on every server, in turns."""
    work = WORKS[name]
    running: list[servers.RunningServer] = []
    try:
        for label, peer in options.servers.items():
            server = servers.start(
                label,
                peer.command(options.python, work.app, options.access_log),
                options.server_core,
            )
            running.append(server)
            _check_answer(server, work)
            load.run(server.url(work.path), options.connections, 1, options.load_core)
        for number in range(options.rounds):
            # Who begins changes from round to round: nobody always runs behind the same one.
            turn = number % len(running)
            for server in running[turn:] + running[:turn]:
                server.rounds.append(_round(server, work, options))
            _show_progress(name, number, running)
        for server in running:
            _check_answer(server, work)
    finally:
        for server in running:
            server.stop()
    result = {"work": name, "servers": [_summary(server, running[-1]) for server in running]}
    _print_table(result)
    return result


def _check_answer(server: servers.RunningServer, work: Work) -> None:
    with urllib.request.urlopen(server.url(work.path), timeout=10) as response:
        kind = response.headers["content-type"]
        body = response.read()
    if not kind.startswith(work.content_type) or body != work.body:
        raise servers.ServerError(f"{server.name} answers {kind} {body[:200]!r}")


def _round(
    server: servers.RunningServer, work: Work, options: argparse.Namespace
) -> dict[str, float]:
    server.check_alive()
    before = server.cpu_seconds()
    done = load.run(server.url(work.path), options.connections, options.seconds, options.load_core)
    server.check_alive()
    cpu = server.cpu_seconds() - before
    return {"cpu_us_per_request": cpu / done.requests * 1e6} | asdict(done)


def _summary(server: servers.RunningServer, baseline: servers.RunningServer) -> dict[str, Any]:
    """Medians over the rounds; the ratio is the median of each round's own ratio."""

    def median(key: str) -> float:
        middle: float = statistics.median(one[key] for one in server.rounds)
        return middle

    ratios = [
        mine["cpu_us_per_request"] / theirs["cpu_us_per_request"]
        for mine, theirs in zip(server.rounds, baseline.rounds, strict=True)
    ]
    keys = ("cpu_us_per_request", "per_second", "p50_us", "p99_us")
    return {
        "server": server.name,
        "median": {key: round(median(key), 2) for key in keys},
        "cpu_ratio": {
            "to": baseline.name,
            "median": round(statistics.median(ratios), 3),
            "rounds": [round(ratio, 3) for ratio in ratios],
        },
        "rounds": [{key: round(value, 2) for key, value in one.items()} for one in server.rounds],
    }


def _show_progress(name: str, number: int, running: list[servers.RunningServer]) -> None:
    costs = ", ".join(f"{s.name} {s.rounds[-1]['cpu_us_per_request']:.1f} µs" for s in running)
    print(f"{name} round {number + 1}: {costs}", file=sys.stderr, flush=True)


def _print_table(result: dict[str, Any]) -> None:
    print(f"\n{result['work']}")
    print(
        f"{'':16}{'CPU µs/request':>15}{'ratio':>8}{'requests/s':>12}{'p50 µs':>10}{'p99 µs':>10}"
    )
    for row in result["servers"]:
        median = row["median"]
        print(
            f"{row['server']:16}{median['cpu_us_per_request']:15.1f}"
            f"{row['cpu_ratio']['median']:8.3f}{median['per_second']:12.0f}"
            f"{median['p50_us']:10.0f}{median['p99_us']:10.0f}"
        )


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on, without a path or a name of the machine."""
    packages = sorted({package for peer in options.servers.values() for package in peer.packages})
    if any(name.startswith("fastapi") for name in options.work):
        packages += ["fastapi", "pydantic", "starlette"]
    asked = (
        "import json, platform, sys; from importlib.metadata import version;"
        "print(json.dumps([platform.python_implementation() + ' ' + platform.python_version(),"
        "{name: version(name) for name in sys.argv[1:]}]))"
    )
    told = subprocess.run(
        [options.python, "-c", asked, *packages], capture_output=True, text=True, check=True
    )
    python, versions = json.loads(told.stdout)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.release()}",
        "python": python,
        "packages": versions,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": options.connections,
        "access_log": options.access_log,
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
