# SPDX-License-Identifier: MIT
"""Results are kept after every work, and shown as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import render, report, results_file, servers
from benchmarks.turns import Outcome
from benchmarks.works import WORKS

BENCHMARKS = Path(servers.__file__).parent


def machine(**other: Any) -> dict[str, Any]:
    return {
        "date": "2026-11-24",
        "cpu": "a CPU",
        "system": "Linux 6.18.44-x",
        "python": "CPython 3.13.0",
        "packages": {"cuvee": "0.1.0"},
        "rounds": 2,
        "seconds": 1,
    } | other


def work(name: str, cost: float = 2.0) -> dict[str, Any]:
    rounds = {"uvicorn": [{"cpu_us": 20.0}, {"cpu_us": 30.0}], "cuvee": [{"cpu_us": cost}] * 2}
    return report.of_work(name, WORKS[name], Outcome(rounds, {"limit": "it ended"}))


def test_the_ratio_is_the_median_of_each_rounds_ratio() -> None:
    rounds = {
        "fast": [{"cpu_us": 1.0}, {"cpu_us": 2.0}, {"cpu_us": 9.0}],
        "slow": [{"cpu_us": 4.0}, {"cpu_us": 4.0}, {"cpu_us": 10.0}],
    }
    assert report.ratios("fast", rounds) == {"slow": 0.5}


def test_every_part_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    file = results_file.File(path, machine(), keep=False)
    file.add("works", "work", work("hello"))
    assert [one["work"] for one in json.loads(path.read_text())["works"]] == ["hello"]
    file.add("works", "work", work("echo"))
    assert [one["work"] for one in json.loads(path.read_text())["works"]] == ["hello", "echo"]


def test_a_kept_file_has_the_new_in_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    before = results_file.File(path, machine(), keep=False)
    before.add("works", "work", work("hello", cost=5))
    before.add("works", "work", work("echo", cost=6))
    now = results_file.File(path, machine(packages={"granian": "2.8.7"}), keep=True)
    now.add("works", "work", work("hello", cost=7))
    content = json.loads(path.read_text())
    assert [one["servers"][1]["median"]["cpu_us"] for one in content["works"]] == [7, 6]
    assert content["machine"]["packages"] == {"cuvee": "0.1.0", "granian": "2.8.7"}


@pytest.mark.parametrize("other", [{"cpu": "another"}, {"packages": {"cuvee": "0.2.0"}}])
def test_results_of_other_things_are_not_mixed(tmp_path: Path, other: dict[str, Any]) -> None:
    path = tmp_path / "results.json"
    results_file.File(path, machine(), keep=False).add("works", "work", work("hello"))
    with pytest.raises(results_file.ResultsError):
        results_file.File(path, machine(**other), keep=True)


def test_the_readmes_table_has_a_column_for_each_server(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    file = results_file.File(path, machine(), keep=False)
    file.add("works", "work", work("hello"))
    file.add("footprint", "server", {"server": "cuvee", "private_mb": 12.34, "failed": {}})
    text = render.render([path])
    assert "| work | cuvee | uvicorn |\n|---|---:|---:|\n" in text
    assert "| hello, 64 connections | 2.0 | 25.0 |\n" in text
    assert "| private memory, MB | 12.3 |\n" in text
    assert "| bytes per idle connection | – |\n" in text
    assert "cuvee 0.1.0" in text


def test_the_readmes_table_of_idle_websockets_has_the_bare_task_first(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    file = results_file.File(path, machine(), keep=False)
    file.add("works", "work", work("hello"))
    rest = {"connections": 10_000, "seconds": 60, "failed": {}}
    file.add("idle_websockets", "server", {"server": "bare task", "bytes": 2500} | rest)
    row = {"server": "cuvee", "bytes": 3600, "bytes_above_bare": 1100, "cpu_percent": 0.5}
    file.add("idle_websockets", "server", row | rest)
    text = render.render([path])
    assert "| 10,000 idle WebSockets, 60 s | bare task | cuvee |\n|---|---:|---:|\n" in text
    assert "| bytes each | 2,500 | 3,600 |\n" in text
    assert "| above a task that holds the same scope | – | 1,100 |\n" in text
    assert "| CPU, % of a core | – | 0.50 |\n" in text


def test_a_kept_file_may_lack_what_was_not_measured_then(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results_file.File(path, machine(), keep=False).add("works", "work", work("hello"))
    content = json.loads(path.read_text())
    del content["idle_websockets"]
    path.write_text(json.dumps(content))
    assert results_file.File(path, machine(), keep=True).content["idle_websockets"] == []


def test_a_server_that_failed_one_work_has_a_dash_there(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    file = results_file.File(path, machine(), keep=False)
    file.add("works", "work", work("hello"))
    echo = report.of_work("echo", WORKS["echo"], Outcome({"cuvee": [{"cpu_us": 1.0}]}, {}))
    file.add("works", "work", echo)
    assert "| echo 10 KB | 1.0 | – |\n" in render.render([path])


def test_the_document_has_every_work_and_how_every_server_is_started() -> None:
    text = (BENCHMARKS / "README.md").read_text()
    assert re.findall(r"^\| `([\w-]+)` \| `[\w:]+` \| `\w+ /", text, re.MULTILINE) == [*WORKS]
    words = re.search(r"```\n(.*?)```", text, re.DOTALL)
    assert words is not None
    started = words[1].replace("\\\n", " ").split()
    lines = (f"{name} {peer.line}" for name, peer in servers.PEERS.items() if peer.line)
    shown = " ".join(lines).replace("{bin}/", "").replace("{python}", "python")
    assert shown.replace("{app}", "APP").replace("{port}", "PORT").split() == started
