# SPDX-License-Identifier: MIT
"""The process in which CPython's tests of asyncio run.

    python -m tests.conformance.cpython.worker cuvee|asyncio

The tests make their loops by asyncio's policy (so do `asyncio.new_event_loop`, runners and
`IsolatedAsyncioTestCase`), by the names of asyncio's classes, and by methods of their own. Each of
these is given cuvee's loop.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import sys
import unittest
from asyncio import unix_events
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from cuvee.loop import Loop, new_event_loop
from tests.conformance.answers import Result, count_loops, serve

PACKAGE = "test.test_asyncio"
SAME_TESTS = ("EPollEventLoopTests", "KqueueEventLoopTests", "PollEventLoopTests")
"""What differs from `SelectEventLoopTests` only in the selector that it gives to asyncio's loop."""
REAL_CLOCK = (f"{PACKAGE}.test_futures", f"{PACKAGE}.test_tasks")
"""Files whose tests need nothing of the tests' own loop but, some of them, its clock."""


def use_cuvee() -> None:
    """Let asyncio make loops of cuvee's."""
    policy: Any = unix_events._UnixDefaultEventLoopPolicy  # type: ignore[attr-defined]
    policy._loop_factory = Loop
    for name in ("BaseEventLoop", "EventLoop", "SelectorEventLoop"):
        if hasattr(asyncio, name):
            setattr(asyncio, name, Loop)


def new_test_loop(self: Any, gen: Any = None) -> Any:
    """Give a test a real loop, unless it sets the clock."""
    if gen is not None:
        utils: Any = importlib.import_module(f"{PACKAGE}.utils")
        return utils.TestCase.new_test_loop(self, gen)
    loop = new_event_loop()
    self.set_event_loop(loop)
    return loop


def use_cuvee_in(case: Any) -> None:
    """Let a class of tests make loops of cuvee's."""
    if "create_event_loop" in vars(case):
        case.create_event_loop = lambda self: new_event_loop()
    if case.__module__ in REAL_CLOCK:
        case.new_test_loop = new_test_loop


def tests_in(module: ModuleType) -> Iterator[unittest.TestCase]:
    """Give each test of a file."""
    queue: list[Any] = [unittest.defaultTestLoader.loadTestsFromModule(module)]
    while queue:
        test = queue.pop(0)
        if isinstance(test, unittest.TestSuite):
            queue += list(test)
        elif type(test).__name__ not in SAME_TESTS:
            yield test


def find_tests() -> dict[str, unittest.TestCase]:
    """Return all tests by their names below the package."""
    package = importlib.import_module(PACKAGE)
    found = {}
    for _, name, _ in pkgutil.iter_modules(package.__path__):
        if not name.startswith("test_"):
            continue
        try:
            module = importlib.import_module(f"{PACKAGE}.{name}")
        except unittest.SkipTest:  # another system's
            continue
        found.update({test.id().removeprefix(PACKAGE + "."): test for test in tests_in(module)})
    return found


def run(_name: str, test: unittest.TestCase) -> dict[str, Any]:
    """Run a test, with what its class and its module set up, and say what it came to."""
    result = Result()
    unittest.TestSuite([type(test)(test._testMethodName)]).run(result)
    outcome, text = result.outcome()
    return {"outcome": outcome, "text": text}


def main(loop: str) -> None:
    """Answer for the tests on a kind of loop."""
    count_loops()
    if loop == "cuvee":
        use_cuvee()
    tests = find_tests()
    if loop == "cuvee":
        for case in {type(test) for test in tests.values()}:
            use_cuvee_in(case)
    serve(tests, run)


if __name__ == "__main__":
    main(sys.argv[1])
