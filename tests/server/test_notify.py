# SPDX-License-Identifier: MIT
"""What the service manager is told, by a datagram socket that stands for systemd's."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cuvee.notify import watchdog_seconds
from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess, get, serve_application

READY = b"READY=1\nSTATUS=Serving"
STOPPING = b"STOPPING=1\nSTATUS=Shutting down"


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that hears what is told."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract names are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(WAIT)
        name = str(tmp_path / "notify")
        listener.bind(name if request.param == "path" else f"\0cuvee-notify-{os.getpid()}")
        yield listener


def environment(manager: socket.socket, **more: str) -> dict[str, str]:
    """Return the variables that systemd sets."""
    name = manager.getsockname()
    text = "@" + name[1:].decode() if isinstance(name, bytes) else name
    return {"NOTIFY_SOCKET": text, **more}


def test_manager_hears_of_start_and_stop(manager: socket.socket) -> None:
    with serve_application("hello", env=environment(manager)) as server:
        assert manager.recv(1000) == READY
        with server.connect() as client:
            assert get(client) == b"hello"
            server.signal(signal.SIGTERM)
            assert manager.recv(1000) == STOPPING
        assert server.wait() == -signal.SIGTERM
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1000)


def test_manager_hears_nothing_of_a_start_that_fails(manager: socket.socket) -> None:
    with serve_application("failing_start", "--lifespan", "on", env=environment(manager)) as server:
        assert server.wait() == 3
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1000)


def test_watchdog_is_fed_by_the_loop(manager: socket.socket) -> None:
    with serve_application("hello", env=environment(manager, WATCHDOG_USEC="400000")) as server:
        assert manager.recv(1000) == READY
        assert [manager.recv(1000) for _ in range(4)] == [b"WATCHDOG=1"] * 4
        server.signal(signal.SIGINT)
        while (told := manager.recv(1000)) != STOPPING:
            assert told == b"WATCHDOG=1"
        assert server.wait() == 0


def test_a_loop_that_stands_still_feeds_nothing(manager: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(
        "import sys, time\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        print('stuck', file=sys.stderr, flush=True)\n"
        "        time.sleep(60)\n"
    )
    arguments = ("stuck:app", "--port", "0", "--lifespan", "off")
    variables = environment(manager, WATCHDOG_USEC="200000")
    with (
        ServerProcess(*arguments, cwd=tmp_path, env=variables) as server,
        server.connect() as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        server.stderr.expect("stuck")
        manager.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                manager.recv(1000)


def test_watchdog_of_another_process_is_none_of_ours() -> None:
    mine = str(os.getpid())
    assert watchdog_seconds({"WATCHDOG_USEC": "3000000"}) == 3
    assert watchdog_seconds({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": mine}) == 3
    assert watchdog_seconds({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_seconds({"WATCHDOG_PID": mine}) is None


@pytest.mark.parametrize("value", ["0", "-1", "soon"])
def test_watchdog_that_makes_no_sense_is_ignored_with_a_warning(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert watchdog_seconds({"WATCHDOG_USEC": value}) is None
    assert f"WATCHDOG_USEC={value} is ignored: it is no number of microseconds." in caplog.text


@pytest.mark.parametrize("value", ["notify", "@", "vsock:2:1234"])
def test_address_that_makes_no_sense_is_ignored_with_a_warning(value: str) -> None:
    with serve_application("hello", env={"NOTIFY_SOCKET": value}) as server:
        server.wait_until_running()
        server.stderr.expect(
            f"WARNING:  NOTIFY_SOCKET={value} is ignored: it is neither a path nor @NAME."
        )
        assert server.stop() == 0


def test_manager_that_is_not_there_is_told_of_once(tmp_path: Path) -> None:
    variables = {"NOTIFY_SOCKET": str(tmp_path / "none")}
    with serve_application("hello", env=variables) as server:
        server.wait_until_running()
        assert server.stop() == 0
        lines = [line for line in server.errors() if "NOTIFY_SOCKET" in line]
        assert lines == [
            "WARNING:  The service manager can't be told anything: [Errno 2] No such file or "
            "directory (NOTIFY_SOCKET)"
        ]
