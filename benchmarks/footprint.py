"""What a server needs when little is asked of it: memory, time to start, CPU and system calls at rest."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks import servers
from benchmarks.lockstep import Lockstep, get
from benchmarks.pinning import pinned
from benchmarks.servers import RunningServer, ServerError

START_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 6.0
"""After so long no server waits for a next request any more."""


def private_memory(server: RunningServer) -> int:
    """Bytes that belong to the processes of a server alone: what would be free without them."""
    return sum(private_memory_of(pid) for pid in server.processes())


def private_memory_of(pid: int) -> int:
    """Bytes that belong to a process alone."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    # Lines such as "Private_Dirty:      4711 kB".
    fields = [line.split() for line in rollup.splitlines() if line.startswith("Private_")]
    return sum(int(field[1]) for field in fields) * 1024


def start_to_first_response(command: list[str], core: int, path: str, rounds: int) -> float:
    """Seconds from the start of the program to the first byte of the first answer; the median."""
    return statistics.median(_start_once(command, core, path) for _ in range(rounds))


def bytes_per_idle_connection(server: RunningServer, path: str, count: int) -> float:
    """Private memory that a connection takes which has made one request and waits.

    As many requests go before on a few connections, for whatever is allocated once. All that is
    there must still be open when the memory is looked at: no option raises the time that a server
    waits for a next request, since opening 10,000 connections takes less than its usual 5 seconds.
    """
    servers.allow_many_connections()
    few = 64
    with Lockstep(server.port, path, few) as warm_up:
        warm_up.ask(max(1, count // few))
    time.sleep(0.5)  # those are gone
    before = private_memory(server)
    with Lockstep(server.port, path, count) as connections:
        after = private_memory(server)
        connections.check_open()
    return (after - before) / count


def idle(server: RunningServer, seconds: float) -> tuple[float, int]:
    """CPU seconds of a server that has nothing to do, and its system calls in as much time again."""
    time.sleep(KEEP_ALIVE_SECONDS)
    before = server.cpu_seconds()
    time.sleep(seconds)
    used = server.cpu_seconds() - before
    with tempfile.NamedTemporaryFile("r") as trace:
        tracer = _trace(server, ["-ttt", "-o", trace.name])
        begin = time.time()
        time.sleep(seconds)
        end = time.time()
        _end_trace(tracer)
        # A line is PID TIME CALL(...; what was under way before the trace comes with its name only.
        lines = [line.split(maxsplit=2)[1:] for line in trace if "(" in line]
    return used, sum(begin < float(at) < end for at, _ in lines)


def syscalls_per_request(server: RunningServer, path: str, connections: int) -> float:
    """System calls of a server for a request, when so many connections ask at once."""
    times = max(1, 3200 // connections)
    with Lockstep(server.port, path, connections) as clients:
        clients.ask(3)
        with tempfile.NamedTemporaryFile("r") as summary:
            tracer = _trace(server, ["-c", "-U", "calls,name", "-o", summary.name])
            requests = clients.ask(times)
            _end_trace(tracer)
            totals = [line.split()[0] for line in summary if line.split()[1:] == ["total"]]
    if not totals:
        raise ServerError("strace counted nothing")
    return int(totals[0]) / requests


def _start_once(command: list[str], core: int, path: str) -> float:
    port = servers.free_port()
    with pinned(core):
        begin = time.perf_counter()
        process = subprocess.Popen(
            servers.with_port(command, port),
            env=servers.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _ask_until_answered(process, port, path)
        return time.perf_counter() - begin
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ask_until_answered(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    end = time.perf_counter() + START_SECONDS
    while time.perf_counter() < end:
        if process.poll() is not None:
            raise ServerError(f"it exited with {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS) as sock:
                sock.sendall(get(path))
                if sock.recv(1):
                    return
        except ConnectionError:
            pass
        time.sleep(0.0002)
    raise ServerError("it does not answer")


def _trace(server: RunningServer, options: list[str]) -> subprocess.Popen[bytes]:
    """Attach strace to all processes of a server."""
    targets = [word for pid in server.processes() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", "-f", *options, *targets], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(0.5)  # attaching interrupts the calls that wait
    return tracer


def _end_trace(tracer: subprocess.Popen[bytes]) -> None:
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
