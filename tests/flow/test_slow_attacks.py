# SPDX-License-Identifier: MIT
"""slowhttptest's four attacks, with 4,000 connections each.

Who means well is served as before, memory is bounded, and the attackers are cut by the option that is there for them.
The server and the client who means well have one processor, the attackers another one; as root, the first two go
before all else that runs on theirs.
"""

from __future__ import annotations

import array
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.measured import ROOT
from tests.support.server_process import ServerProcess, get
from tests.support.services import MissingError, program

ATTACKERS = 4000
ROUNDS = 3
CALM = 3.0
"""Seconds of measurement before each attack."""
PATIENCE = 90.0
"""Seconds within which an attack must be over."""
MIB = 1 << 20
GROWTH = 64 * MIB

pytestmark = [pytest.mark.full, pytest.mark.timeout(ROUNDS * (CALM + PATIENCE) + 60)]


@dataclass(frozen=True)
class Attack:
    """What the attackers do, and the option that ends it."""

    arguments: tuple[str, ...]
    option: str | None
    """None: they are served, and leave."""
    value: str = ""
    path: str = "/"
    without: tuple[str, ...] = ()
    """What switches off another option that would end it before."""


ATTACKS = {
    "slow head": Attack(("-H", "-i", "1"), "--timeout-head", "10"),
    "paused body": Attack(
        ("-B", "-i", "60", "-s", "8192"),
        "--timeout-body",
        "10",
        without=("--limit-body-rate", "0"),
    ),
    "slow body": Attack(("-B", "-i", "1", "-s", "8192"), "--limit-body-rate", "240"),
    "ranges": Attack(("-R",), None),
    "slow read": Attack(
        ("-X", "-n", "5", "-w", "10", "-y", "20", "-z", "32", "-k", "3"),
        "--timeout-write",
        "5",
        "/large",
    ),
}


def set_apart(processor: int, *, first: bool) -> Callable[[], None]:
    """Return what prepares a child: many open files, and one processor, before all others if that is allowed."""

    def prepare() -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[processor % len(processors)]})
        if first:
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    return prepare


class Victim:
    """A `cuvee` process, and a client who means well: on one processor, where they work by turns."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        with server.connect() as connection:
            self.port: int = connection.getpeername()[1]
            get(connection)
        self.at_start = self.memory()
        self.client = subprocess.Popen(
            [sys.executable, "-m", "tests.flow.steady_client", str(self.port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=set_apart(0, first=True),
        )

    def memory(self) -> int:
        """Return the private memory, in bytes."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return int(lines["RssAnon"].split()[0]) * 1024

    def descriptors(self) -> int:
        """Count the open descriptors."""
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))

    def dealt_with(self, attack: Attack) -> int:
        """Count the attackers that were cut, by the lines of the log, or served."""
        if attack.option is None:
            with self.server.connect() as connection:
                return int(get(connection))
        return sum(f"{attack.option})" in line for line in self.server.stderr.lines)

    def end(self) -> list[tuple[float, float]]:
        """End the client; return when it asked, and how long it waited."""
        said, _ = self.client.communicate()
        numbers = array.array("d", said)
        return list(zip(numbers[::2], numbers[1::2], strict=True))


@dataclass
class Round:
    """An attack, from the measurement before it to its end."""

    calm: float
    begin: float = 0
    end: float = 0
    attackers: int = 0
    """The most at a time."""
    grown: int = 0
    """The most bytes at a time."""
    dealt_with: int = 0
    before: float = 0
    """The seconds that one request in a hundred exceeds."""
    during: float = 0

    def __str__(self) -> str:
        return (
            f"{self.attackers} at a time, {self.dealt_with} over in {self.end - self.begin:.1f} s,"
            f" +{self.grown / MIB:.1f} MiB, p99 {self.before * 1e6:.0f} -> {self.during * 1e6:.0f} us"
        )


def p99(times: Iterable[float]) -> float:
    """Return the time that one in a hundred exceeds."""
    return statistics.quantiles(times, n=100)[98]


def attack_once(victim: Victim, attack: Attack, tool: str) -> Round:
    """Measure in peace, then attack until the attackers are gone."""
    done = victim.dealt_with(attack)
    seen = Round(calm=time.monotonic())
    time.sleep(CALM)
    idle = victim.descriptors()
    seen.begin = time.monotonic()
    url = f"http://127.0.0.1:{victim.port}{attack.path}"
    numbers = ["-c", str(ATTACKERS), "-r", str(ATTACKERS), "-l", str(int(PATIENCE) * 2)]
    attacker = subprocess.Popen(
        [tool, *attack.arguments, *numbers, "-u", url],
        stdout=subprocess.DEVNULL,
        preexec_fn=set_apart(1, first=False),
    )
    try:
        while seen.dealt_with < ATTACKERS or victim.descriptors() > idle:
            assert time.monotonic() < seen.begin + PATIENCE, seen
            time.sleep(0.1)
            seen.attackers = max(seen.attackers, victim.descriptors() - idle)
            seen.grown = max(seen.grown, victim.memory() - victim.at_start)
            seen.dealt_with = victim.dealt_with(attack) - done
        seen.end = time.monotonic()
    finally:
        attacker.kill()
        attacker.wait()
    return seen


def run_rounds(attack: Attack, tool: str) -> list[Round]:
    """Attack one server several times, with a client who means well all the while."""
    options = [] if attack.option is None else [attack.option, attack.value, *attack.without]
    command = ["tests.flow.attacked:app", "--port", "0", "--no-access-log", *options]
    with ServerProcess(*command, cwd=ROOT, preexec=set_apart(0, first=True)) as server:
        victim = Victim(server)
        try:
            rounds = [attack_once(victim, attack, tool) for _ in range(ROUNDS)]
        finally:
            times = victim.end()
    for seen in rounds:
        seen.before = p99(took for at, took in times if seen.calm <= at < seen.begin)
        seen.during = p99(took for at, took in times if seen.begin <= at < seen.end)
    return rounds


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack(attack: Attack, capsys: pytest.CaptureFixture[str]) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * ATTACKERS:
        pytest.skip("too few open files are allowed")
    try:
        rounds = run_rounds(attack, program("slowhttptest"))
    except MissingError as missing:
        pytest.skip(str(missing))
    with capsys.disabled():
        print("", *rounds, sep="\n  ")
    for seen in rounds:
        assert seen.dealt_with == ATTACKERS
        assert seen.grown < GROWTH
        assert attack.option is None or seen.attackers > ATTACKERS / 2
    assert statistics.median(seen.during / seen.before for seen in rounds) <= 2
