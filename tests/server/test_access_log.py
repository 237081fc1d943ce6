# SPDX-License-Identifier: MIT
"""Who writes the access log, and what happens to it when nobody reads."""

from __future__ import annotations

import os
import signal

from tests.support.server_process import get, read_answer, serve_application

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


FORWARDED = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n"


def test_the_client_is_the_one_that_trusted_proxies_tell_of() -> None:
    for application in "hello", "reformatted":
        with serve_application(application) as server, server.connect() as client:
            host, port = client.getsockname()
            for value in b"1.2.3.4", b"[2001:db8::1]:80", b"junk":
                client.sendall(FORWARDED % value)
                read_answer(client)
            assert server.stop() == 0
            clients = [line.split(" - ")[0].split()[-1] for line in server.output()]
            assert clients == ["1.2.3.4:0", "2001:db8::1:80", f"{host}:{port}"]


def test_the_client_is_the_one_of_the_preamble() -> None:
    with serve_application("hello", "--proxy-protocol") as server, server.connect() as client:
        client.sendall(b"PROXY TCP4 1.2.3.4 127.0.0.1 567 80\r\n")
        get(client, "/")
        client.sendall(FORWARDED % b"9.9.9.9")
        read_answer(client)
        assert server.stop() == 0
        assert server.output() == ['INFO:     1.2.3.4:567 - "GET / HTTP/1.1" 200 OK'] * 2


def test_what_is_not_trusted_is_not_shown() -> None:
    for options in ("--no-proxy-headers",), ("--forwarded-allow-ips", "10.0.0.1"):
        with serve_application("hello", *options) as server, server.connect() as client:
            host, port = client.getsockname()
            client.sendall(FORWARDED % b"1.2.3.4")
            read_answer(client)
            assert server.stop() == 0
            assert server.output() == [f'INFO:     {host}:{port} - "GET / HTTP/1.1" 200 OK']
