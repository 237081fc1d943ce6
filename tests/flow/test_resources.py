# SPDX-License-Identifier: MIT
"""What the server shares with the rest of its process: descriptors and the GIL."""

from __future__ import annotations

import json
import os
import select
import socket
import time

from tests.support.asgi import WAIT
from tests.support.measured import MeasuredServer
from tests.support.raw import RawClient

PAUSED = "Accepting connections is paused"
RESUMED = "Accepting connections goes on"


def log_lines(control: RawClient, text: str) -> list[str]:
    """Return the lines that the server logged with `text`."""
    return [line for line in json.loads(control.ask("/log").body) if text in line]


def wait_for_pause(control: RawClient) -> None:
    """Return when the server has noticed that it has no descriptor."""
    end = time.monotonic() + WAIT
    while not log_lines(control, PAUSED):
        assert time.monotonic() < end, "nothing was logged"


def test_without_descriptors_accepting_pauses(server: MeasuredServer) -> None:
    """One line, no busy loop, those who are in are served; it goes on when there are some."""
    with server.connect() as control:
        assert control.ask("/limit").status == 200
        waiting = [server.connect() for _ in range(3)]
        for client in waiting:
            client.get("/hello")
        wait_for_pause(control)
        began, cpu = time.monotonic(), float(control.ask("/cpu").body)
        assert not select.select([client.sock for client in waiting], [], [], 1.0)[0]
        used = float(control.ask("/cpu").body) - cpu
        assert used < (time.monotonic() - began) / 4
        assert len(log_lines(control, PAUSED)) == 1
        assert control.ask("/lift").body == b"lifted"
        for client in waiting:
            assert client.read_response().body == b"hello"
            client.close()
        assert len(log_lines(control, PAUSED)) == 1
        assert len(log_lines(control, RESUMED)) == 1


def test_a_descriptor_that_comes_free_is_used(server: MeasuredServer) -> None:
    """No more of them than one at a time: every client is served, and the log stays quiet."""
    with server.connect() as control, server.connect() as first:
        assert first.ask("/hello").body == b"hello"
        assert control.ask("/limit").status == 200
        waiting = [server.connect() for _ in range(5)]
        for client in waiting:
            client.get("/hello")
        wait_for_pause(control)
        first.close()
        served = 0
        while waiting:
            ready, _, _ = select.select([client.sock for client in waiting], [], [], WAIT)
            assert ready, f"nobody is served after {served}"
            for client in [client for client in waiting if client.sock in ready]:
                assert client.read_response().body == b"hello"
                client.close()
                waiting.remove(client)
                served += 1
        assert len(log_lines(control, PAUSED)) == 1
        assert control.ask("/lift").body == b"lifted"


def descriptors(pid: int) -> int:
    """Count another process's open descriptors."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_thread_works_while_the_loop_waits(server: MeasuredServer) -> None:
    """The last thing that the loop saw is a connection that says nothing: the GIL is free."""
    pid = server.process.pid
    with server.connect() as control:
        port = int(control.ask("/thread").body)
        before = descriptors(pid)
        with server.connect(), socket.socket(type=socket.SOCK_DGRAM) as sock:
            while descriptors(pid) == before:
                pass
            sock.settimeout(WAIT)
            sock.sendto(b"work", ("127.0.0.1", port))
            assert sock.recv(100) == b"work"
