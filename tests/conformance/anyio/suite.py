# SPDX-License-Identifier: MIT
"""anyio's test suite: got from its source distribution, and run by pytest in a process of its own.

The anyio that is tested comes out of the same archive, so that the two belong together.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_support.pins import Pin
from build_support.sources import read_archive, unpack
from tests.conformance.anyio.left_out import LEFT_OUT

ANYIO = Pin(
    library="anyio",
    version="4.16.0",
    project="anyio",
    archive="anyio-4.16.0.tar.gz",
    sha256="59bb03251907983d1603d27c3087ddb1e93299ea2163adcdba37899a4fb12ffb",
    root="anyio-4.16.0",
    wanted=("pyproject.toml", "src/anyio/*", "src/anyio/*/*", "tests/*", "tests/*/*"),
)
HERE = Path(__file__).resolve().parent
TEST_LIMIT = 30
"""Seconds after which one test has failed, and its process with it."""
LIMIT = 900
"""Seconds after which all of it has."""


@dataclass
class Results:
    """What a run came to."""

    outcomes: dict[str, str]
    """The outcome of each test by its name, and of each file that could not be imported."""
    texts: dict[str, str]
    """What there is to say about those that failed."""
    loops: dict[str, int]
    """The types of the loops that were made, and how many of each."""
    output: str
    """What pytest itself said."""


class UnfitError(Exception):
    """The suite cannot run on this machine; the text says why."""


def with_ipv6(folder: Path) -> list[str]:
    """Return words to put before a command, in which `localhost` is ::1 too, as the tests want it.

    Where it is not, the command gets an /etc/hosts of its own.
    """
    try:
        socket.getaddrinfo("localhost", 0, socket.AF_INET6)
    except OSError:
        pass
    else:
        return []
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, str(hosts)]
    if subprocess.run([*words, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise UnfitError("localhost is not ::1 here, and may not be given another meaning")
    return words


def run(folder: Path) -> Results:
    """Unpack the suite into a folder and run it."""
    unpack(ANYIO, read_archive(ANYIO), folder)
    root, report = folder / "anyio", folder / "report.json"
    path = [str(root / "src"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "on_cuvee",
        "--tb=short",
    ]
    command += [f"--deselect={name}" for name in LEFT_OUT]
    done = subprocess.run(
        [*with_ipv6(folder), *command, f"--timeout={TEST_LIMIT}", f"--report={report}", "tests"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    said: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return Results(
        said.get("outcomes", {}), said.get("texts", {}), said.get("loops", {}), done.stdout
    )
