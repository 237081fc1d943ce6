# SPDX-License-Identifier: MIT
"""Starts, stops and failures: lines, exit codes and signals are uvicorn's, or are listed here."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.beside_uvicorn.both import NAMES, comparable, running
from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess, get


class End(NamedTuple):
    """How a server ended."""

    code: int
    out: list[str]
    err: list[str]


def end(server: ServerProcess) -> End:
    """Wait for the end of a server."""
    code = server.wait()
    return End(code, comparable(server.output()), comparable(server.errors()))


def both(
    *arguments: str,
    target: str = "applications:app",
    act: Callable[[ServerProcess], object] | None = None,
    **variables: str,
) -> tuple[End, End]:
    """Run both servers to their ends; `act` brings that about."""
    ends = []
    for name in NAMES:
        with running(name, *arguments, target=target, env=variables) as server:
            if act is not None:
                act(server)
            ends.append(end(server))
    return ends[0], ends[1]


def asked_and_sent(*signals: int) -> Callable[[ServerProcess], None]:
    """Ask once, then send signals."""

    def act(server: ServerProcess) -> None:
        with server.connect() as client:
            get(client, "/context")
        for number in signals:
            server.signal(number)

    return act


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_looks_the_same(number: int) -> None:
    theirs, ours = both(act=asked_and_sent(number))
    assert ours == theirs
    assert ours.code == (0 if number == signal.SIGINT else -number)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--log-level", "warning"),
        ("--log-level", "debug"),
        ("--log-level", "error"),
        ("--no-access-log",),
        ("--use-colors",),
        ("--no-use-colors",),
        ("--lifespan", "off"),
        ("--lifespan", "on"),
        ("--root-path", "/api"),
        ("--no-server-header", "--no-date-header"),
        ("--timeout-keep-alive", "1", "--backlog", "5", "--limit-concurrency", "10"),
        ("--timeout-graceful-shutdown", "1"),
        ("--header", "X-One: 1", "--header", "Server:other", "--no-date-header"),
        ("--reset-contextvars",),
        ("--interface", "asgi3"),
        ("--limit-max-requests", "2", "--limit-max-requests-jitter", "0"),
    ],
    ids=" ".join,
)
def test_an_option_shows_the_same(arguments: tuple[str, ...]) -> None:
    def act(server: ServerProcess) -> None:
        if "--log-level" in arguments and "debug" not in arguments:
            server.wait()  # there is no line to wait for: it is ended by its port being taken
        else:
            asked_and_sent(signal.SIGINT)(server)

    if "--log-level" in arguments and "debug" not in arguments:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            theirs, ours = both(*arguments, "--port", port, act=act)
            assert ours.code == theirs.code == 3
            assert len(ours.err) == len(theirs.err) == 1
        return
    theirs, ours = both(*arguments, act=act)
    assert ours == theirs


@pytest.mark.parametrize(
    "target",
    [
        "applications",
        ":app",
        "nowhere:app",
        "applications:nowhere",
        "applications:app.nowhere",
        "applications:fails_at_startup",
    ],
)
def test_a_failure_to_start_looks_the_same(target: str) -> None:
    theirs, ours = both(target=target)
    assert ours == theirs
    assert ours.code == 3


@pytest.mark.parametrize(
    "target",
    ["fails_at_call", "fails_in_start", "fails_at_shutdown", "fails_in_stop", "no_lifespan"],
)
@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_failing_lifespan_looks_the_same(target: str, mode: str) -> None:
    fails = mode == "on" and target in ("fails_at_call", "fails_in_start", "no_lifespan")
    act = None if fails else asked_and_sent(signal.SIGINT)
    theirs, ours = both("--lifespan", mode, target=f"applications:{target}", act=act)
    assert ours == theirs
    assert ours.code == (3 if fails else 0)


@pytest.mark.parametrize("arguments", [(), ("--factory",)])
def test_a_factory_looks_the_same(arguments: tuple[str, ...]) -> None:
    act = asked_and_sent(signal.SIGINT)
    theirs, ours = both(*arguments, target="applications:factory", act=act)
    assert ours == theirs


def test_a_port_that_is_taken_ends_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        theirs, ours = both("--port", str(taken.getsockname()[1]))
    assert ours.code == theirs.code == 3
    assert [line for line in ours.err if not line.startswith("ERROR")] == [
        line for line in theirs.err if not line.startswith("ERROR")
    ]
    (our_line,) = (line for line in ours.err if line.startswith("ERROR"))
    (their_line,) = (line for line in theirs.err if line.startswith("ERROR"))
    assert "address already in use" in our_line
    assert "address already in use" in their_line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UVICORN_ROOT_PATH", "/api"),
        ("UVICORN_LOG_LEVEL", "debug"),
        ("UVICORN_ACCESS_LOG", "0"),
        ("UVICORN_LIFESPAN", "off"),
        ("UVICORN_USE_COLORS", "1"),
    ],
)
def test_a_variable_shows_the_same(variable: str, value: str) -> None:
    act = asked_and_sent(signal.SIGINT)
    theirs, ours = both(act=act, **{variable: value})
    assert ours == theirs


@pytest.mark.parametrize("source", ["option", "variable"])
def test_enough_requests_end_both(source: str) -> None:
    arguments = ("--limit-max-requests", "3") if source == "option" else ()
    variables = {} if source == "option" else {"UVICORN_LIMIT_MAX_REQUESTS": "3"}

    def act(server: ServerProcess) -> None:
        with server.connect() as client:
            for _ in range(3):
                get(client, "/context")

    theirs, ours = both(*arguments, act=act, **variables)
    assert ours == theirs
    assert ours.code == 0
    assert any("Maximum request limit of 3 exceeded." in line for line in ours.err)


def test_a_request_under_way_is_awaited_alike() -> None:
    def act(server: ServerProcess) -> None:
        with server.connect() as client:
            client.sendall(
                b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
            )
            assert client.recv(100).startswith(b"HTTP/1.1 100 ")
            server.signal(signal.SIGTERM)
            server.stderr.expect("Waiting for connections to close")
            client.sendall(b"body")
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")

    theirs, ours = both(act=act)
    assert ours == theirs
    assert ours.code == -signal.SIGTERM


def test_a_unix_socket_looks_the_same(tmp_path: Path) -> None:
    ends = []
    for name in NAMES:
        path = tmp_path / "socket"
        with running(name, "--uds", str(path)) as server:
            server.stderr.expect("running on unix socket")
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(WAIT)
                client.connect(str(path))
                body = get(client, "/echo")
            server.signal(signal.SIGINT)
            ends.append((body, end(server)))
        assert not path.exists()
    theirs, ours = ends
    assert ours == theirs
