"""One work on every loop: all of them are up and take turns; one that fails is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from benchmarks import rounds
from benchmarks.loops.contestant import Conditions, Contestant
from benchmarks.loops.partners import PARTNERS
from benchmarks.loops.works import WORKS
from tests.support.services import MissingError

FAILURES = (*rounds.FAILURES, ValueError)


def measure(name: str, conditions: Conditions) -> rounds.Outcome:
    """Measure a work. Where its partner is missing, no loop can do it."""
    partner = WORKS[name].partner
    try:
        with PARTNERS[partner](conditions.load_core) if partner else nullcontext({}) as settings:
            return _take_turns(name, settings, conditions)
    except MissingError as missing:
        return rounds.Outcome(failed=dict.fromkeys(conditions.loops, str(missing)))


def _take_turns(name: str, settings: Mapping[str, str], conditions: Conditions) -> rounds.Outcome:
    running: dict[str, Contestant] = {}
    outcome = rounds.Outcome()

    def attempt(label: str, when: str, step: Callable[..., None], *args: Any) -> None:
        try:
            step(*args)
        except FAILURES as error:
            outcome.failed[label] = when + rounds.reason(error)
            if label in running:
                running.pop(label).close()

    def prepare(label: str) -> None:
        running[label] = Contestant(label, name, settings, conditions)
        running[label].turn(conditions.seconds)
        running[label].rounds.clear()

    try:
        for label in conditions.loops:
            attempt(label, "at the start: ", prepare, label)
        for number in range(conditions.rounds):
            # Who begins changes from round to round: nobody always runs behind the same one.
            order = list(running)
            turn = number % max(1, len(order))
            for label in order[turn:] + order[:turn]:
                when = f"in round {number + 1}: "
                attempt(label, when, running[label].turn, conditions.seconds)
        for label, contestant in list(running.items()):
            attempt(label, "after the rounds: ", contestant.finish)
        outcome.rounds = {label: one.rounds for label, one in running.items()}
    finally:
        for contestant in running.values():
            contestant.close()
    return outcome
