# SPDX-License-Identifier: MIT
"""Clients that vanish without a word: the kernel finds out, as --tcp-user-timeout and --tcp-keepalive say."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

import cuvee
from tests.conftest import Serve
from tests.server import applications
from tests.support.asgi import WAIT, Notes, Receive, Scope, Send, hello, respond
from tests.support.raw import RawClient
from tests.support.server import LOOPS, RunningServer
from tests.support.server_process import get, serve_application

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these options are Linux's")

USER_TIMEOUT = (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", 0))
KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
PROBES = tuple(
    (socket.IPPROTO_TCP, getattr(socket, name, 0))
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
)
TCP_REPAIR = 19
DISCONNECT = {"type": "http.disconnect"}


def options_of(sock: socket.socket) -> tuple[int, ...]:
    """Return the user timeout in milliseconds, and whether, when, how often and how many probes are sent."""
    return tuple(sock.getsockopt(*option) for option in (USER_TIMEOUT, KEEPALIVE, *PROBES))


def connect(server: RunningServer, rcvbuf: int | None = None) -> RawClient:
    """Connect once the server listens itself: before that, the test's socket does."""
    with server.connect() as first:
        assert first.ask("/hello").status == 200
    return server.connect(rcvbuf=rcvbuf)


def server_side(client: RawClient) -> socket.socket:
    """Return the other end of a connection within this process, as a socket of our own."""
    name = client.sock.getsockname()
    for path in Path("/proc/self/fd").iterdir():
        if path.is_socket():
            try:
                found = socket.socket(fileno=os.dup(int(path.name)))
            except OSError:  # another thread has closed it
                continue
            if peer_of(found) == name:
                return found
            found.close()
    raise AssertionError("the connection is not in this process")


def peer_of(sock: socket.socket) -> object:
    """Return whom a socket is connected to, or None."""
    try:
        return sock.getpeername()
    except OSError:
        return None


SETTINGS = pytest.mark.parametrize(
    ("user_timeout", "keepalive", "expected"),
    [
        (0.5, 0, (500, 0)),
        (0.0001, 0, (1, 0)),
        (2147483, 0, (2147483000, 0)),
        (0, 1, (0, 1, 1, 1, 3)),
        (30, 60, (30000, 1, 60, 20, 3)),
        (0, 32767, (0, 1, 32767, 10922, 3)),
    ],
)


@pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)
@SETTINGS
def test_a_connection_has_what_was_asked_for(
    serve: Serve, user_timeout: float, keepalive: int, expected: tuple[int, ...]
) -> None:
    """Though it was set once, where the server listens."""
    options = {"tcp_user_timeout": user_timeout, "tcp_keepalive": keepalive}
    with serve(hello, **options) as server, connect(server) as client:
        client.assert_open()
        with server_side(client) as own:
            assert options_of(own)[: len(expected)] == expected


def test_nothing_is_set_by_default(serve: Serve) -> None:
    with serve(hello) as server, connect(server) as client, socket.socket() as untouched:
        client.assert_open()
        with server_side(client) as own:
            assert options_of(own) == options_of(untouched)


def test_a_socket_by_number_is_set_too() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        fd = listener.fileno()
        options = ("--fd", str(fd), "--tcp-user-timeout", "1.5", "--tcp-keepalive", "30")
        with serve_application("hello", *options, pass_fds=(fd,)) as server:
            server.stderr.expect("Cuvee running on socket")
            assert options_of(listener) == (1500, 1, 30, 10, 3)
            with socket.create_connection(listener.getsockname(), WAIT) as client:
                assert get(client) == b"hello"


def test_a_unix_socket_is_left_alone(serve: Serve) -> None:
    with serve(hello, bind="unix", tcp_user_timeout=1, tcp_keepalive=1) as server:
        with server.connect() as client:
            client.assert_open()
            with server_side(client) as own:
                assert own.getsockopt(*KEEPALIVE) == 0


@pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)
def test_a_client_that_takes_nothing_has_vanished(serve: Serve, notes: Notes) -> None:
    """The kernel gives up long before the server would; reading is paused meanwhile, too."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hello":
            return await respond(send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(32 << 20), "more_body": True})
        while (message := await receive())["type"] == "http.request":
            pass
        notes.put(message)

    options = {"tcp_user_timeout": 0.2, "timeout_write": 0, "timeout_body": 0}
    with serve(app, **options) as server, connect(server, rcvbuf=4096) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n" + bytes(1 << 17)
        )
        assert notes.get() == DISCONNECT


def vanish(client: RawClient) -> None:
    """Close the client's socket so that nobody is told; needs a privilege."""
    try:
        client.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError:
        pytest.skip("no privilege to let a connection vanish")
    client.sock.close()


@pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)
def test_a_client_that_says_nothing_is_asked(serve: Serve, notes: Notes) -> None:
    """Without the probe nobody would ever know: nothing is sent in either direction."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hello":
            return await respond(send)
        assert (await receive())["type"] == "http.request"
        notes.put("in")
        notes.put(await receive())

    with serve(app, tcp_keepalive=1) as server, connect(server) as client:
        client.get()
        assert notes.get() == "in"
        vanish(client)
        assert notes.get() == DISCONNECT


# ---- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tcp_keepalive": -1}, "tcp_keepalive must be a whole number between 0 and 32767, not -1"),
        (
            {"tcp_keepalive": 0.5},
            "tcp_keepalive must be a whole number between 0 and 32767, not 0.5",
        ),
        (
            {"tcp_user_timeout": -1},
            "tcp_user_timeout must be a number of seconds up to 2147483, not -1",
        ),
        (
            {"tcp_user_timeout": 2147484},
            "tcp_user_timeout must be a number of seconds up to 2147483, not 2147484",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        cuvee.Config(applications.hello, **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_other_systems_have_no_user_timeout(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line, and exit code 2."""
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    cuvee.Config(applications.hello, tcp_user_timeout=0)
    with pytest.raises(SystemExit) as caught:
        cuvee.main(["tests.server.applications:hello", "--tcp-user-timeout", "1"])
    assert caught.value.code == 2
    message = "--tcp-user-timeout needs TCP_USER_TIMEOUT, which only Linux has"
    assert capfd.readouterr().err == f"cuvee: error: {message}\n"
