# SPDX-License-Identifier: MIT
"""Who writes the access log, and what happens to it when nobody reads."""

from __future__ import annotations

import os
import signal

from tests.support.server_process import get, serve_application

LONG = "/" + "x" * 4000
"""A target of which some hundreds fill the log's buffer."""


def test_filter_of_the_application_is_respected() -> None:
    with serve_application("filtered", "--factory") as server, server.connect() as client:
        host, port = client.getsockname()
        get(client, "/health")
        get(client, "/other")
        assert server.stop() == 0
        assert server.output() == [f'INFO:     {host}:{port} - "GET /other HTTP/1.1" 200 OK']


def test_format_of_the_application_is_respected() -> None:
    with serve_application("reformatted") as server, server.connect() as client:
        host, port = client.getsockname()
        get(client, "/a%20b?c=d")
        assert server.stop() == 0
        assert server.output() == [f'uvicorn.access {host}:{port} - "GET /a%20b?c=d HTTP/1.1" 200']


def test_lines_reach_standard_output_before_sigterm_ends_the_process() -> None:
    with serve_application("hello") as server, server.connect() as client:
        for number in range(100):
            get(client, f"/{number}")
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        lines = server.output()
        assert [line.split()[4] for line in lines] == [f"/{number}" for number in range(100)]


def test_full_pipe_holds_nobody_up_and_lost_lines_are_counted_once() -> None:
    reader, writer = os.pipe()
    try:
        with serve_application("hello", stdout=writer) as server, server.connect() as client:
            for _ in range(600):
                assert get(client, LONG) == b"hello"
            server.signal(signal.SIGTERM)
            assert server.wait() == -signal.SIGTERM
            (warning,) = (line for line in server.errors() if line.startswith("WARNING"))
            assert warning.endswith(
                " access log lines were dropped: standard output was not read fast enough."
            )
            assert 0 < int(warning.split()[1]) <= 600
    finally:
        os.close(reader)
        os.close(writer)
