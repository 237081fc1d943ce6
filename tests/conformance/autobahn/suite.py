# SPDX-License-Identifier: MIT
"""Runs Autobahn's fuzzing client against a server, and judges what it reports.

The suite is a program for Python 2.7 in an environment of its own (tools/autobahn.sh). Its exit status
says nothing; its report has a word for each case, and one for the way the connection ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

WSTEST = Path(sys.prefix) / "autobahn" / "bin" / "wstest"

GOOD = ("OK", "INFORMATIONAL")
AGENT = "server"

GROUPS = ("1", "2", "3", "4", "5", "6", "7", "9", "10", "12", "13")
"""Groups of cases; there is no 8, and 11 was never written."""

COUNT = 517
"""How many cases these groups have."""

SHORT = {
    "9": ("9.1.1", "9.1.2", "9.2.1", "9.2.2", "9.3.1", "9.4.1", "9.5.6", "9.6.6", "9.7.1", "9.8.1"),
    "12": ("12.1.1", "12.1.10", "12.2.3", "12.3.5", "12.4.2", "12.5.4"),
    "13": ("13.1.1", "13.2.3", "13.3.2", "13.4.5", "13.5.1", "13.6.4", "13.7.2"),
}
"""A sample of the groups that take minutes."""


class Verdict(NamedTuple):
    """What the suite thinks of a case."""

    behavior: str
    close: str

    @property
    def good(self) -> bool:
        """Whether nothing is wrong, not even a little."""
        return self.behavior in GOOD and self.close in GOOD


def run(url: str, cases: Sequence[str], folder: Path, limit: float) -> dict[str, Verdict]:
    """Run cases (with wildcards) against a server, and return the verdict of each."""
    specification = {
        "options": {"failByDrop": False},
        "outdir": str(folder / "reports"),
        "servers": [{"agent": AGENT, "url": url}],
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    path = folder / "specification.json"
    path.write_text(json.dumps(specification))
    done = subprocess.run(
        [str(WSTEST), "-m", "fuzzingclient", "-s", str(path)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        text=True,
        timeout=limit,
    )
    index = folder / "reports" / "index.json"
    assert index.exists(), done.stdout[-5000:]
    report = json.loads(index.read_text())[AGENT]
    return {case: Verdict(said["behavior"], said["behaviorClose"]) for case, said in report.items()}


def place(case: str) -> tuple[int, ...]:
    """Return what cases are sorted by."""
    return tuple(map(int, case.split(".")))


def complaint(verdicts: dict[str, Verdict]) -> str:
    """Return a line for each case that is not good."""
    bad = {case: verdict for case, verdict in verdicts.items() if not verdict.good}
    return "\n".join(f"{case}: {bad[case]}" for case in sorted(bad, key=place))
