# SPDX-License-Identifier: MIT
"""What clients and applications do leaves nothing in the server's process."""

from __future__ import annotations

import time

import pytest

from tests.leaks.conftest import Effort
from tests.leaks.scenarios import SCENARIOS, Scenario, keep_alive
from tests.support.asgi import WAIT
from tests.support.measured import Measure, MeasuredServer

APPLICATION = "tests.leaks.applications:Application"
PATIENCE = 5.0
"""Seconds until whatever the server still closes is closed: a connection lingers for two."""


def quiet_measure(server: MeasuredServer, fds: int) -> Measure:
    """Measure when every request has ended and every connection is closed."""
    server.served("/quiet")
    end = time.monotonic() + WAIT
    while server.measure().fds > fds:
        assert time.monotonic() < end, "connections stay open"
    return server.measure()


def check(
    server: MeasuredServer, scenario: Scenario, effort: Effort, patience: float = PATIENCE
) -> None:
    """Run a scenario, measure, run it more often, measure again."""
    server.served("/hello")
    fds = server.measure().fds
    scenario(server, effort.warm_up)
    before = quiet_measure(server, fds)
    scenario(server, effort.runs)
    server.served("/quiet")
    end = time.monotonic() + patience
    while grown := effort.grown(before, server.measure()):
        if time.monotonic() > end:
            break
    assert not grown, f"after {effort.runs} runs more: {grown}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_left(effort: Effort, name: str) -> None:
    with MeasuredServer(APPLICATION, access_log=False) as server:
        check(server, SCENARIOS[name], effort)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["unlike", "malformed", "gone in the stream, RST"])
def test_nothing_is_left_by_the_access_log(effort: Effort, name: str) -> None:
    with MeasuredServer(APPLICATION, access_log=True) as server:
        check(server, SCENARIOS[name], effort)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_left_on_a_foreign_loop(effort: Effort, name: str) -> None:
    with MeasuredServer(APPLICATION, loop="asyncio", access_log=False) as server:
        check(server, SCENARIOS[name], effort)


def test_a_leak_is_noticed(effort: Effort) -> None:
    with MeasuredServer(APPLICATION, access_log=False) as server:
        with pytest.raises(AssertionError, match="allocated blocks"):
            check(server, keep_alive("/leak"), effort, patience=0)
