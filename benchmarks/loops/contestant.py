"""One work on every loop, in turns: each is in a process of its own, with a client where it has one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import turns
from benchmarks.loops import exchanges
from benchmarks.loops.partners import PARTNERS
from benchmarks.loops.talker import PATIENCE, Talker
from benchmarks.loops.works import WORKS
from benchmarks.servers import ServerError, process_clock
from benchmarks.turns import Outcome, Round
from tests.support.services import MissingError


@dataclass(frozen=True)
class Conditions:
    """How everything is measured."""

    loops: dict[str, str]
    """The name of each in the results, and the loop."""
    python: str
    rounds: int
    seconds: float
    loop_core: int
    load_core: int
    folder: Path
    """For sockets, a certificate and what is sent."""


class Contestant:
    """One loop with one work, ready for its turns."""

    def __init__(
        self, label: str, name: str, settings: Mapping[str, str], conditions: Conditions
    ) -> None:
        self._seconds = conditions.seconds
        self._work = WORKS[name]
        folder = conditions.folder
        self._settings = {
            "folder": str(folder),
            "certificate": str(folder / "certificate.pem"),
            "key": str(folder / "key.pem"),
            "path": str(folder / f"{name}.{label}"),
            **self._work.settings,
            **settings,
        }
        command = [conditions.python, "-m", "benchmarks.loops.worker", conditions.loops[label]]
        self._asker: Talker | None = None
        with ExitStack() as stack:
            self._worker = Talker(
                [*command, name, json.dumps(self._settings)], conditions.loop_core
            )
            stack.callback(self._worker.close)
            said = self._worker.hear()
            if self._work.exchange is not None:
                self._address = said["address"]
                self._asker = exchanges.start_asker(
                    self._work.exchange, self._settings, self._address, conditions.load_core
                )
                stack.callback(self._asker.close)
            self._processes = stack.pop_all()

    def take_turn(self) -> Round:
        """Work for a while."""
        seconds = self._seconds
        if self._asker is None:
            said = self._worker.ask(str(seconds), seconds + PATIENCE)
        else:
            before = process_clock(self._worker.process.pid)
            said = self._asker.ask(str(round(seconds * 1000)), seconds + PATIENCE)
            said["cpu_seconds"] = process_clock(self._worker.process.pid) - before
        if said["count"] == 0:
            raise ServerError("nothing was done")
        return {
            "cpu_us": round(said["cpu_seconds"] / said["count"] * 1e6, 4),
            "count": said["count"],
            "per_second": round(said["count"] / said["seconds"], 1),
        }

    def finish(self) -> None:
        """See that a server's answer is still the right one."""
        if self._work.exchange is not None:
            exchanges.look(self._work.exchange, self._settings, self._address)

    def stop(self) -> None:
        """End its processes."""
        self._processes.close()


def take_turns(name: str, conditions: Conditions) -> Outcome:
    """Measure a work. Where its partner is missing, no loop can do it."""
    partner = WORKS[name].partner
    try:
        with PARTNERS[partner](conditions.load_core) if partner else nullcontext({}) as settings:
            starters = {
                label: partial(_prepare, label, name, settings, conditions)
                for label in conditions.loops
            }
            return turns.take_turns(starters, conditions.rounds)
    except MissingError as missing:
        return Outcome(failed=dict.fromkeys(conditions.loops, str(missing)))


def _prepare(
    label: str, name: str, settings: Mapping[str, str], conditions: Conditions
) -> Contestant:
    contestant = Contestant(label, name, settings, conditions)
    try:
        contestant.take_turn()
    except BaseException:
        contestant.stop()
        raise
    return contestant
