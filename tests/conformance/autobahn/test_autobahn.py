# SPDX-License-Identifier: MIT
"""Autobahn's WebSocket cases: the quick ones and a sample of the slow ones, or all of them with --full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.autobahn import suite
from tests.conformance.process import ROOT
from tests.support.server_process import ServerProcess

pytestmark = [
    pytest.mark.skipif(not suite.WSTEST.exists(), reason="Autobahn's suite is not installed"),
    pytest.mark.timeout(7200),
]

SERVER = os.environ.get("CUVEE_AUTOBAHN_SERVER", "cuvee")
"""Another server may be asked, to see what the suite thinks of that."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of an echo."""
    target = "tests.web_sockets.applications:echo"
    options = ("--port", "0", "--lifespan", "off", "--log-level", "info")
    with ServerProcess(target, *options, module=SERVER, cwd=ROOT) as server:
        yield f"ws://127.0.0.1:{server.wait_until_running()}"
        assert not any("Traceback" in line for line in server.stderr.lines)


@pytest.mark.parametrize("group", suite.GROUPS)
def test_short(url: str, tmp_path: Path, group: str) -> None:
    cases = suite.SHORT.get(group, (f"{group}.*",))
    verdicts = suite.run(url, cases, tmp_path, 110)
    assert len(verdicts) >= len(cases)
    assert not suite.complaint(verdicts)


@pytest.mark.full
def test_all(url: str, tmp_path: Path) -> None:
    verdicts = suite.run(url, [f"{group}.*" for group in suite.GROUPS], tmp_path, 7000)
    assert len(verdicts) == suite.COUNT
    assert not suite.complaint(verdicts)


def test_a_verdict_is_good_only_as_a_whole() -> None:
    """A connection that ends wrongly is no success, however well the case itself went."""
    assert suite.Verdict("OK", "INFORMATIONAL").good
    assert not suite.Verdict("OK", "FAILED").good
    assert not suite.Verdict("NON-STRICT", "OK").good
    text = suite.complaint(
        {
            "10.1": suite.Verdict("FAILED", "OK"),
            "9.1": suite.Verdict("OK", "UNCLEAN"),
            "1.1": suite.Verdict("OK", "OK"),
        }
    )
    assert [line.split(":")[0] for line in text.splitlines()] == ["9.1", "10.1"]
