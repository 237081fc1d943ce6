# SPDX-License-Identifier: MIT
"""CPython's own tests of asyncio, on cuvee's loop (docs/decisions/0050-cpythons-tests.md)."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.cpython.left_out import LEFT_OUT
from tests.conformance.listed import parameters
from tests.conformance.process import Worker

if importlib.util.find_spec("test.test_asyncio") is None:
    pytest.skip("this Python comes without its own tests", allow_module_level=True)


def start(folder: Path, loop: str = "cuvee") -> Worker:
    """Return a process that runs the tests on a kind of loop."""
    return Worker(folder, "tests.conformance.cpython.worker", loop)


def names() -> list[str]:
    with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as worker:
        return worker.names()


NAMES = names()


@dataclass
class Workers:
    """The processes that run the tests; each starts when it is first asked."""

    cuvee: Worker
    left_out: Worker
    """A test that fails may leave its process in disorder."""
    asyncio: Worker


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with contextlib.ExitStack() as stack:
        loops = ("cuvee", "cuvee", "asyncio")
        folders = [tmp_path_factory.mktemp("cpython") for _ in loops]
        yield Workers(*(stack.enter_context(start(*each)) for each in zip(folders, loops)))


@pytest.mark.parametrize(("name", "limit"), parameters(NAMES, LEFT_OUT))
def test_cpython(workers: Workers, name: str, limit: float) -> None:
    if name in LEFT_OUT:
        said = workers.left_out.ask(name, limit)
    else:
        said = workers.cuvee.ask(name, limit)
        if said["outcome"] == "failed" and workers.asyncio.ask(name)["outcome"] == "failed":
            pytest.skip(f"{name} fails here on asyncio's own loop, too")
    if said["outcome"] == "skipped":
        pytest.skip(said["text"])
    assert said["outcome"] == "passed", said["text"]
    if not said["loops"]:
        pytest.skip("makes no loop, or only one of the tests' own")
    assert list(said["loops"]) == ["cuvee.loop.Loop"]


def test_left_out_exists() -> None:
    """A name on the list that is no test of the suite stands for nothing."""
    assert set(LEFT_OUT) <= set(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        "test_events.SelectEventLoopTests.test_call_soon",  # create_event_loop()
        "test_buffered_proto.BufferedProtocolSelectorTests.test_buffered_proto_create_connection",
        "test_locks.LockTests.test_acquire",  # IsolatedAsyncioTestCase
        "test_runners.RunTests.test_asyncio_run_return",  # a runner
        "test_streams.StreamTests.test_open_connection",  # asyncio.new_event_loop
        "test_subprocess.SubprocessThreadedWatcherTests.test_communicate",  # the policy
        "test_tasks.CTask_CFuture_Tests.test_task_basics",
    ],
)
def test_the_loops_are_ours(workers: Workers, name: str) -> None:
    assert set(workers.cuvee.ask(name)["loops"]) == {"cuvee.loop.Loop"}


def test_most_of_the_suite_is_there() -> None:
    assert len(NAMES) > 1000
