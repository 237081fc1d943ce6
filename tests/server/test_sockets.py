# SPDX-License-Identifier: MIT
"""Where a server listens: ports, paths, inherited descriptors, and what goes wrong there."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import cuvee
from cuvee import sockets
from tests.support.asgi import WAIT
from tests.support.server_process import get, serve_application


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_port_in_use_is_one_error_line_and_exit_code_3(taken: int) -> None:
    with serve_application("hello", "--port", str(taken)) as server:
        assert server.wait() == 3
        assert server.errors()[1:] == [
            "INFO:     Waiting for application startup.",
            "INFO:     Application startup complete.",
            "ERROR:    [Errno 98] error while attempting to bind on address "
            f"('127.0.0.1', {taken}): address already in use",
            "INFO:     Waiting for application shutdown.",
            "INFO:     Application shutdown complete.",
        ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--host", "no-such-host.invalid"),
            "error while attempting to look up host 'no-such-host.invalid': ",
        ),
        (("--host", "a..b"), "error while attempting to look up host 'a..b': "),
        (("--host", "192.0.2.1"), "error while attempting to bind on address ('192.0.2.1', "),
        (("--uds", "/no/such/folder/socket"), "unix socket '/no/such/folder/socket': no such file"),
        (("--uds", "/" + "x" * 200), "af_unix path too long"),
        (("--uds", __file__), "a file that is not a socket is there"),
        (("--fd", "97"), "error while attempting to use file descriptor 97: bad file descriptor"),
        (("--fd", "0"), "error while attempting to use file descriptor 0: "),
    ],
)
def test_what_cannot_be_opened_is_one_error_line_and_exit_code_3(
    arguments: tuple[str, str], message: str
) -> None:
    with serve_application("hello", *arguments) as server:
        assert server.wait() == 3
        lines = server.errors()
        (line,) = (line for line in lines if line.startswith("ERROR:"))
        assert message in line.replace("AF_UNIX", "af_unix")
        assert not any("Traceback" in line for line in lines)
        assert lines[-1] == "INFO:     Application shutdown complete."


def connect(path: Path) -> socket.socket:
    """Connect to a Unix socket."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(WAIT)
    client.connect(str(path))
    return client


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_unix_socket_is_open_to_all_and_unlinked_at_the_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "socket"
    with serve_application("hello", "--uds", str(path)) as server:
        line = server.stderr.expect("Cuvee running on unix socket")
        assert line == f"INFO:     Cuvee running on unix socket {path} (Press CTRL+C to quit)"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with connect(path) as client:
            assert get(client) == b"hello"
        server.signal(number)
        server.wait()
        assert not path.exists()


def test_stale_unix_socket_is_replaced_and_its_mode_kept(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    path.chmod(0o600)
    with serve_application("hello", "--uds", str(path)) as server:
        server.stderr.expect("Cuvee running on unix socket")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with connect(path) as client:
            assert get(client) == b"hello"


def test_unix_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serve_application("hello", "--uds", str(path)) as first:
        first.stderr.expect("Cuvee running on unix socket")
        with serve_application("hello", "--uds", str(path)) as second:
            second.stderr.expect("Cuvee running on unix socket")
            assert first.stop() == 0
            with connect(path) as client:
                assert get(client) == b"hello"


def _inet() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def _inet6() -> socket.socket:
    listener = socket.socket(socket.AF_INET6)
    try:
        listener.bind(("::1", 0))
    except OSError:
        listener.close()
        pytest.skip("this machine has no ::1")
    return listener


@pytest.mark.parametrize("kind", ["inet", "inet6", "unix"])
def test_descriptor_may_be_of_any_family(kind: str, tmp_path: Path) -> None:
    if kind == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "socket"))
    else:
        listener = _inet() if kind == "inet" else _inet6()
    with listener:
        fd = listener.fileno()
        address = listener.getsockname()
        with serve_application("hello", "--fd", str(fd), pass_fds=(fd,)) as server:
            line = server.stderr.expect("Cuvee running on socket")
            assert line == f"INFO:     Cuvee running on socket {address} (Press CTRL+C to quit)"
            with socket.socket(listener.family) as client:
                client.settimeout(WAIT)
                client.connect(address)
                assert get(client) == b"hello"
            assert server.stop() == 0


def test_descriptor_of_a_datagram_socket_is_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        fd = datagrams.fileno()
        with serve_application("hello", "--fd", str(fd), pass_fds=(fd,)) as server:
            assert server.wait() == 3
            assert any("not a stream socket" in line for line in server.errors())


def test_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))

    with serve_application("hello", preexec=lower) as server:
        server.wait_until_running()
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()
        (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
        assert line.split()[3:5] == [str(hard), str(hard)]


def test_listening_sockets_are_closed_on_exec() -> None:
    (listener,) = sockets.bind_tcp([(socket.AF_INET, ("127.0.0.1", 0))])
    with listener:
        assert not listener.get_inheritable()


def test_port_0_is_the_same_port_for_all_addresses() -> None:
    bound = sockets.bind_tcp(
        [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET, ("127.0.0.2", 0))]
    )
    ports = {listener.getsockname()[1] for listener in bound}
    for listener in bound:
        listener.close()
    assert len(ports) == 1


def test_an_address_that_this_machine_lacks_is_skipped_if_another_works() -> None:
    addresses: list[sockets.Address] = [
        (socket.AF_INET, ("192.0.2.1", 0)),
        (socket.AF_INET, ("127.0.0.1", 0)),
    ]
    (listener,) = sockets.bind_tcp(addresses)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    with pytest.raises(OSError, match=r"bind on address \('192\.0\.2\.1', 0\)"):
        sockets.bind_tcp(addresses[:1])


def test_failed_binding_leaves_nothing_open(taken: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="address already in use"):
        sockets.bind_tcp(
            [(socket.AF_INET, ("127.0.0.2", taken)), (socket.AF_INET, ("127.0.0.1", taken))]
        )
    assert len(os.listdir("/proc/self/fd")) == before


def test_bind_socket_is_inheritable_and_does_not_listen(caplog: pytest.LogCaptureFixture) -> None:
    config = cuvee.Config("applications:hello", port=0, log_config=None)
    with config.bind_socket() as bound:
        assert bound.get_inheritable()
        assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_bind_socket_fails_with_exit_code_3(taken: int) -> None:
    config = cuvee.Config("applications:hello", port=taken, log_config=None)
    with pytest.raises(SystemExit) as caught:
        config.bind_socket()
    assert caught.value.code == 3


def test_a_number_that_a_transport_has_lost_is_of_use_again() -> None:
    """An application's mistake with one descriptor costs no client its connection."""
    with serve_application("careless", "--no-access-log") as server:
        server.wait_until_running()
        with server.connect() as first:
            number = int(get(first))
            with server.connect() as second:
                assert get(second).isdigit()
                there = os.readlink(f"/proc/{server.process.pid}/fd/{number}")
                assert there.startswith("socket:")
