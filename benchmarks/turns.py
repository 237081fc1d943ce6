"""Those who do a work are all up and take turns; one that fails is left out, with the reason."""

from __future__ import annotations

import http.client
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from subprocess import SubprocessError
from typing import Protocol

from benchmarks.load import LoadError
from benchmarks.servers import ServerError
from build_support.errors import BuildError

FAILURES = (
    LoadError,
    ServerError,
    BuildError,
    OSError,
    SubprocessError,
    http.client.HTTPException,
)
"""What one that is measured, or the load on it, can do wrong."""

Round = dict[str, float]
"""The figures of one turn."""


class Contestant(Protocol):
    """One that is up, and does a work when it has its turn."""

    def take_turn(self) -> Round:
        """Do the work for a while."""

    def finish(self) -> None:
        """See that it still does what it should."""

    def stop(self) -> None:
        """End it."""


@dataclass
class Outcome:
    """The rounds of those that did the work, and why the others did not."""

    rounds: dict[str, list[Round]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def take_turns(starters: Mapping[str, Callable[[], Contestant]], rounds: int) -> Outcome:
    """Start all, give each a turn in every round, and end them.

    A starter that fails leaves nothing behind.
    """
    running: dict[str, Contestant] = {}
    outcome = Outcome()

    def attempt(name: str, when: str, step: Callable[[], None]) -> None:
        try:
            step()
        except FAILURES as error:
            outcome.rounds.pop(name, None)
            outcome.failed[name] = when + reason(error)
            print(f"  {name} failed {outcome.failed[name]}", file=sys.stderr, flush=True)
            if name in running:
                running.pop(name).stop()

    def start(name: str) -> None:
        running[name] = starters[name]()
        outcome.rounds[name] = []

    def take_turn(name: str) -> None:
        outcome.rounds[name].append(running[name].take_turn())

    try:
        for name in starters:
            attempt(name, "at the start: ", partial(start, name))
        for number in range(rounds):
            # Who begins changes from round to round: nobody always runs behind the same one.
            order = list(running)
            first = number % max(1, len(order))
            for name in order[first:] + order[:first]:
                attempt(name, f"in round {number + 1}: ", partial(take_turn, name))
            _show_progress(number, outcome)
        for name in list(running):
            attempt(name, "after the rounds: ", running[name].finish)
    finally:
        for contestant in running.values():
            contestant.stop()
    return outcome


def reason(error: BaseException) -> str:
    """What went wrong, in a line without a folder of this machine."""
    said = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"(?<![\w/:])/(?:[^\s/\"']+/)+", "", said)[:400]


def _show_progress(number: int, outcome: Outcome) -> None:
    costs = (
        f"{name} {rounds[-1].get('cpu_us', rounds[-1].get('inside_us')):.4g}"
        for name, rounds in outcome.rounds.items()
    )
    print(f"  round {number + 1}: {', '.join(costs)} µs", file=sys.stderr, flush=True)
