# SPDX-License-Identifier: MIT
"""The half of a suite's process that all suites share; it knows nothing of pytest.

The process reads names of tests, one a line, and answers each with a line of JSON: its outcome, what
it had to say, and the types of the loops that were made meanwhile. To the name `list` it answers all
names. What the tests themselves print goes to standard error, and their standard input is empty.
"""

from __future__ import annotations

import asyncio
import collections
import faulthandler
import json
import os
import unittest
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

DEADLINE = 60.0
"""Seconds after which the process ends itself, should nobody be there any more to end it."""

made: collections.Counter[str] = collections.Counter()


def count_loops() -> None:
    """Count cuvee's and asyncio's loops that are made in this process from now on."""

    def count(loop: type[asyncio.AbstractEventLoop]) -> None:
        original = loop.__init__
        name = f"{loop.__module__}.{loop.__qualname__}"

        def counting_init(self: Any, *args: Any, **kwargs: Any) -> None:
            made[name] += 1
            original(self, *args, **kwargs)

        loop.__init__ = counting_init  # type: ignore[method-assign]

    import cuvee.loop

    count(cuvee.loop.Loop)
    count(asyncio.SelectorEventLoop)


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


def serve(tests: Mapping[str, T], run: Callable[[str, T], dict[str, Any]]) -> None:
    """Answer names until there are no more."""
    names = os.fdopen(os.dup(0))
    answers = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    faulthandler.enable()
    for line in names:
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        name = line.strip()
        made.clear()
        said = list(tests) if name == "list" else {**run(name, tests[name]), "loops": dict(made)}
        answers.write(json.dumps(said) + "\n")
        answers.flush()
        faulthandler.cancel_dump_traceback_later()
    faulthandler.dump_traceback_later(DEADLINE, exit=True)  # threads of tests may go on for ever
