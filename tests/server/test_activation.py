# SPDX-License-Identifier: MIT
"""Sockets that are handed over, restarts under load, and exits when nothing is to do: nobody is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.activator import Activator, hand_over
from tests.support.asgi import WAIT
from tests.support.ports import free_port
from tests.support.server_process import APPLICATIONS, Output, ServerProcess, get, read_until

HELLO = ("applications:hello", "--app-dir", str(APPLICATIONS))
QUIET = ("--no-access-log", "--log-level", "warning")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens, as a socket unit has one."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        yield listening


class Activated(ServerProcess):
    """A server that gets sockets as from systemd."""

    def __init__(self, sockets: list[socket.socket], *arguments: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [*hand_over(sockets), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
            pass_fds=[one.fileno() for one in sockets],
        )
        assert self.process.stderr is not None and self.process.stdout is not None
        self.stderr = Output(self.process.stderr)
        self.stdout = Output(self.process.stdout)


def test_sockets_that_are_handed_over_are_listened_on(
    listener: socket.socket, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as second:
        path = str(tmp_path / "socket")
        second.bind(path)
        second.listen()
        with Activated([listener, second], *HELLO) as server:
            for one in (listener, second):
                server.stderr.expect(f"Cuvee running on socket {one.getsockname()}")
                with socket.socket(one.family) as client:
                    client.settimeout(WAIT)
                    client.connect(one.getsockname())
                    assert get(client) == b"hello"
            assert server.stop() == 0
        assert os.path.exists(path)  # it is not the server's


ENVIRONMENT_APP = """
import os
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = " ".join(name for name in os.environ if name.startswith("LISTEN_")).encode()
    passed = sum(os.get_inheritable(int(fd)) for fd in os.listdir("/proc/self/fd")
                 if int(fd) > 2 and os.path.exists(f"/proc/self/fd/{fd}"))
    body += b"%d" % passed
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


def test_children_get_neither_variables_nor_sockets(
    listener: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "seen.py").write_text(ENVIRONMENT_APP)
    arguments = ("seen:app", "--app-dir", str(tmp_path))
    # The socket's number in the parent, which the activator leaves open, is one of ours.
    with Activated([listener], *arguments, LISTEN_FDNAMES="web") as server:
        server.stderr.expect("Cuvee running on socket")
        with socket.create_connection(listener.getsockname(), WAIT) as client:
            own = int(listener.fileno() != 3)
            assert get(client) == b"%d" % own
        assert server.stop() == 0


def test_variables_for_another_process_are_none_of_ours(listener: socket.socket) -> None:
    variables = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    with ServerProcess(*HELLO, "--port", "0", env=variables) as server, server.connect() as client:
        assert get(client) == b"hello"
        assert server.stop() == 0


def test_sockets_that_are_asked_for_by_number_are_the_same(listener: socket.socket) -> None:
    for option in (("--fd", "3"), ("--bind", "fd://3")):
        with Activated([listener], *HELLO, *option) as server:
            server.stderr.expect(f"Cuvee running on socket {listener.getsockname()}")
            with socket.create_connection(listener.getsockname(), WAIT) as client:
                assert get(client) == b"hello"
            assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("--port", "0"), "port"),
        (("--host", "::1"), "host"),
        (("--uds", "socket"), "uds"),
        (("--fd", "0"), "fd"),
        (("--bind", ":0"), "bind"),
    ],
)
def test_another_place_beside_them_is_one_line_and_exit_code_2(
    listener: socket.socket, arguments: tuple[str, str], name: str
) -> None:
    with Activated([listener], *HELLO, *arguments) as server:
        assert server.wait() == 2
        assert server.errors() == [
            f"ERROR:    {name} asks for another place than the 1 socket(s) that systemd hands over "
            "(LISTEN_FDS): leave one of them out"
        ]


def test_what_is_no_stream_socket_is_one_line_and_exit_code_3() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        Activated([datagrams], *HELLO) as server,
    ):
        assert server.wait() == 3
        assert server.errors() == [
            "ERROR:    [Errno 91] error while attempting to use file descriptor 3: not a stream "
            "socket"
        ]


def test_a_connection_is_one_line_and_exit_code_3(listener: socket.socket) -> None:
    with (
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
        Activated([connection], *HELLO) as server,
    ):
        assert server.wait() == 3
        assert server.errors() == [
            "ERROR:    [Errno 22] descriptor 3 is a connection, not a socket to listen on: the "
            "unit must not say Accept=yes"
        ]


def test_a_descriptor_that_is_none_is_one_line_and_exit_code_3() -> None:
    code = (
        "import os, sys; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='9'); "
        "os.execv(sys.executable, [sys.executable, '-m', 'cuvee', *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *HELLO], capture_output=True, text=True, timeout=WAIT
    )
    assert done.returncode == 3
    assert done.stderr == (
        "ERROR:    [Errno 9] error while attempting to use file descriptor 3: bad file descriptor\n"
    )


