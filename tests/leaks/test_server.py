# SPDX-License-Identifier: MIT
"""What clients and applications do leaves nothing in the server's process."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

import pytest

from tests.leaks.conftest import Effort
from tests.leaks.scenarios import (
    CANCELLED_SCENARIOS,
    PROXY,
    PROXY_SCENARIOS,
    SCENARIOS,
    Scenario,
    keep_alive,
)
from tests.leaks.web_socket_scenarios import WEB_SOCKET_SCENARIOS
from tests.support.asgi import WAIT
from tests.support.measured import Measure, MeasuredServer

APPLICATION = "tests.leaks.applications:Application"
SLICE = 50
PATIENCE = 5.0
"""Seconds until whatever the server still closes is closed: a connection lingers for two."""


def thread_names(pid: int) -> list[str]:
    """Return the names of a process's threads, without the kernel's own workers for its io_uring."""
    names = [path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
    return [name for name in names if not name.startswith("iou-")]


def quiet_measure(server: MeasuredServer) -> Measure:
    """Measure when every request has ended."""
    server.served("/quiet")
    threads = len(thread_names(server.process.pid))
    return dataclasses.replace(server.measure(), threads=threads)


def run_slices(server: MeasuredServer, scenario: Scenario, runs: int) -> None:
    """Run a scenario so that a client that is quicker than the server waits for it now and then."""
    for _ in range(runs // SLICE):
        scenario(server, SLICE)
        server.served("/quiet")


def closed_measure(server: MeasuredServer, fds: int) -> Measure:
    """Measure when every connection is closed, too."""
    end = time.monotonic() + WAIT
    while quiet_measure(server).fds > fds:
        assert time.monotonic() < end, "connections stay open"
    return quiet_measure(server)


ROUNDS = 3


def check(
    server: MeasuredServer, scenario: Scenario, effort: Effort, patience: float = PATIENCE
) -> None:
    """Run a scenario, measure, run it more often, measure again.

    What leaks grows each time; caches and free lists settle, so that one of three rounds is level.
    Where a round is short, another one costs less than patience does.
    """
    server.served("/hello")
    fds = quiet_measure(server).fds
    run_slices(server, scenario, effort.warm_up)
    for number in range(ROUNDS):
        before = closed_measure(server, fds)
        run_slices(server, scenario, effort.runs)
        is_patient = effort.full or number == ROUNDS - 1
        end = time.monotonic() + (patience if is_patient else patience / 10)
        while grown := effort.grown(before, quiet_measure(server)):
            if time.monotonic() > end:
                break
        if not grown:
            return
    raise AssertionError(f"after {effort.runs} runs more, {ROUNDS} times: {grown}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_left(effort: Effort, name: str) -> None:
    with MeasuredServer(APPLICATION, access_log=False) as server:
        check(server, SCENARIOS[name], effort)


@pytest.mark.timeout(300)
def test_health_checks_leave_nothing(effort: Effort) -> None:
    with MeasuredServer(APPLICATION, access_log=False, health_path="/health") as server:
        check(server, keep_alive("/health"), effort)


def fill_ring(server: MeasuredServer) -> None:
    """Let the lines go once round their ring of 1 MiB, which takes memory as it is written to."""
    with server.connect() as client:
        for _ in range(200):
            assert client.ask("/hello/" + "x" * 8000).status == 200


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name", ["unlike", "malformed", "gone in the stream, RST", "client told by proxies"]
)
def test_nothing_is_left_by_the_access_log(effort: Effort, name: str) -> None:
    with MeasuredServer(APPLICATION, access_log=True) as server:
        fill_ring(server)
        check(server, SCENARIOS[name], effort)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["browser", "gone before the response, FIN"])
def test_nothing_is_left_by_lines_of_another_format(effort: Effort, name: str) -> None:
    text = '%(r)s %(s)s %(u)s "%({Cookie}i)s" %({content-length}o)s'
    with MeasuredServer(APPLICATION, access_log=True, access_log_format=text) as server:
        fill_ring(server)
        check(server, SCENARIOS[name], effort)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("policy", ["cancel", pytest.param("cancel:0.02", marks=pytest.mark.full)])
@pytest.mark.parametrize("name", CANCELLED_SCENARIOS)
def test_nothing_is_left_by_those_who_are_cancelled(effort: Effort, name: str, policy: str) -> None:
    with MeasuredServer(APPLICATION, access_log=False, on_disconnect=policy) as server:
        check(server, CANCELLED_SCENARIOS[name], effort)


@pytest.mark.skipif(sys.platform != "linux", reason="other addresses of 127.0.0.0/8")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PROXY_SCENARIOS)
def test_nothing_is_left_of_preambles(effort: Effort, name: str) -> None:
    with MeasuredServer(
        APPLICATION, access_log=True, proxy_protocol=True, forwarded_allow_ips=PROXY
    ) as server:
        fill_ring(server)
        check(server, PROXY_SCENARIOS[name], effort)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_left_on_a_foreign_loop(effort: Effort, name: str) -> None:
    with MeasuredServer(APPLICATION, loop="asyncio", access_log=False) as server:
        check(server, SCENARIOS[name], effort)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("loop", ["cuvee", pytest.param("asyncio", marks=pytest.mark.full)])
@pytest.mark.parametrize("name", WEB_SOCKET_SCENARIOS)
def test_nothing_is_left_of_web_sockets(effort: Effort, name: str, loop: str) -> None:
    with MeasuredServer(APPLICATION, loop=loop, access_log=False, ws_max_size=100_000) as server:
        WEB_SOCKET_SCENARIOS["connects"](server, 100)  # the dicts of as many scopes are kept
        check(server, WEB_SOCKET_SCENARIOS[name], effort)


def test_a_leak_is_noticed(effort: Effort) -> None:
    with MeasuredServer(APPLICATION, access_log=False) as server:
        with pytest.raises(AssertionError, match="allocated blocks"):
            check(server, keep_alive("/leak"), effort, patience=0)
