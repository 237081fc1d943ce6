"""One work on every server: all of them are up and take turns; one that fails is left out."""

from __future__ import annotations

import http.client
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from subprocess import SubprocessError
from typing import Any

from benchmarks import load, servers
from benchmarks.servers import RunningServer, ServerError
from benchmarks.works import Work
from build_support.errors import BuildError

FAILURES = (
    load.LoadError,
    ServerError,
    BuildError,
    OSError,
    SubprocessError,
    http.client.HTTPException,
)
"""What a server, or the load on it, can do wrong."""


def reason(error: BaseException) -> str:
    """What went wrong, in a line without a folder of this machine."""
    said = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"(?<![\w/:])/(?:[^\s/\"']+/)+", "", said)[:400]


@dataclass(frozen=True)
class Conditions:
    """How everything is measured."""

    servers: dict[str, servers.Peer]
    python: str
    rounds: int
    seconds: int
    server_core: int
    load_core: int


@dataclass
class Outcome:
    """The rounds of the servers that did the work, and why the others did not."""

    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def take_turns(work: Work, conditions: Conditions, timed: bool = False) -> Outcome:
    """Measure a work; `timed`, the part inside the app."""
    running: list[RunningServer] = []
    outcome = Outcome()

    def attempt(name: str, when: str, step: Callable[..., None], *args: Any) -> None:
        try:
            step(*args)
        except FAILURES as error:
            outcome.failed[name] = when + reason(error)
            print(f"  {name} failed {outcome.failed[name]}", file=sys.stderr, flush=True)
            for server in [server for server in running if server.name == name]:
                running.remove(server)
                server.stop()

    def prepare(name: str, peer: servers.Peer) -> None:
        server = start(name, peer, work, conditions, timed)
        running.append(server)
        with server.turn():
            check_answer(server, work)
            server.rate = load.run(work, server, 1, conditions.load_core).per_second

    def take_turn(server: RunningServer) -> None:
        one_round = _timed_round if timed else _round
        with server.turn():
            server.rounds.append(one_round(server, work, conditions))

    def finish(server: RunningServer) -> None:
        with server.turn():
            check_answer(server, work)

    try:
        for name, peer in conditions.servers.items():
            attempt(name, "at the start: ", prepare, name, peer)
        for number in range(conditions.rounds):
            # Who begins changes from round to round: nobody always runs behind the same one.
            turn = number % max(1, len(running))
            for server in running[turn:] + running[:turn]:
                attempt(server.name, f"in round {number + 1}: ", take_turn, server)
            _show_progress(number, running)
        for server in running[:]:
            attempt(server.name, "after the rounds: ", finish, server)
        outcome.rounds = {server.name: server.rounds for server in running}
    finally:
        for server in running:
            server.stop()
    return outcome


def start(
    name: str, peer: servers.Peer, work: Work, conditions: Conditions, timed: bool = False
) -> RunningServer:
    """Start a server with the app of a work, or with that app between clocks."""
    command = command_of(peer, work, conditions, timed)
    stream = peer.log_stream if work.access_log else None
    clock = {"TIMED_APP": work.app, "TIMED_CLOCK": work.clock}
    server = servers.start(name, command, conditions.server_core, stream, **clock)
    server.polls = peer.polls
    return server


def command_of(
    peer: servers.Peer, work: Work, conditions: Conditions, timed: bool = False
) -> list[str]:
    """What starts a server for a work."""
    if isinstance(peer, servers.Limit) and (timed or not work.limit):
        raise ServerError("it runs no app")
    app = "timed:app" if timed else work.app
    return peer.command(conditions.python, app, work.access_log)


def check_answer(server: RunningServer, work: Work) -> None:
    """Ask once, and compare the answer with what the app has to say."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        headers = dict(work.headers)
        if work.body:
            headers["Content-Length"] = str(work.body_size)
        connection.request(work.method, work.path, work.pieces() if work.body else None, headers)
        answer = connection.getresponse()
        kind = answer.headers["content-type"] or ""
        said = answer.read(len(work.answer)) if work.endless else answer.read()
    finally:
        connection.close()
    if answer.status != 200 or not kind.startswith(work.content_type) or said != work.answer:
        raise ServerError(f"it answers {answer.status} {kind} {len(said)} bytes {said[:80]!r}")


def _round(server: RunningServer, work: Work, conditions: Conditions) -> dict[str, float]:
    server.check_alive()
    done = load.run(work, server, conditions.seconds, conditions.load_core)
    server.check_alive()
    server.rate = done.per_second
    figures: dict[str, float] = {
        "cpu_us": done.cpu_seconds / (done.count * work.units) * 1e6,
        "count": done.count,
        "per_second": done.per_second,
        **done.latency,
    }
    if done.log_lines is not None:
        figures["log_lines"] = done.log_lines
    return {name: round(figure, 3) for name, figure in figures.items()}


def _timed_round(server: RunningServer, work: Work, conditions: Conditions) -> dict[str, float]:
    before = _clock(server)
    load.run(work, server, conditions.seconds, conditions.load_core)
    after = _clock(server)
    counted = "messages" if work.unit == "event" else "requests"
    units = (after[counted] - before[counted]) * work.units
    if units <= 0:
        raise ServerError("no request came to its end")
    return {"inside_us": round((after["seconds"] - before["seconds"]) / units * 1e6, 3)}


def _clock(server: RunningServer) -> dict[str, float]:
    """What apps/timed.py has counted so far."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/-/inside")
        told: dict[str, float] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return told


def _show_progress(number: int, running: list[RunningServer]) -> None:
    costs = (
        f"{s.name} {s.rounds[-1].get('cpu_us', s.rounds[-1].get('inside_us')):.1f}" for s in running
    )
    print(f"  round {number + 1}: {', '.join(costs)} µs", file=sys.stderr, flush=True)