def test_number_of_sockets_that_is_none_is_one_line_and_exit_code_2() -> None:
    code = (
        "import os, sys; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='some'); "
        "os.execv(sys.executable, [sys.executable, '-m', 'cuvee', *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *HELLO], capture_output=True, text=True, timeout=WAIT
    )
    assert done.returncode == 2
    assert done.stderr == "ERROR:    LISTEN_FDS must be the number of sockets, not 'some'\n"


# ---- restarts ------------------------------------------------------------------------------------


class Load(threading.Thread):
    """A client that never rests: connections with one request, and with several.

    What fails when a connection may have been idle for a second does not count: it may have been
    closed by then.
    """

    def __init__(self, address: tuple[str, int], seed: int) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.pauses = random.Random(seed)
        self.answers = 0
        self.failures: list[str] = []
        self.idle = 0.0
        self.over = False

    def run(self) -> None:
        """Work."""
        while not self.over:
            self.idle = 0.0
            try:
                self._converse()
            except (OSError, AssertionError) as exc:
                if self.idle < 0.9:
                    self.failures.append(repr(exc))

    def _converse(self) -> None:
        sent = time.monotonic()
        with socket.create_connection(self.address, 60) as client:
            for _ in range(self.pauses.randrange(1, 8)):
                before, sent = sent, time.monotonic()
                client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                self.idle = time.monotonic() - before
                answer = read_until(client, b"hello")
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                self.answers += 1
                if b"\r\nconnection: close\r\n" in answer:
                    return
                time.sleep(self.pauses.random() / 100)


def restart_under_load(listener: socket.socket, count: int) -> list[Load]:
    """Stop and start a server on `listener` so often, while clients go on."""
    number = listener.fileno()
    clients = [Load(listener.getsockname(), seed) for seed in range(4)]
    for client in clients:
        client.start()
    arguments = (*HELLO, "--fd", str(number), "--no-access-log")
    for _ in range(count):
        answers = [client.answers for client in clients]
        with ServerProcess(*arguments, pass_fds=(number,)) as server:
            server.stderr.expect("Cuvee running on socket")
            while any(c.answers == before for c, before in zip(clients, answers, strict=True)):
                assert server.process.poll() is None
                time.sleep(0.002)
            server.signal(signal.SIGTERM)
            assert server.wait() == -signal.SIGTERM
    for client in clients:
        client.over = True
    with ServerProcess(*arguments, pass_fds=(number,)) as server:
        for client in clients:
            client.join(WAIT)
        assert server.stop() == 0
    return clients


def test_restarts_on_a_handed_over_socket_fail_nobody(listener: socket.socket) -> None:
    clients = restart_under_load(listener, 5)
    assert [client.failures for client in clients] == [[]] * len(clients)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_1000_restarts_on_a_handed_over_socket_fail_nobody(listener: socket.socket) -> None:
    clients = restart_under_load(listener, 1000)
    assert [client.failures for client in clients] == [[]] * len(clients)
    assert sum(client.answers for client in clients) >= 4000


# ---- activation and --idle-exit ------------------------------------------------------------------


def visit(address: tuple[str, int]) -> bytes:
    """Come with a request, and return the answer's body."""
    with socket.create_connection(address, 60) as client:
        return get(client)


def activate(listener: socket.socket, cycles: int) -> Activator:
    """Visit a service that leaves when nothing is to do, mostly at about that moment."""
    pauses = random.Random(cycles)
    arguments = (*HELLO, *QUIET, "--idle-exit", "0.02")
    with Activator(listener, *arguments) as activator:
        while len(activator.exits) < cycles:
            assert visit(listener.getsockname()) == b"hello"
            time.sleep(0.015 + pauses.random() / 50)
    return activator


def test_no_connection_is_lost_between_two_instances(listener: socket.socket) -> None:
    activator = activate(listener, 10)
    assert set(activator.exits) == {0}, activator.errors


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_no_connection_is_lost_between_1000_instances(listener: socket.socket) -> None:
    activator = activate(listener, 1000)
    assert set(activator.exits) == {0}, activator.errors


def activate_by_systemd(cycles: int) -> None:
    """Let systemd-socket-activate listen: it becomes the server when somebody comes."""
    tool = shutil.which("systemd-socket-activate")
    if tool is None:
        pytest.skip("systemd-socket-activate is not installed (package systemd)")
    arguments = (sys.executable, "-m", "cuvee", *HELLO, *QUIET, "--idle-exit", "0.02")
    for _ in range(cycles):
        port = free_port()
        process = subprocess.Popen(
            [tool, "-l", f"127.0.0.1:{port}", *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        with process, process.stderr:
            errors = Output(process.stderr)
            errors.expect("Listening on")
            clients = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(3)]
            for client in clients:
                with client:
                    assert get(client) == b"hello"
            assert process.wait(WAIT) == 0, errors.lines


def test_systemd_starts_the_server() -> None:
    activate_by_systemd(2)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_systemd_starts_the_server_1000_times() -> None:
    activate_by_systemd(1000)
