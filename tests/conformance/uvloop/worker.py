# SPDX-License-Identifier: MIT
"""The process in which uvloop's tests run.

    python -m tests.conformance.uvloop.worker

Its working folder is the one where they are unpacked.
"""

from __future__ import annotations

import importlib
import sys
import traceback
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.conformance.answers import Result, count_loops, serve


def implementation(name: str) -> None:
    """Let uvloop's tests believe that they run on asyncio's own loop, or on uvloop's."""
    testbase: Any = importlib.import_module("uvloop._testbase")
    testbase.UVTestCase.implementation = name


def tests_in(module: ModuleType) -> Iterator[unittest.TestCase]:
    """Give each test of a file but those which uvloop runs on asyncio's own loop."""
    own: type = importlib.import_module("uvloop._testbase").AIOTestCase
    queue: list[Any] = [unittest.defaultTestLoader.loadTestsFromModule(module)]
    while queue:
        test = queue.pop(0)
        if isinstance(test, unittest.TestSuite):
            queue += list(test)
        elif not isinstance(test, own):
            yield test


def find_tests(folder: Path) -> dict[str, unittest.TestCase | None]:
    """Return all tests by name; a file that cannot be imported is one test without a body."""
    found: dict[str, unittest.TestCase | None] = {}
    for path in sorted(folder.glob("test_*.py")):
        try:
            module = importlib.import_module(path.stem)
        except ImportError:
            found[path.stem] = None
        else:
            found.update({test.id(): test for test in tests_in(module)})
    return found


def run_file(name: str) -> tuple[str, str]:
    """Say why a file cannot be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return "failed", traceback.format_exc()
    return "passed", ""


def run_test(test: unittest.TestCase) -> tuple[str, str]:
    """Run one test as on asyncio; if it leaves itself out there, as on uvloop."""
    for name in ("asyncio", "uvloop"):
        implementation(name)
        result = Result()
        type(test)(test.id().rpartition(".")[2]).run(result)
        outcome, text = result.outcome()
        if outcome != "skipped":
            break
    return outcome, text


def run(name: str, test: unittest.TestCase | None) -> dict[str, Any]:
    """Run a test and say what it came to."""
    outcome, text = run_file(name) if test is None else run_test(test)
    with_loop: type = importlib.import_module("uvloop._testbase").UVTestCase
    return {"outcome": outcome, "text": text, "runs_on_a_loop": isinstance(test, with_loop)}


def main(folder: Path) -> None:
    """Answer for the tests of a folder."""
    sys.path.insert(0, str(folder))
    count_loops()
    serve(find_tests(folder), run)


if __name__ == "__main__":
    main(Path.cwd() / "tests")
