"""What connections cost over which nothing is said: memory, and the CPU time of pings."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import footprint, rounds, servers, turns
from benchmarks.pinning import pinned
from benchmarks.rounds import Conditions
from benchmarks.servers import RunningServer, ServerError
from benchmarks.websocket_clients import Clients, Talk
from benchmarks.works import WORKS

ECHO = WORKS["websocket"]
BARE = "bare task"
WARM_UP = Talk("echo", 64)
WARM_UP_MESSAGES = 10_000


@dataclass(frozen=True)
class Rest:
    """How many rest, and how long the server's CPU time is looked at."""

    connections: int
    seconds: float


def bare(conditions: Conditions, rest: Rest) -> dict[str, Any]:
    """What tasks take that hold the same scope and wait, without a server."""
    row = _row(BARE, rest)
    try:
        row["bytes"] = round(bytes_per_bare_task(conditions, rest.connections))
    except turns.FAILURES as error:
        row["failed"]["memory"] = turns.reason(error)
    return row


def of_server(
    name: str, peer: servers.Peer, conditions: Conditions, rest: Rest, least: dict[str, Any]
) -> dict[str, Any]:
    """What a server needs for connections at rest, whose clients offer compression or do not.

    `least` is what bare tasks take in the same run.
    """
    row = _row(name, rest)

    def note(what: str, measure: Callable[[RunningServer], dict[str, float]]) -> None:
        try:
            server = rounds.start(name, peer, ECHO, conditions)
            try:
                row.update(measure(server))
            finally:
                server.stop()
        except turns.FAILURES as error:
            row["failed"][what] = turns.reason(error)

    def plain(server: RunningServer) -> dict[str, float]:
        return _at_rest(server, Talk("idle", rest.connections), rest.seconds, conditions)

    def offered(server: RunningServer) -> dict[str, float]:
        talk = Talk("idle", rest.connections, offer=True)
        figures = _at_rest(server, talk, 0, conditions)
        return {"bytes_offered": figures["bytes"], "compressing": figures["compressing"]}

    note("plain", plain)
    note("offered", offered)
    if "bytes" in row and "bytes" in least and not isinstance(peer, servers.Limit):
        row["bytes_above_bare"] = row["bytes"] - least["bytes"]
    return row


def _row(name: str, rest: Rest) -> dict[str, Any]:
    return {
        "server": name,
        "connections": rest.connections,
        "seconds": rest.seconds,
        "failed": {},
    }


def bytes_per_bare_task(conditions: Conditions, count: int) -> float:
    """Private memory that a bare task adds to its process."""
    program = str(Path(__file__).parent / "bare_tasks.py")
    with pinned(conditions.server_core):
        process = subprocess.Popen(
            [conditions.python, program, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise ServerError("bare_tasks.py does not begin")
        before = footprint.private_memory_of(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        if process.stdout.readline() != f"{count} wait\n":
            raise ServerError("bare_tasks.py does not make its tasks")
        return (footprint.private_memory_of(process.pid) - before) / count


def _at_rest(
    server: RunningServer, talk: Talk, seconds: float, conditions: Conditions
) -> dict[str, float]:
    """Bytes of a connection, and the CPU time of all over so many seconds, if there are any."""
    with Clients(WARM_UP, server.port, core=conditions.load_core) as few:
        few.count(WARM_UP_MESSAGES)
    time.sleep(0.5)  # those are gone
    before = footprint.private_memory(server)
    with Clients(talk, server.port, core=conditions.load_core) as clients:
        told = clients.go_on(0.5)  # what the last handshakes left to do
        size = (footprint.private_memory(server) - before) / talk.connections
        figures: dict[str, float] = {"bytes": round(size)}
        if talk.offer:
            figures["compressing"] = clients.deflated
        if seconds > 0:
            used = server.cpu_seconds()
            told = clients.go_on(seconds)
            used = server.cpu_seconds() - used
            figures |= {"cpu_percent": round(used / seconds * 100, 3), "pings": told["pings"]}
        if told["closed"] > 0:
            raise ServerError(f"it closed {told['closed']} connections that rested")
    return figures
