# SPDX-License-Identifier: MIT
"""Servers take turns; one that does not do the work is left out, with the reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import load, report, rounds, servers
from benchmarks.turns import reason
from benchmarks.works import WORKS, Work

CORE = min(os.sched_getaffinity(0))
RAW = ["hello", "browser", "task", "sleep", "echo", "upload", "stream", "events"]
RAW += ["websocket", "websocket-text", "websocket-16k", "broadcast", "broadcast-gather"]

turns: list[str] = []


def fake_load(work: Work, server: servers.RunningServer, seconds: int, core: int) -> load.Load:
    """What it says depends on whose turn it is."""
    turns.append(server.name)
    if server.name == "broken" and turns.count("broken") == 3:
        raise load.LoadError("a request failed")
    cost = {"dear": 0.004}.get(server.name, 0.002)
    return load.Load(1000, 1000.0, cost, {"p50_us": float(len(turns))})


@pytest.fixture(autouse=True)
def no_turns() -> Iterator[None]:
    turns.clear()
    yield
    turns.clear()


def conditions(**peers: servers.Peer) -> rounds.Conditions:
    return rounds.Conditions(
        servers=peers, python=sys.executable, rounds=4, seconds=1, server_core=CORE, load_core=CORE
    )


CUVEE = servers.PEERS["cuvee"]


def test_servers_take_turns_and_begin_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "run", fake_load)
    outcome = rounds.take_turns(WORKS["hello"], conditions(cheap=CUVEE, dear=CUVEE))
    assert turns == ["cheap", "dear", *["cheap", "dear", "dear", "cheap"] * 2]
    assert outcome.failed == {}
    assert [one["cpu_us"] for one in outcome.rounds["dear"]] == [4.0] * 4
    result = report.of_work("hello", WORKS["hello"], outcome)
    assert [row["cpu_ratio_to"] for row in result["servers"]] == [{"dear": 0.5}, {"cheap": 2.0}]


def test_a_failed_round_leaves_the_server_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "run", fake_load)
    outcome = rounds.take_turns(WORKS["hello"], conditions(broken=CUVEE, good=CUVEE))
    assert outcome.failed == {"broken": "in round 2: a request failed"}
    assert list(outcome.rounds) == ["good"]
    assert len(outcome.rounds["good"]) == 4


def test_a_server_that_ends_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "run", fake_load)
    ends = servers.Peer((), "{python} -c 'import sys; sys.exit(\"no {app} here\")'")
    outcome = rounds.take_turns(WORKS["hello"], conditions(ends=ends, good=CUVEE))
    assert list(outcome.failed) == ["ends"]
    assert outcome.failed["ends"] == "at the start: it exited with 1: no hello:app here"
    assert list(outcome.rounds) == ["good"]


def test_a_reason_names_no_folder_of_this_machine() -> None:
    error = servers.ServerError('no "/some/where/else.so"\n at http://127.0.0.1:80/a/b and /x')
    assert reason(error) == 'no "else.so" at http://127.0.0.1:80/a/b and /x'


def test_a_wrong_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "run", fake_load)
    work = replace(WORKS["hello"], answer=b"Good evening!")
    outcome = rounds.take_turns(work, conditions(wrong=CUVEE))
    assert "it answers 200 text/plain 13 bytes b'Hello, world!'" in outcome.failed["wrong"]
    assert turns == []


def test_a_server_without_access_log_does_not_do_that_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "run", fake_load)
    outcome = rounds.take_turns(WORKS["hello-log"], conditions(mute=servers.PEERS["fastpysgi"]))
    assert outcome.failed == {"mute": "at the start: it has no access log"}


def test_a_server_that_polls_only_runs_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: dict[str, int] = {}
    start = servers.start

    def note_start(*args: Any, **more: Any) -> servers.RunningServer:
        server = start(*args, **more)
        pids[server.name] = server.process.pid
        return server

    def see(work: Work, server: servers.RunningServer, seconds: int, core: int) -> load.Load:
        if server.name == "polling":
            state = Path(f"/proc/{pids['polling']}/stat").read_text().rpartition(")")[2].split()
            assert state[0] != "T"
        else:
            # This comes back when the other is halted.
            halted = os.waitid(os.P_PID, pids["polling"], os.WSTOPPED | os.WNOWAIT)
            assert halted is not None
            assert halted.si_status == signal.SIGSTOP
        return fake_load(work, server, seconds, core)

    monkeypatch.setattr(servers, "start", note_start)
    monkeypatch.setattr(load, "run", see)
    polling = replace(CUVEE, polls=True)
    outcome = rounds.take_turns(WORKS["hello"], conditions(polling=polling, calm=CUVEE))
    assert outcome.failed == {}
    assert turns == ["polling", "calm", *["polling", "calm", "calm", "polling"] * 2]


@pytest.mark.parametrize("name", RAW)
def test_the_app_of_a_work_gives_the_answer(name: str) -> None:
    work = WORKS[name]
    server = rounds.start("cuvee", CUVEE, work, conditions(cuvee=CUVEE))
    try:
        rounds.check_answer(server, work)
    finally:
        server.stop()


def test_lines_of_the_access_log_are_counted() -> None:
    work = WORKS["hello-log"]
    server = rounds.start("cuvee", CUVEE, work, conditions(cuvee=CUVEE))
    try:
        assert server.log is not None
        for _ in range(3):
            rounds.check_answer(server, work)
        assert server.log.wait_for(3) == 3
    finally:
        server.stop()


def test_cpu_time_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    while time.process_time() < 0.3: pass\n"
        "    print('burnt', flush=True)\n"
        "    time.sleep(60)\n"
        "else:\n"
        "    os.wait()\n"
    )
    output = tmp_path / "output"
    output.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    server = servers.RunningServer("tree", process, 0, output)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        assert len(server.processes()) == 2
        assert server.cpu_seconds() >= 0.3
        server.stop()
