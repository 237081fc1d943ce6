"""Measure event loops side by side: what a call, a timer, a task or an echo costs on each.

All loops of one work are up together, each in a process of its own on one core, and take turns in
short rounds; what asks a server, or answers a client, is on another core. README.md beside this
file says how to read the numbers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Run as a script, it is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import load, report, results_file
from benchmarks.loops import contestant, table
from benchmarks.loops.contestant import Conditions
from benchmarks.loops.works import LOOPS, WORKS

LIBRARIES = ("aiohttp", "asyncpg", "redis", "websockets")


def main() -> int:
    """Run the works that were asked for and report them."""
    options = _options()
    os.sched_setaffinity(0, {options.load_core})
    with tempfile.TemporaryDirectory(prefix="bench-loop-") as folder:
        conditions = Conditions(
            options.loops,
            options.python,
            options.rounds,
            options.seconds,
            options.loop_core,
            options.load_core,
            Path(folder),
        )
        try:
            machine = report.machine(
                conditions.python,
                {*conditions.loops.values(), *LIBRARIES},
                conditions.rounds,
                conditions.seconds,
            )
            file = results_file.File(options.json, machine, options.keep, ("works",))
            make_certificate(conditions.folder)
        except (load.LoadError, results_file.ResultsError) as error:
            print(f"benchmarks/loop.py: {error}", file=sys.stderr)
            return 1
        loops = list(conditions.loops)
        print(table.head(loops), flush=True)
        for name in options.work:
            result = table.of_work(name, contestant.take_turns(name, conditions))
            file.add("works", "work", result)
            print("\n".join([table.line(result, loops), *table.failures(result)]), flush=True)
    return 0


def make_certificate(folder: Path) -> None:
    """Make what a server on this host says of itself, signed by itself."""
    command = (
        f"{load.require('openssl')} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    )
    command += " -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    made = subprocess.run([*command.split(), *files], capture_output=True, text=True)
    if made.returncode != 0:
        raise load.LoadError(f"openssl makes no certificate: {made.stderr.strip()[-300:]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    every = ",".join(LOOPS)
    add(
        "--loops",
        type=parse_loops,
        default=every,
        help=f"names of {every}, or LABEL=NAME; the first is compared with the others (all)",
    )
    add(
        "--work",
        type=parse_works,
        default=",".join(WORKS),
        metavar="NAMES",
        help="works, or beginnings of their names, as protocol-tcp (all); README.md has them",
    )
    add("--rounds", type=int, default=10, help="turns that each loop takes (10)")
    add("--seconds", type=float, default=0.3, help="length of a turn (0.3)")
    add("--python", default=sys.executable, help="interpreter that has the loops installed")
    add("--loop-core", type=int, default=0, help="the loops' core (0)")
    add("--load-core", type=int, default=1, help="the core of their clients and servers (1)")
    add("--json", type=Path, metavar="FILE", help="write every round and the summary here")
    add("--keep", action="store_true", help="keep what FILE has and this run does not measure")
    return parser.parse_args()


def parse_loops(text: str) -> dict[str, str]:
    """Read `NAME,LABEL=NAME`: what each is called in the results, and which loop it is."""
    chosen: dict[str, str] = {}
    for word in text.split(","):
        label, _, name = word.rpartition("=")
        if name not in LOOPS:
            raise argparse.ArgumentTypeError(f"no loop is called {name!r}")
        if (label or name) in chosen:
            raise argparse.ArgumentTypeError(f"{label or name!r} is there twice: use LABEL=NAME")
        chosen[label or name] = name
    return chosen


def parse_works(text: str) -> list[str]:
    """Read names of works; a word that is none stands for all that begin with it."""
    chosen: dict[str, None] = {}
    for word in text.split(","):
        found = [word] if word in WORKS else [name for name in WORKS if name.startswith(word)]
        if not word or not found:
            raise argparse.ArgumentTypeError(f"no work is called {word!r}")
        chosen |= dict.fromkeys(found)
    return list(chosen)


if __name__ == "__main__":
    sys.exit(main())
