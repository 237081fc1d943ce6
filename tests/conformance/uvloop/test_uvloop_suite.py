# SPDX-License-Identifier: MIT
"""uvloop's own tests, on cuvee's loop (docs/decisions/0051-uvloops-tests.md)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.listed import parameters
from tests.conformance.process import Worker
from tests.conformance.uvloop import suite
from tests.conformance.uvloop.left_out import LEFT_OUT

NAMES = suite.names()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The process that runs the tests."""
    with suite.start(tmp_path_factory.mktemp("uvloop")) as worker:
        yield worker


@pytest.mark.parametrize(("name", "limit"), parameters(NAMES, LEFT_OUT))
def test_uvloop(worker: Worker, name: str, limit: float) -> None:
    said = worker.ask(name, limit)
    if said["outcome"] == "skipped":
        pytest.skip(said["text"] or "it leaves itself out")
    assert said["outcome"] == "passed", said["text"]
    if said["runs_on_a_loop"]:
        assert said["loops"].get("cuvee.loop.Loop")
    assert not any(kind.startswith("asyncio.") for kind in said["loops"])


def test_left_out_exists() -> None:
    """A name on the list that is no test of the suite stands for nothing."""
    assert set(LEFT_OUT) <= set(NAMES)


def test_the_loops_are_ours(worker: Worker) -> None:
    said = worker.ask("test_base.TestBaseUV.test_call_soon_1")
    assert said["runs_on_a_loop"] and said["loops"] == {"cuvee.loop.Loop": 1}


def test_most_of_the_suite_is_there() -> None:
    assert len(NAMES) > 250
