# SPDX-License-Identifier: MIT
"""Loops take turns; what they did is compared round by round; every work does what it says."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

import cuvee
from benchmarks import loop, native, render, results_file
from benchmarks.loops import contestant, exchanges, table, talker
from benchmarks.loops.works import WORKS, Exchange
from benchmarks.servers import ServerError
from benchmarks.turns import Outcome, Round

CORE = min(os.sched_getaffinity(0))
BENCHMARKS = Path(native.__file__).parent.parent
BY_ITSELF = [name for name, work in WORKS.items() if not work.exchange and not work.partner]
SERVERS = [
    name
    for name, work in WORKS.items()
    if work.exchange is not None and work.code.startswith("echoes:")
]


def conditions(folder: Path, **loops: str) -> contestant.Conditions:
    return contestant.Conditions(loops, sys.executable, 1, 0.01, CORE, CORE, folder)


# ---- the command line


def test_loops_can_have_other_names() -> None:
    assert loop.parse_loops("cuvee,again=cuvee") == {"cuvee": "cuvee", "again": "cuvee"}


@pytest.mark.parametrize("text", ["cuvee,cuvee", "trio", "", "a=b"])
def test_what_is_no_loop_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        loop.parse_loops(text)


def test_a_beginning_stands_for_all_works_that_begin_so() -> None:
    assert loop.parse_works("udp,protocol-tcp,udp") == [
        "udp",
        "protocol-tcp-64",
        "protocol-tcp-1024",
        "protocol-tcp-65536",
    ]


def test_a_whole_name_stands_for_itself() -> None:
    assert loop.parse_works("call-soon") == ["call-soon"]


@pytest.mark.parametrize("text", ["", "udp,", "no-work"])
def test_what_is_no_work_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        loop.parse_works(text)


# ---- turns


class FakeContestant:
    """Says what it is told to; the order in which it is called is kept."""

    log: ClassVar[list[str]] = []
    fails: ClassVar[dict[str, str]] = {}

    def __init__(self, label: str, *args: Any) -> None:
        self.label = label
        self._step("start")

    def _step(self, step: str) -> None:
        self.log.append(f"{step} {self.label}")
        if self.log.count(f"{step} {self.label}") == 2 and self.fails.get(self.label) == step:
            raise ServerError("it has had enough")

    def take_turn(self) -> Round:
        self._step("turn")
        return {"cpu_us": 4.0 if self.label == "dear" else 2.0}

    def finish(self) -> None:
        self._step("finish")

    def stop(self) -> None:
        self._step("stop")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeContestant]:
    monkeypatch.setattr(FakeContestant, "log", [])
    monkeypatch.setattr(FakeContestant, "fails", {})
    monkeypatch.setattr(contestant, "Contestant", FakeContestant)
    return FakeContestant


def of_rounds(count: int, **loops: str) -> contestant.Conditions:
    return contestant.Conditions(loops, sys.executable, count, 0.01, CORE, CORE, Path())


def test_loops_take_turns_and_begin_in_turn(fake: type[FakeContestant]) -> None:
    outcome = contestant.take_turns("call-soon", of_rounds(2, cheap="cuvee", dear="asyncio"))
    assert fake.log == [
        *["start cheap", "turn cheap", "start dear", "turn dear"],
        *["turn cheap", "turn dear", "turn dear", "turn cheap"],
        *["finish cheap", "finish dear", "stop cheap", "stop dear"],
    ]
    assert [one["cpu_us"] for one in outcome.rounds["dear"]] == [4, 4]


def test_a_loop_that_fails_is_left_out_and_ended(fake: type[FakeContestant]) -> None:
    fake.fails["bad"] = "turn"
    outcome = contestant.take_turns("call-soon", of_rounds(3, good="cuvee", bad="uvloop"))
    assert outcome.failed == {"bad": "in round 1: it has had enough"}
    assert list(outcome.rounds) == ["good"]
    assert len(outcome.rounds["good"]) == 3
    assert fake.log.count("turn bad") == 2
    assert fake.log.count("stop bad") == 1


def test_a_loop_that_is_not_installed_is_left_out_with_the_reason(
    tmp_path: Path,
) -> None:
    where = conditions(tmp_path, cuvee="cuvee", absent="no_such_loop")
    outcome = contestant.take_turns("call-soon", where)
    assert list(outcome.rounds) == ["cuvee"]
    assert outcome.failed == {
        "absent": "at the start: ModuleNotFoundError: No module named 'no_such_loop'"
    }


# ---- works


@pytest.mark.parametrize("name", BY_ITSELF)
def test_a_work_is_done_by_itself(name: str, tmp_path: Path) -> None:
    where = conditions(tmp_path, cuvee="cuvee", asyncio="asyncio")
    outcome = contestant.take_turns(name, where)
    assert outcome.failed == {}
    for rounds in outcome.rounds.values():
        assert len(rounds) == 1
        assert rounds[0]["count"] > 0
        assert rounds[0]["per_second"] > 0


@pytest.mark.parametrize("name", SERVERS)
def test_an_echo_is_asked(name: str, tmp_path: Path) -> None:
    if WORKS[name].settings["over"] == "tls":
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed here")
        loop.make_certificate(tmp_path)
    outcome = contestant.take_turns(name, conditions(tmp_path, asyncio="asyncio"))
    assert outcome.failed == {}
    assert outcome.rounds["asyncio"][0]["count"] >= exchanges.CONNECTIONS


@pytest.mark.parametrize(
    ("work", "module", "uncounted"),
    [
        ("call-soon", "callbacks", 0),
        ("threadsafe", "callbacks", 0),
        ("threadsafe-thread", "callbacks", 1),  # the last wakes the one that counts
        ("timer-fired", "timers", 1),
    ],
)
def test_what_is_counted_was_called(
    work: str, module: str, uncounted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    code: Any = importlib.import_module(f"benchmarks.loops.{module}")
    monkeypatch.setattr(code, "nothing", lambda: calls.append(None))

    async def count() -> int:
        batches = getattr(code, WORKS[work].code.partition(":")[2])({})
        counted: int = await anext(batches)
        await batches.aclose()
        return counted

    assert cuvee.loop.run(count()) == len(calls) + uncounted


# ---- the processes


def test_a_process_that_hangs_is_ended() -> None:
    process = talker.Talker([sys.executable, "-c", "import time; time.sleep(600)"], CORE)
    try:
        with pytest.raises(ServerError, match="it hangs"):
            process.hear(patience=0.01)
        assert process.process.returncode < 0
    finally:
        process.close()


def test_a_process_that_fails_says_why() -> None:
    process = talker.Talker([sys.executable, "-c", "input(); raise SystemExit('no more')"], CORE)
    try:
        with pytest.raises(ServerError, match=r"^no more$"):
            process.ask("go on")
    finally:
        process.close()


def test_what_is_no_json_is_no_answer() -> None:
    process = talker.Talker([sys.executable, "-c", "print('Good morning')"], CORE)
    try:
        with pytest.raises(ServerError, match="it says Good morning"):
            process.hear()
    finally:
        process.close()


def test_a_wrong_answer_is_seen(tmp_path: Path) -> None:
    worker = {"certificate": "", "path": "", "folder": str(tmp_path), "over": "tcp"}
    command = [sys.executable, "-m", "benchmarks.loops.worker", "asyncio", "protocol-tcp-64"]
    process = talker.Talker([*command, json.dumps(worker)], CORE)
    try:
        address = process.hear()["address"]
        right = Exchange(b"question", b"question")
        assert exchanges.look(right, worker, address) == (8, 0)
        long = b"x" * (exchanges.LONGEST_HEAD + 20)
        with pytest.raises(ServerError, match="it answers 4116 bytes"):
            exchanges.look(Exchange(long, b"answer"), worker, address)
    finally:
        process.close()


# ---- what is reported

ROUNDS = {
    "cuvee": [{"cpu_us": 1.0, "per_second": 1000.0}, {"cpu_us": 2.0, "per_second": 3000.0}],
    "uvloop": [{"cpu_us": 1.4, "per_second": 1.0}, {"cpu_us": 2.8, "per_second": 1.0}],
}


def test_less_than_demanded_is_marked() -> None:
    result = table.of_work("call-soon", Outcome(ROUNDS, {"rloop": "it ended"}))
    words = table.line(result, ["cuvee", "uvloop", "rloop"]).split()
    assert words == ["call_soon", "1.500", "2,000", "1.40<", "–"]
    assert table.failures(result) == ["    rloop: it ended"]


def test_what_is_demanded_of_cuvee_is_not_of_others() -> None:
    result = table.of_work("call-soon", Outcome(ROUNDS, {}))
    assert table.line(result, ["uvloop", "cuvee"]).split() == ["call_soon", "2.100", "1", "0.71"]


def test_the_readmes_table_has_a_column_for_each_loop(tmp_path: Path) -> None:
    path = tmp_path / "loops-cpython3.13.json"
    machine = {
        "date": "2026-11-29",
        "cpu": "a CPU",
        "system": "Linux 6.18.44-x",
        "python": "CPython 3.13.0",
        "packages": {"cuvee": "0.1.0", "uvloop": "0.23.0"},
        "rounds": 2,
        "seconds": 0.3,
    }
    file = results_file.File(path, machine, keep=False, parts=("works",))
    for name in ("call-soon", "protocol-unix-64", "udp"):
        file.add("works", "work", table.of_work(name, Outcome(ROUNDS, {"rloop": "it ended"})))
    text = render.render_loops([path])
    assert "| work | cuvee | uvloop |\n|---|---:|---:|\n" in text
    assert "| call_soon | 1.50 | 2.10 |\n| UDP, 1 KiB | 1.50 | 2.10 |\n" in text
    assert "medians of 2 interleaved rounds of 0.3 s" in text


def test_the_document_has_every_work() -> None:
    section = (BENCHMARKS / "README.md").read_text().partition("## Event loops")[2]
    cells = re.findall(r"^\| (`[^|]+`) \|", section.partition("\n## ")[0], re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([\w*-]+)`", cell)}
    assert {re.sub("-(tcp|unix|tls)-.*", "-*", name) for name in WORKS} <= named
