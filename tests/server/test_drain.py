# SPDX-License-Identifier: MIT
"""What a stop signal begins: the drain delay; and the bounds of the application's start and stop."""

from __future__ import annotations

import re
import signal
import socket

import pytest

import cuvee
from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess, get, read_until, serve_application

DELAYED = ("--drain-delay", "600", "--health-path", "/health")
DRAINING = "Draining for 600 seconds. (CTRL+C to go on at once)"
REQUEST = b"GET %s HTTP/1.1\r\nhost: test\r\n\r\n"


def ask(address: tuple[str, int], target: bytes) -> bytes:
    """Send a request on a connection of its own, and return the whole answer."""
    with socket.create_connection(address, WAIT) as client:
        client.sendall(REQUEST % target)
        return read_until(client, b"\r\n\r\n") + client.recv(100)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_goes_on_for_the_delay_and_its_health_fails(number: signal.Signals) -> None:
    with serve_application("hello", *DELAYED) as server:
        address = ("127.0.0.1", server.wait_until_running())
        with socket.create_connection(address, WAIT) as kept:
            assert get(kept) == b"hello"
            assert get(kept, "/health") == b"ok"
            server.signal(number)
            server.stderr.expect(DRAINING)
            assert ask(address, b"/health").startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            for answer in (ask(address, b"/"), ask(address, b"/again")):
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"\r\nconnection: close\r\n" in answer
            assert get(kept) == b"hello"
            assert kept.recv(1) == b""
        assert not any("Shutting down" in line for line in server.stderr.lines)
        server.signal(number)
        assert server.wait() == (0 if number == signal.SIGINT else -number)
        assert "INFO:     Application shutdown complete." in server.errors()


def test_delay_has_an_end() -> None:
    with serve_application("hello", "--drain-delay", "0.2") as server:
        server.wait_until_running()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        lines = server.errors()
        drained = lines.index("INFO:     Draining for 0.2 seconds. (CTRL+C to go on at once)")
        assert lines[drained + 1] == "INFO:     Shutting down"


def test_signal_that_ends_the_delay_forces_nothing() -> None:
    with serve_application("reading", *DELAYED) as server, server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na")
        read_until(client, b"ready")
        server.signal(signal.SIGINT)
        server.stderr.expect(DRAINING)
        server.signal(signal.SIGINT)
        server.stderr.expect("Waiting for connections to close")
        client.sendall(b"b")
        assert read_until(client, b"done").endswith(b"done")
        assert server.wait() == 0
        assert "INFO:     Application shutdown complete." in server.errors()


def test_third_sigint_forces() -> None:
    with serve_application("endless", *DELAYED) as server, server.connect() as client:
        client.sendall(REQUEST % b"/")
        read_until(client, b"ready")
        server.signal(signal.SIGINT)
        server.stderr.expect(DRAINING)
        server.signal(signal.SIGINT)
        server.stderr.expect("Waiting for connections to close")
        server.signal(signal.SIGINT)
        assert server.wait() == 0


def test_idle_exit_needs_no_delay() -> None:
    with serve_application("hello", *DELAYED, "--idle-exit", "0.1") as server:
        assert server.wait() == 0
        lines = server.errors()
        assert "INFO:     Nothing to do for 0.1 seconds. (--idle-exit)" in lines
        assert not any("Draining" in line for line in lines)


# ---- bounds ---------------------------------------------------------------------------------------


def test_startup_that_takes_too_long_ends_with_exit_code_3() -> None:
    with serve_application("hanging_start", "--timeout-startup", "0.2") as server:
        assert server.wait() == 3
        assert server.errors()[1:] == [
            "INFO:     Waiting for application startup.",
            "hanging",
            "ERROR:    Application startup not complete within 0.2 seconds. Exiting. "
            "(--timeout-startup)",
            "cleaned up",
        ]


def test_startup_within_its_time_is_none_the_wiser() -> None:
    with serve_application("hello", "--timeout-startup", "60") as server:
        server.wait_until_running()
        assert server.stop() == 0


def test_shutdown_that_takes_too_long_is_given_up() -> None:
    with serve_application("hanging_stop", "--timeout-shutdown", "0.2") as server:
        server.wait_until_running()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        lines = server.errors()
        told = lines.index(
            "ERROR:    Application shutdown not complete within 0.2 seconds. (--timeout-shutdown)"
        )
        assert lines[told - 1 : told + 2 : 2] == ["hanging", "cleaned up"]
        assert re.fullmatch(r"INFO:     Finished server process \[\d+\]", lines[-1])


@pytest.mark.parametrize(
    "name", ["timeout_startup", "timeout_shutdown", "drain_delay", "idle_exit"]
)
def test_negative_times_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number of seconds, not -1"):
        cuvee.Config("a:b", log_config=None, **{name: -1})  # type: ignore[arg-type]


def test_negative_times_are_one_line_and_exit_code_2() -> None:
    with ServerProcess("a:b", "--drain-delay=-1") as server:
        assert server.wait() == 2
        assert server.errors() == [
            "cuvee: error: --drain-delay must be a number of seconds, not '-1'"
        ]
