# SPDX-License-Identifier: MIT
"""Log files that are renamed under the server, and log lines to syslog."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cuvee.log_file import check_log_file
from cuvee.log_syslog import SyslogHandler, find_syslog
from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess, get, serve_application


class Load:
    """A client that sends numbered requests, from a thread, until it is told to stop."""

    def __init__(self, client: socket.socket) -> None:
        self.count = 0
        self._client = client
        self._stop = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop:
            get(self._client, f"/{self.count}")
            self.count += 1

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join(WAIT)


def wait_for_file(path: Path) -> None:
    """Return when `path` is there."""
    end = time.monotonic() + WAIT
    while not path.exists():
        assert time.monotonic() < end, f"{path} is not made"


def rotate(server: ServerProcess, path: Path, number: int) -> Path:
    """Do what logrotate does: rename, and tell the server. Returns the name of the old file."""
    old = path.with_name(f"{path.name}.{number}")
    path.rename(old)
    server.signal(signal.SIGUSR1)
    wait_for_file(path)
    return old


@pytest.mark.parametrize("text", [None, '%(U)s "%(a)s"', "json"])
def test_rotation_under_load_loses_and_splits_no_line(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "access.log"
    options = ["--access-logfile", str(path)]
    if text is not None:
        options += ["--access-log-format", text]
    with serve_application("hello", *options) as server, server.connect() as client:
        with Load(client) as load:
            files = []
            for number in range(20):
                before = load.count
                files.append(rotate(server, path, number))
                end = time.monotonic() + WAIT
                while load.count < before + 20:
                    assert time.monotonic() < end
        assert server.stop() == 0
        assert server.output() == []
    written = []
    for file in [*files, path]:
        content = file.read_text()
        assert content == "" or content.endswith("\n")
        written += content.splitlines()
    shape = {
        None: r'INFO:     127\.0\.0\.1:\d+ - "GET /(\d+) HTTP/1\.1" 200 OK',
        "json": r'\{"time":.*"path":"/(\d+)".*\}',
    }.get(text, r'/(\d+) "-"')
    numbers = []
    for line in written:
        match = re.fullmatch(shape, line)
        assert match is not None, line
        numbers.append(int(match[1]))
    assert numbers == list(range(load.count))


def test_the_servers_lines_are_rotated_too(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    arguments = ("--error-logfile", str(path), "--log-format", "json", "--uds", str(tmp_path / "s"))
    with serve_application("hello", *arguments) as server:
        wait_for_file(tmp_path / "s")
        end = time.monotonic() + WAIT
        while "Cuvee running" not in path.read_text():
            assert time.monotonic() < end
        old = rotate(server, path, 1)
        assert server.stop() == 0
        assert server.errors() == []
        assert server.output() == []
    before = [json.loads(line)["message"] for line in old.read_text().splitlines()]
    after = [json.loads(line)["message"] for line in path.read_text().splitlines()]
    assert before[1:3] == ["Waiting for application startup.", "Application startup complete."]
    assert after[0] == "Shutting down"
    assert after[-1].startswith("Finished server process")


def test_the_old_file_is_used_where_no_new_one_can_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "access.log"
    with serve_application("hello", "--access-logfile", str(path)) as server:
        with server.connect() as client:
            get(client, "/1")
            moved = tmp_path / "moved"
            folder.rename(moved)
            server.signal(signal.SIGUSR1)
            line = server.stderr.expect("can't be opened again")
            assert line == (
                f"ERROR:    Log file {path} can't be opened again, the old one is used: "
                "No such file or directory"
            )
            get(client, "/2")
        assert server.stop() == 0
    assert len((moved / "access.log").read_text().splitlines()) == 2


def test_files_are_appended_to_and_have_no_colours(tmp_path: Path) -> None:
    path = tmp_path / "both.log"
    path.write_text("what was there\n")
    options = ("--access-logfile", str(path), "--error-logfile", str(path))
    with serve_application("hello", *options, "--uds", str(tmp_path / "s")) as server:
        wait_for_file(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as client:
            end = time.monotonic() + WAIT
            while client.connect_ex(str(tmp_path / "s")) != 0:
                assert time.monotonic() < end
            get(client, "/x")
        assert server.stop() == 0
    text = path.read_text()
    assert text.startswith("what was there\nINFO:     Started server process")
    assert 'INFO:      - "GET /x HTTP/1.1" 200 OK\n' in text
    assert "\x1b" not in text


def test_colours_in_a_file_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    arguments = ("--access-logfile", str(path), "--use-colors")
    with serve_application("hello", *arguments) as server, server.connect() as client:
        get(client, "/")
        assert server.stop() == 0
    assert path.read_text().startswith("\x1b[32mINFO\x1b[0m:     ")


def test_a_dash_is_the_standard_stream() -> None:
    arguments = ("--access-logfile", "-", "--error-logfile", "-")
    with serve_application("hello", *arguments) as server, server.connect() as client:
        host, port = client.getsockname()
        get(client, "/")
        assert server.stop() == 0
        assert server.output() == [f'INFO:     {host}:{port} - "GET / HTTP/1.1" 200 OK']


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_disk_is_full() -> None:
    with serve_application("hello", "--access-logfile", "/dev/full") as server:
        with server.connect() as client:
            for _ in range(10):
                assert get(client, "/") == b"hello"
        assert server.stop() == 0
        warning = server.stderr.expect("dropped")
        assert warning == (
            "WARNING:  10 access log lines were dropped: /dev/full could not be written."
        )


@pytest.mark.parametrize("option", ["--access-logfile", "--error-logfile"])
@pytest.mark.parametrize("kind", ["folder", "missing", "pipe", "empty"])
def test_what_can_not_be_written_is_one_line(tmp_path: Path, option: str, kind: str) -> None:
    path = str(tmp_path / "missing" / "log")
    reason = "No such file or directory"
    if kind == "folder":
        path, reason = str(tmp_path), "Is a directory"
    elif kind == "pipe":
        path, reason = str(tmp_path / "pipe"), "No such device or address"
        os.mkfifo(path)
    elif kind == "empty":
        path = ""
    with serve_application("hello", option, path) as server:
        assert server.wait() == 2
        (line,) = server.errors()
    expected = f"{option} can't be opened: {path!r}: {reason}"
    if kind == "empty":
        expected = f"{option} must be the path of a file, or - for the standard stream"
    assert line == f"cuvee: error: {expected}"


def test_a_path_with_a_zero_is_no_path() -> None:
    with pytest.raises(ValueError, match=r"access_logfile can't be opened: .*embedded null"):
        check_log_file("access_logfile", "a\0b")


# ---- syslog --------------------------------------------------------------------------------------


@pytest.fixture
def unix_syslog(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = str(tmp_path / "log")
    receiver.bind(path)
    receiver.settimeout(WAIT)
    yield f"unix:{path}", receiver
    receiver.close()


@pytest.fixture
def udp_syslog() -> Iterator[tuple[str, socket.socket]]:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(WAIT)
    yield f"udp://localhost:{receiver.getsockname()[1]}", receiver
    receiver.close()


def receive(receiver: socket.socket, last: bytes) -> list[bytes]:
    """Return the datagrams until one that contains `last`."""
    received = [receiver.recv(65536)]
    while last not in received[-1]:
        received.append(receiver.recv(65536))
    return received


@pytest.mark.parametrize("kind", ["unix", "udp"])
def test_both_logs_go_to_syslog(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    address, receiver = request.getfixturevalue(f"{kind}_syslog")
    socket_path = str(tmp_path / "s")
    with serve_application("hello", "--log-syslog", address, "--uds", socket_path) as server:
        started = receive(receiver, b"Cuvee running")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(socket_path)
            get(client, "/a")
            (line,) = receive(receiver, b"GET")
        assert server.stop() == 0
        receive(receiver, b"Finished")
        assert server.errors() == []
        assert server.output() == []
    ident = b"cuvee[%d]: " % server.process.pid
    assert started[0] == b"<14>" + ident + b"Started server process [%d]" % server.process.pid
    assert line == b"<14>" + ident + b' - "GET /a HTTP/1.1" 200'


def test_json_goes_to_syslog_too(unix_syslog: tuple[str, socket.socket]) -> None:
    address, receiver = unix_syslog
    options = ("--log-syslog", address, "--access-log-format", "json", "--error-logfile", "-")
    with serve_application("hello", *options) as server, server.connect() as client:
        get(client, "/a")
        (line,) = receive(receiver, b"GET")
        assert server.stop() == 0
    head, _, members = line.partition(b": ")
    assert head == b"<14>cuvee[%d]" % server.process.pid
    assert json.loads(members)["path"] == "/a"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "must be unix:/dev/log or udp://HOST:PORT, not 'nonsense'"),
        ("tcp://localhost", "must be unix:/dev/log or udp://HOST:PORT, not 'tcp://localhost'"),
        ("udp://:514", "must be unix:/dev/log or udp://HOST:PORT, not 'udp://:514'"),
        ("udp://h:99999", "must be unix:/dev/log or udp://HOST:PORT, not 'udp://h:99999'"),
        ("unix:/nowhere/log", "can't be reached: '/nowhere/log': No such file or directory"),
        ("unix:/dev/null", "can't be reached: '/dev/null': Connection refused"),
    ],
)
def test_what_is_no_address_of_syslog_is_one_line(address: str, reason: str) -> None:
    with serve_application("hello", "--log-syslog", address) as server:
        assert server.wait() == 2
        (line,) = server.errors()
    assert line == f"cuvee: error: --log-syslog {reason}"


def test_a_host_that_can_not_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ValueError, match="log_syslog: 'h' can't be found: Name or service"):
        find_syslog("log_syslog", "udp://h:1")


def test_a_syslog_that_does_not_read_holds_nobody_up(
    unix_syslog: tuple[str, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    address, receiver = unix_syslog
    handler = SyslogHandler(find_syslog("log_syslog", address))
    record = logging.LogRecord("a", logging.INFO, "", 0, "x" * 1000, (), None)
    written = 0
    while handler.dropped == 0:
        handler.emit(record)
        written += 1
        assert written < 1_000_000
    receiver.recv(65536)
    handler.emit(record)
    assert handler.dropped == 1, "there is room again"
    handler.close()
    assert capsys.readouterr().err == "cuvee: 1 log lines were not taken by syslog\n"


def test_a_format_that_fails_is_reported_as_logging_does(
    unix_syslog: tuple[str, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    handler = SyslogHandler(find_syslog("log_syslog", unix_syslog[0]))
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "%d", ("no number",), None))
    handler.close()
    assert "--- Logging error ---" in capsys.readouterr().err


def test_files_are_made_for_who_may_read_them(tmp_path: Path) -> None:
    """The umask decides, as for any file."""
    before = os.umask(0o027)
    try:
        check_log_file("access_logfile", str(tmp_path / "log"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640
