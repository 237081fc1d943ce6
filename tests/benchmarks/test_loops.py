# SPDX-License-Identifier: MIT
"""Loops take turns; what they did is compared round by round; every work does what it says."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cuvee
from benchmarks import loop, native, render, results_file
from benchmarks.loops import contestant, exchanges, table, talker, turns
from benchmarks.loops.works import LOOPS, WORKS, Exchange, Work
from benchmarks.rounds import Outcome
from benchmarks.servers import ServerError

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

    log: list[str] = []
    fails: dict[str, str] = {}

    def __init__(self, label: str, *args: Any) -> None:
        self.label = label
        self.rounds: list[dict[str, float]] = []
        self._step("start")

    def _step(self, step: str) -> None:
        self.log.append(f"{step} {self.label}")
        if self.log.count(f"{step} {self.label}") == 2 and self.fails.get(self.label) == step:
            raise ServerError("it has had enough")

    def turn(self, seconds: float) -> None:
        self._step("turn")
        self.rounds.append({"cpu_us": 4.0 if self.label == "dear" else 2.0})

    def finish(self) -> None:
        self._step("finish")

    def close(self) -> None:
        self._step("close")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeContestant]:
    monkeypatch.setattr(FakeContestant, "log", [])
    monkeypatch.setattr(FakeContestant, "fails", {})
    monkeypatch.setattr(turns, "Contestant", FakeContestant)
    return FakeContestant


def of_rounds(count: int, **loops: str) -> contestant.Conditions:
    return contestant.Conditions(loops, sys.executable, count, 0.01, CORE, CORE, Path())


def test_loops_take_turns_and_begin_in_turn(fake: type[FakeContestant]) -> None:
    outcome = turns.measure("call-soon", of_rounds(2, cheap="cuvee", dear="asyncio"))
    assert fake.log == [
        *["start cheap", "turn cheap", "start dear", "turn dear"],
        *["turn cheap", "turn dear", "turn dear", "turn cheap"],
        *["finish cheap", "finish dear", "close cheap", "close dear"],
    ]
    assert [one["cpu_us"] for one in outcome.rounds["dear"]] == [4, 4]


def test_a_loop_that_fails_is_left_out_and_ended(fake: type[FakeContestant]) -> None:
    fake.fails["bad"] = "turn"
    outcome = turns.measure("call-soon", of_rounds(3, good="cuvee", bad="uvloop"))
    assert outcome.failed == {"bad": "in round 1: it has had enough"}
    assert list(outcome.rounds) == ["good"]
    assert len(outcome.rounds["good"]) == 3
    assert fake.log.count("turn bad") == 2
    assert fake.log.count("close bad") == 1


def test_a_loop_that_is_not_installed_is_left_out_with_the_reason(
    tmp_path: Path,
) -> None:
    where = conditions(tmp_path, cuvee="cuvee", absent="no_such_loop")
    outcome = turns.measure("call-soon", where)
    assert list(outcome.rounds) == ["cuvee"]
    assert outcome.failed == {
        "absent": "at the start: ModuleNotFoundError: No module named 'no_such_loop'"
    }


# ---- works


@pytest.mark.parametrize("name", BY_ITSELF)
def test_a_work_is_done_by_itself(name: str, tmp_path: Path) -> None:
    where = conditions(tmp_path, cuvee="cuvee", asyncio="asyncio")
    outcome = turns.measure(name, where)
    assert outcome.failed == {}
    for rounds in outcome.rounds.values():
        assert len(rounds) == 1
        assert rounds[0]["count"] > 0
        assert rounds[0]["per_second"] > 0


@pytest.mark.parametrize("name", SERVERS)
def test_an_echo_is_asked(name: str, tmp_path: Path) -> None:
    loop.make_certificate(tmp_path)
    outcome = turns.measure(name, conditions(tmp_path, asyncio="asyncio"))
    assert outcome.failed == {}
    assert outcome.rounds["asyncio"][0]["count"] >= exchanges.CONNECTIONS


def test_a_timer_that_is_counted_has_fired() -> None:
    timers = importlib.import_module("benchmarks.loops.timers")
    fired = []

    async def main() -> int:
        batches = timers.fired({})
        count = await anext(batches)
        await batches.aclose()
        return count

    original = timers.nothing
    timers.nothing = lambda: fired.append(None)
    try:
        count = cuvee.loop.run(main())
    finally:
        timers.nothing = original
    assert len(fired) == count - 1  # the last wakes the one that counts
