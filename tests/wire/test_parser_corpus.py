# SPDX-License-Identifier: MIT
"""Every request of the corpus through the parser: whole, cut in two anywhere, byte by byte."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from build_support import compiler, libraries
from build_support.switches import Switches
from tests.wire.parser_corpus import Case, read_corpus

ROOT = Path(__file__).resolve().parents[2]
CASES = list(read_corpus())


def build(source: Path) -> Path:
    """Make one program with the parser and its log, sanitizers on."""
    work = ROOT / "build" / "wire-runner"
    switches = Switches(sanitize=("address", "undefined"))
    cc = compiler.driver((sysconfig.get_config_var("CC") or "cc").split())
    library = libraries.prepare(ROOT, work, Switches(), cc)
    flags = [*switches.own_flags(), f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'tests/c'}"]
    flags += library.includes
    files = [*ROOT.glob("csrc/base/*.c"), *ROOT.glob("csrc/http/*.c")]
    files += [ROOT / "tests/c/http/wire_log.c", source]
    objects = compiler.compile_all(cc, flags, sorted(files), ROOT, work)
    program = work / source.stem
    command = [*cc, "-o", str(program), *map(str, objects), *library.objects]
    subprocess.run([*command, *switches.link_flags(), *library.link_flags], check=True)
    return program


DEFAULT_LIMITS = ("8190", "65536", "100")


class Logs:
    """What the runner printed of each case, all of them in one process."""

    def __init__(self, program: Path) -> None:
        fed = b"".join(
            f"{' '.join(case.limits or DEFAULT_LIMITS)} {len(case.request)}\n".encode()
            + case.request
            for case in CASES
        )
        done = subprocess.run([program], input=fed, capture_output=True)
        self.said = done.stderr.decode()
        self.returned = done.returncode
        self.of: dict[str, tuple[str, int]] = {}
        left = done.stdout
        for case in CASES:
            line, _, left = left.partition(b"\n")
            if not line:
                break  # it ended before this case, and said why
            size, cut = map(int, line.split())
            self.of[case.name] = (left[:size].decode(), cut)
            left = left[size:]


@pytest.fixture(scope="session")
def logs() -> Logs:
    """The logs of the corpus."""
    return Logs(build(ROOT / "tests/c/http/wire_runner.c"))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_parser_says_what_the_corpus_says(case: Case, logs: Logs) -> None:
    assert case.name in logs.of, logs.said
    log, cut = logs.of[case.name]
    assert log == case.events
    assert cut == 0, f"cut behind {cut} bytes it is another: {logs.said}"


def test_the_runner_ended_well(logs: Logs) -> None:
    assert logs.said == ""
    assert logs.returned == 0


def test_the_corpus_is_there() -> None:
    assert len(CASES) > 100
    assert len({case.name for case in CASES}) == len(CASES)
