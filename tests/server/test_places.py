# SPDX-License-Identifier: MIT
"""--bind in all its forms, and who may use a Unix socket."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

import cuvee
from cuvee.places import Descriptor, Place, Tcp, Unix, parse_place
from cuvee.sockets import bind_places, close_all
from tests.support.asgi import WAIT
from tests.support.server_process import APPLICATIONS, ServerProcess, get
from tests.support.unprivileged import AS_NOBODY, NOBODY, needs_root, open_to_all, prefix

ARGUMENTS = ("applications:hello", "--app-dir", str(APPLICATIONS))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:80", Tcp("127.0.0.1", 80)),
        ("localhost:0", Tcp("localhost", 0)),
        (":8000", Tcp("", 8000)),
        ("[::1]:8000", Tcp("::1", 8000)),
        ("[::]:65535", Tcp("::", 65535)),
        ("unix:/run/app.sock", Unix("/run/app.sock")),
        ("unix:app.sock", Unix("app.sock")),
        ("unix:@app", Unix("\0app")),
        ("fd://0", Descriptor(0)),
        ("fd://17", Descriptor(17)),
    ],
)
def test_forms_of_a_place(text: str, place: Place) -> None:
    assert parse_place(text) == place


WRONG = (
    "",
    "localhost",
    "8000",
    "127.0.0.1:",
    "127.0.0.1:http",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "::1:8000",
    "[::1]",
    "[127.0.0.1]:80",
    "[::1:80",
    "http://127.0.0.1:80",
    "unix:",
    "unix:@",
    "unix:a\0b",
    "fd://",
    "fd://x",
    "fd://-1",
    "fd://99999999999",
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^bind must be HOST:PORT, \[IPV6\]:PORT, :PORT, unix:"):
        cuvee.Config("applications:hello", bind=[text], log_config=None)


def test_what_is_no_place_is_one_line_and_exit_code_2() -> None:
    with ServerProcess(*ARGUMENTS, "--bind", "8000") as server:
        assert server.wait() == 2
        assert server.errors() == [
            "cuvee: error: --bind must be HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, unix:@NAME or "
            "fd://NUMBER, not '8000'"
        ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bind": ":0", "host": "::1"}, "host cannot stand beside bind"),
        ({"bind": ":0", "port": 1}, "port cannot stand beside bind"),
        ({"bind": ":0", "uds": "x"}, "uds cannot stand beside bind"),
        ({"bind": ":0", "fd": 3}, "fd cannot stand beside bind"),
        ({"uds_permissions": 0o600}, "uds_permissions needs a Unix socket's file"),
        ({"uds_owner": "0", "bind": "unix:@x"}, "uds_owner needs a Unix socket's file"),
        ({"uds_permissions": "888", "uds": "x"}, "uds_permissions must be octal digits"),
        ({"uds_permissions": 0o1000, "uds": "x"}, "uds_permissions must be octal digits"),
        ({"uds_owner": "no-such-user", "uds": "x"}, "uds_owner must be USER, USER:GROUP"),
        ({"uds_owner": "root:no-such-group", "uds": "x"}, "uds_owner must be USER, USER:GROUP"),
        ({"uds_owner": ":", "uds": "x"}, "uds_owner must be USER, USER:GROUP"),
        ({"uds_owner": "", "uds": "x"}, "uds_owner must be USER, USER:GROUP"),
    ],
)
def test_contradictions_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cuvee.Config("applications:hello", log_config=None, **options)  # type: ignore[arg-type]


def test_several_places_have_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        places = ("127.0.0.1:0", f"unix:{path}", f"fd://{number}")
        arguments = [word for place in places for word in ("--bind", place)]
        with ServerProcess(*ARGUMENTS, *arguments, pass_fds=(number,)) as server:
            port = server.wait_until_running()
            server.stderr.expect(f"Cuvee running on unix socket {path} (Press CTRL+C to quit)")
            server.stderr.expect(f"Cuvee running on socket {listener.getsockname()}")
            for address in (("127.0.0.1", port), str(path), listener.getsockname()):
                with connect(address) as client:
                    assert get(client) == b"hello"
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            assert server.stop() == 0
    assert not path.exists()


def connect(address: str | bytes | tuple[str, int]) -> socket.socket:
    """Connect over TCP or to a Unix socket."""
    client = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    client.settimeout(WAIT)
    client.connect(address)
    return client


def test_a_place_that_cannot_be_had_closes_the_others(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        ServerProcess(
            *ARGUMENTS,
            "--bind",
            f"unix:{path}",
            "--bind",
            f"127.0.0.1:{taken.getsockname()[1]}",
        ) as server,
    ):
        assert server.wait() == 3
        assert sum("address already in use" in line for line in server.errors()) == 1
    assert not path.exists()


def test_every_interface_is_ipv4_and_ipv6() -> None:
    """As uvicorn's --host '' does; :: alone is IPv6 only there, and here."""
    for bind, families in (
        (":0", {socket.AF_INET, socket.AF_INET6}),
        ("[::]:0", {socket.AF_INET6}),
        ("0.0.0.0:0", {socket.AF_INET}),
    ):
        bound = bind_places(cuvee.Config("applications:hello", bind=bind, log_config=None))
        listeners = bound[0].sockets
        close_all(bound)
        assert {listener.family for listener in listeners} == families


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_an_abstract_name_is_no_file(tmp_path: Path) -> None:
    name = f"cuvee-test-{os.getpid()}"
    with ServerProcess(*ARGUMENTS, "--bind", f"unix:@{name}", cwd=tmp_path) as server:
        server.stderr.expect(f"Cuvee running on unix socket @{name} (Press CTRL+C to quit)")
        with connect(b"\0" + name.encode()) as client:
            assert get(client) == b"hello"
        assert list(tmp_path.iterdir()) == []
        assert server.stop() == 0


@pytest.mark.parametrize("exists", [False, True])
def test_permissions_are_those_that_were_asked_for(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "socket"
    if exists:
        with socket.socket(socket.AF_UNIX) as former:
            former.bind(str(path))
        path.chmod(0o622)
    arguments = ("--uds", str(path), "--uds-permissions", "640")
    with ServerProcess(*ARGUMENTS, *arguments) as server:
        server.stderr.expect("Cuvee running on unix socket")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert server.stop() == 0


@needs_root
@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (f"{NOBODY}", (NOBODY, os.getegid())),
        (f"{NOBODY}:{NOBODY}", (NOBODY, NOBODY)),
        (f":{NOBODY}", (os.geteuid(), NOBODY)),
    ],
)
def test_owner_is_who_was_asked_for(tmp_path: Path, owner: str, expected: tuple[int, int]) -> None:
    path = tmp_path / "socket"
    arguments = ("--bind", f"unix:{path}", "--uds-owner", owner)
    with ServerProcess(*ARGUMENTS, *arguments) as server:
        server.stderr.expect("Cuvee running on unix socket")
        found = path.stat()
        assert (found.st_uid, found.st_gid) == expected
        assert server.stop() == 0


@needs_root
def test_who_may_not_give_a_socket_away_is_told(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    tmp_path.chmod(0o777)
    (tmp_path / "parking").mkdir()
    words = (*prefix(tmp_path / "parking"), *AS_NOBODY)
    path = tmp_path / "socket"
    arguments = ("--uds", str(path), "--uds-owner", "root")
    with ServerProcess(*ARGUMENTS, *arguments, prefix=words) as server:
        assert server.wait() == 3
        server.stderr.expect(
            f"ERROR:    [Errno 1] error while attempting to give unix socket {str(path)!r} to "
            "root: operation not permitted"
        )
    assert not path.exists()
