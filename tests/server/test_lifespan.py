# SPDX-License-Identifier: MIT
"""ASGI's lifespan protocol in its three modes, as the command and the log show it."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.server_process import get, serve_application

UNSUPPORTED = "INFO:     ASGI 'lifespan' protocol appears unsupported."


def test_state_is_copied_for_each_request() -> None:
    with serve_application("with_state") as server, server.connect() as client:
        assert json.loads(get(client)) == {"answer": 42, "shared": [0]}
        assert json.loads(get(client)) == {"answer": 42, "shared": [0, 1]}


def test_auto_serves_an_application_without_lifespan() -> None:
    with serve_application("without_lifespan") as server, server.connect() as client:
        assert get(client) == b"hello"
        assert server.stop() == 0
        lines = server.errors()
        assert lines[1:4] == [
            "INFO:     Waiting for application startup.",
            UNSUPPORTED,
            "INFO:     Application startup complete.",
        ]
        assert not any("application shutdown" in line for line in lines)


def test_on_refuses_an_application_without_lifespan() -> None:
    with serve_application("without_lifespan", "--lifespan", "on") as server:
        assert server.wait() == 3
        lines = server.errors()
        assert lines[2] == "ERROR:    Exception in 'lifespan' protocol"
        assert lines[-1] == "ERROR:    Application startup failed. Exiting."


def test_traceback_of_a_failing_start_shows_the_application_only() -> None:
    with serve_application("failing_start", "--lifespan", "on") as server:
        assert server.wait() == 3
        lines = server.errors()
        files = [line for line in lines if line.startswith("  File ")]
        assert files
        assert all("applications.py" in line for line in files)
        assert "LookupError: no database" in lines


def test_off_tells_the_application_nothing() -> None:
    with (
        serve_application("without_lifespan", "--lifespan", "off") as server,
        server.connect() as client,
    ):
        assert get(client) == b"hello"
        assert server.stop() == 0
        assert not any("pplication s" in line or "lifespan" in line for line in server.errors())


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_startup_failed_is_exit_code_3_in_both_modes(mode: str) -> None:
    with serve_application("refusing", "--lifespan", mode) as server:
        assert server.wait() == 3
        assert server.errors()[2:] == [
            "ERROR:    the database is down",
            "ERROR:    Application startup failed. Exiting.",
        ]


def test_shutdown_failed_is_logged_and_changes_no_exit_code() -> None:
    with serve_application("refusing_stop") as server:
        server.wait_until_running()
        assert server.stop() == 0
        assert server.errors()[-3:-1] == [
            "ERROR:    the database is stuck",
            "ERROR:    Application shutdown failed. Exiting.",
        ]


def test_failing_shutdown_is_an_error_with_lifespan_on() -> None:
    with serve_application("failing_stop", "--lifespan", "on") as server:
        server.wait_until_running()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        lines = server.errors()
        assert "LookupError: no database" in lines
        assert "ERROR:    Application shutdown failed. Exiting." in lines


def test_message_out_of_order_is_an_assertion_error_in_the_application() -> None:
    with serve_application("starting_twice") as server:
        server.wait_until_running()
        assert server.stop() == 0
        assert "refused" in server.errors()


def test_system_exit_in_the_lifespan_leaves_the_process() -> None:
    with serve_application("leaving_start") as server:
        assert server.wait() == 7
        assert not any("Traceback" in line for line in server.errors())
