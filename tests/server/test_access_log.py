# SPDX-License-Identifier: MIT
"""Who writes the access log, and what happens to it when nobody reads."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time
from collections.abc import Callable

import pytest

from tests.support.asgi import WAIT
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


# ---- logging that changes while the server runs ---------------------------------------------------


class Asking:
    """Sends numbered requests until something has happened, which takes a second at most."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.numbers = itertools.count()
        self.sent: list[str] = []

    def get(self, target: str) -> int:
        """Send one request; return how many records the application's filter has seen."""
        self.sent.append(target)
        return int(get(self.client, target))

    def for_a_second(self) -> None:
        """Go on for as long as the server may take to look."""
        end = time.monotonic() + 1.1
        while time.monotonic() < end:
            self.get(f"/{next(self.numbers)}")

    def until(self, happened: Callable[[int, int], bool]) -> None:
        """Go on until `happened` is true of two answers that follow each other."""
        end = time.monotonic() + WAIT
        before = self.get(f"/{next(self.numbers)}")
        while not happened(before, after := self.get(f"/{next(self.numbers)}")):
            assert time.monotonic() < end, "the change is not seen"
            before = after


def grows(before: int, after: int) -> bool:
    return after > before


def stays(before: int, after: int) -> bool:
    return after == before


def test_a_filter_at_run_time_sees_records_and_each_line_is_written_once() -> None:
    with serve_application("rewired") as server, server.connect() as client:
        host, port = client.getsockname()
        asking = Asking(client)
        for _ in range(2):
            asking.get("/filter")
            asking.until(grows)
            asking.get("/unfilter")
            asking.until(stays)
        assert server.stop() == 0
        line = 'INFO:     {}:{} - "GET {} HTTP/1.1" 200 OK'
        assert server.output() == [line.format(host, port, target) for target in asking.sent]


def test_a_handler_at_run_time_takes_over() -> None:
    with serve_application("rewired") as server, server.connect() as client:
        host, port = client.getsockname()
        asking = Asking(client)
        asking.get("/handler")
        end = time.monotonic() + WAIT
        while not any("rewired" in line for line in server.stderr.lines):
            assert time.monotonic() < end
            asking.get(f"/{next(asking.numbers)}")
        assert server.stop() == 0
        written = [line.split()[4] for line in server.output()]
        rewired = [line.split() for line in server.errors() if line.startswith("rewired")]
        assert written + [words[4] for words in rewired] == asking.sent
        assert rewired[0][1:] == f'{host}:{port} - "GET {rewired[0][4]} HTTP/1.1" 200'.split()


@pytest.mark.parametrize("name", ["disable", "level"])
def test_a_logger_that_is_turned_off_at_run_time(name: str) -> None:
    back = {"disable": "/enable", "level": "/unlevel"}[name]
    with serve_application("rewired") as server, server.connect() as client:
        asking = Asking(client)
        asking.get(f"/{name}")
        asking.for_a_second()
        asking.get("/quiet")
        asking.get(back)
        asking.for_a_second()
        asking.get("/loud")
        assert server.stop() == 0
        written = [line.split()[4] for line in server.output()]
        assert "/quiet" not in written
        assert "/loud" in written
        once = set(written)
        assert written == [target for target in asking.sent if target in once]


def test_another_standard_output_at_run_time_loses_no_line() -> None:
    """The handler writes to what it was made with, as in uvicorn."""
    with serve_application("rewired") as server, server.connect() as client:
        asking = Asking(client)
        asking.get("/stdout")
        asking.get("/filter")
        asking.until(grows)
        asking.get("/unstdout")
        asking.get("/unfilter")
        asking.until(stays)
        assert server.stop() == 0
        assert [line.split()[4] for line in server.output()] == asking.sent


def test_an_access_log_that_was_off_can_be_turned_on() -> None:
    with serve_application("rewired", "--no-access-log") as server, server.connect() as client:
        asking = Asking(client)
        asking.get("/handler")
        end = time.monotonic() + WAIT
        while not any("rewired" in line for line in server.stderr.lines):
            assert time.monotonic() < end
            asking.get(f"/{next(asking.numbers)}")
        assert server.stop() == 0
        assert server.output() == []
