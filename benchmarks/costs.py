"""What a server costs apart from the turns: memory, start, idle, system calls, instructions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks import footprint, instructions, load, rounds, servers, turns
from benchmarks.rounds import Conditions
from benchmarks.works import WORKS, Work

HELLO = WORKS["hello"]
STARTS = 5
IDLE_SECONDS = 10.0
IDLE_CONNECTIONS = 10_000
INSTRUCTED_REQUESTS = 2_000


def of_server(name: str, peer: servers.Peer, conditions: Conditions) -> dict[str, Any]:
    """What a server that serves hello needs when nothing, or little, is asked."""
    row: dict[str, Any] = {"server": name, "failed": {}}

    def note(what: str, measure: Callable[[], dict[str, float]]) -> None:
        try:
            row.update({figure: round(value, 3) for figure, value in measure().items()})
        except turns.FAILURES as error:
            row["failed"][what] = turns.reason(error)

    def serving() -> dict[str, float]:
        server = rounds.start(name, peer, HELLO, conditions)
        try:
            rounds.check_answer(server, HELLO)
            note("memory", lambda: {"private_mb": footprint.private_memory(server) / 1e6})
            note("idle", lambda: _idle(server))
            note("system calls", lambda: _calls(server))
            note("connections", lambda: _connections(server))
        finally:
            server.stop()
        return {}

    def start() -> dict[str, float]:
        command = peer.command(conditions.python, HELLO.app, access_log=False)
        core = conditions.server_core
        seconds = footprint.start_to_first_response(command, core, HELLO.path, STARTS)
        return {"start_ms": seconds * 1e3}

    note("start", start)
    note("serving", serving)
    return row


def _idle(server: servers.RunningServer) -> dict[str, float]:
    cpu_seconds, calls = footprint.idle(server, IDLE_SECONDS)
    return {"idle_cpu_ms": cpu_seconds * 1e3, "idle_calls": calls}


def _calls(server: servers.RunningServer) -> dict[str, float]:
    calls = footprint.syscalls_per_request(server, HELLO.path, HELLO.connections)
    return {"calls_per_request": calls}


def _connections(server: servers.RunningServer) -> dict[str, float]:
    size = footprint.bytes_per_idle_connection(server, HELLO.path, IDLE_CONNECTIONS)
    return {"bytes_per_connection": size}


def instructions_of(work: Work, conditions: Conditions) -> tuple[dict[str, float], dict[str, str]]:
    """User instructions that each server runs for a unit of a work, and why some were not counted."""
    counted: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name, peer in conditions.servers.items():
        try:
            counted[name] = round(_instructions(peer, work, conditions), 1)
        except turns.FAILURES as error:
            failed[name] = turns.reason(error)
    return counted, failed


def _instructions(peer: servers.Peer, work: Work, conditions: Conditions) -> float:
    if work.maker not in ("wrk", "h2load"):
        raise load.LoadError("instructions are counted of plain requests only")
    command = rounds.command_of(peer, work, conditions)
    number: float = instructions.per_request(
        command, work.path, work.connections, INSTRUCTED_REQUESTS, _script(work)
    )
    return number / work.pipelined / work.units


def _script(work: Work) -> str:
    """The request in Lua, with Host where instructions.py looks for it to see how many these are."""
    head = [f"{work.method} {work.path} HTTP/1.1", "Host: 127.0.0.1"]
    head += [f"{name}: {value}" for name, value in work.headers]
    if work.body:
        head.append(f"Content-Length: {work.body_size}")
    request = "".join(f"{line}\r\n" for line in [*head, ""])
    request += (work.body * work.body_times).decode()
    return f"function request() return {json.dumps(request * work.pipelined)} end\n"
