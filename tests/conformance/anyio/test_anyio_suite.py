# SPDX-License-Identifier: MIT
"""anyio's own tests, on cuvee's loop (docs/decisions/0053-libraries-and-their-servers.md)."""

from __future__ import annotations

import sys

import pytest

from tests.conformance.anyio import suite

for library in ("hypothesis", "psutil", "pytest_mock", "trustme", "truststore"):
    pytest.importorskip(library)

pytestmark = [pytest.mark.full, pytest.mark.timeout(suite.LIMIT + 20)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> suite.Results:
    """What all tests came to: they run once."""
    try:
        return suite.run(tmp_path_factory.mktemp("anyio"))
    except suite.UnfitError as reason:
        pytest.skip(str(reason))


def test_all_pass(results: suite.Results) -> None:
    failed = [f"{name}\n{text}" for name, text in results.texts.items()]
    assert not failed, "\n\n".join(failed)


def test_most_of_the_suite_ran(results: suite.Results) -> None:
    passed = [name for name, outcome in results.outcomes.items() if outcome == "passed"]
    assert len(passed) > 1000, results.output
    eager = [name for name in passed if "asyncio+eager" in name]
    assert (len(eager) > 500) is (sys.version_info >= (3, 12))


def test_the_loops_are_ours(results: suite.Results) -> None:
    assert set(results.loops) == {"cuvee.loop.Loop"}
