"""One work on every server, in turns."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, replace
from functools import partial

from benchmarks import load, servers, turns
from benchmarks.servers import RunningServer, ServerError
from benchmarks.turns import Outcome, Round
from benchmarks.websocket_clients import Clients
from benchmarks.works import Work

CHECKED_CONNECTIONS = 4
"""So many clients say something over WebSocket and compare what they get."""


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
class Contestant:
    """A server with its work."""

    server: RunningServer
    work: Work
    conditions: Conditions
    timed: bool

    def take_turn(self) -> Round:
        """Ask for a while."""
        one_round = _timed_round if self.timed else _round
        with self.server.turn():
            return one_round(self.server, self.work, self.conditions)

    def finish(self) -> None:
        """See that the answer is still the right one."""
        with self.server.turn():
            check_answer(self.server, self.work)

    def stop(self) -> None:
        """End the server."""
        self.server.stop()


def take_turns(work: Work, conditions: Conditions, timed: bool = False) -> Outcome:
    """Measure a work; `timed`, the part inside the app."""

    def prepare(name: str, peer: servers.Peer) -> Contestant:
        server = start(name, peer, work, conditions, timed)
        try:
            with server.turn():
                check_answer(server, work)
                server.rate = load.run(work, server, 1, conditions.load_core).per_second
        except BaseException:
            server.stop()
            raise
        return Contestant(server, work, conditions, timed)

    starters = {name: partial(prepare, name, peer) for name, peer in conditions.servers.items()}
    return turns.take_turns(starters, conditions.rounds)


def start(
    name: str, peer: servers.Peer, work: Work, conditions: Conditions, timed: bool = False
) -> RunningServer:
    """Start a server with the app of a work, or with that app between clocks."""
    command = command_of(peer, work, conditions, timed)
    stream = peer.log_stream if work.access_log else None
    clock = {"TIMED_APP": work.app, "TIMED_CLOCK": work.clock}
    server = servers.start(name, command, conditions.server_core, stream, None, **clock)
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
    if work.talk is not None:
        few = replace(work.talk, connections=CHECKED_CONNECTIONS)
        with Clients(few, server.port, work.path) as clients:
            clients.count(1)
        return
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


def _round(server: RunningServer, work: Work, conditions: Conditions) -> Round:
    server.check_alive()
    done = load.run(work, server, conditions.seconds, conditions.load_core)
    server.check_alive()
    server.rate = done.per_second
    figures: Round = {
        "cpu_us": done.cpu_seconds / (done.count * work.units) * 1e6,
        "count": done.count,
        "per_second": done.per_second,
        **done.latency,
    }
    if done.log_lines is not None:
        figures["log_lines"] = done.log_lines
    if done.client_cpu_seconds is not None:
        figures["client_cpu_us"] = done.client_cpu_seconds / done.count * 1e6
    return {name: round(figure, 3) for name, figure in figures.items()}


def _timed_round(server: RunningServer, work: Work, conditions: Conditions) -> Round:
    before = _clock(server)
    load.run(work, server, conditions.seconds, conditions.load_core)
    after = _clock(server)
    counted = "messages" if work.unit in ("event", "message") else "requests"
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
