# SPDX-License-Identifier: MIT
"""The process in which uvloop's tests run; it knows nothing of pytest.

    python worker.py FOLDER

reads names of tests, one a line, and answers each with a line of JSON: its outcome, what it had to
say, and the types of the loops that were made meanwhile. To the name `list` it answers all names.
What the tests themselves print goes to standard error.
"""

from __future__ import annotations

import asyncio
import collections
import faulthandler
import importlib
import json
import os
import sys
import traceback
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

made: collections.Counter[str] = collections.Counter()


def count_loops() -> None:
    """Keep the type of every loop that is made in this process from now on."""

    def count(loop: type[asyncio.AbstractEventLoop]) -> None:
        original = loop.__init__

        def counting_init(self: Any, *args: Any, **kwargs: Any) -> None:
            made[f"{type(self).__module__}.{type(self).__qualname__}"] += 1
            original(self, *args, **kwargs)

        loop.__init__ = counting_init  # type: ignore[method-assign]

    import cuvee.loop

    count(cuvee.loop.Loop)
    count(asyncio.SelectorEventLoop)


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


class Result(unittest.TestResult):
    """Keeps what a test came to, and what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = ""

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.reason = reason

    def outcome(self) -> tuple[str, str]:
        """Return one word and the text that belongs to it."""
        problems = [text for _, text in self.failures + self.errors]
        problems += [f"{test} was expected to fail" for test in self.unexpectedSuccesses]
        if problems:
            return "failed", "\n".join(problems)
        return ("skipped", self.reason) if self.skipped else ("passed", "")


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


def answer(name: str, test: unittest.TestCase | None) -> dict[str, Any]:
    """Run a test and say all there is to say about it."""
    made.clear()
    outcome, text = run_file(name) if test is None else run_test(test)
    with_loop: type = importlib.import_module("uvloop._testbase").UVTestCase
    return {
        "outcome": outcome,
        "text": text,
        "loops": dict(made),
        "runs_on_a_loop": isinstance(test, with_loop),
    }


def main(folder: Path) -> None:
    """Answer names until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    faulthandler.enable()
    sys.path.insert(0, str(folder / "tests"))
    count_loops()
    tests = find_tests(folder / "tests")
    for line in sys.stdin:
        name = line.strip()
        said = list(tests) if name == "list" else answer(name, tests[name])
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
