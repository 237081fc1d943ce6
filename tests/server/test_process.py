# SPDX-License-Identifier: MIT
"""What a process does for itself: pid file, user and group, umask, name."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

import cuvee
from tests.support.asgi import WAIT
from tests.support.server_process import (
    APPLICATIONS,
    ServerProcess,
    get,
    read_until,
    serve_application,
)
from tests.support.unprivileged import AS_NOBODY, NOBODY, needs_root, open_to_all, prefix

APP = """
import json, os

WHO = {"uid": os.getuid(), "groups": sorted(os.getgroups()), "gid": os.getgid()}

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    os.close(os.open("made", os.O_CREAT | os.O_WRONLY, 0o666)) if scope["path"] == "/make" else None
    body = json.dumps(WHO).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

STARTING = """
async def app(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
"""


def wait_for_line(path: Path, pattern: str) -> str:
    """Return the group of `pattern` as soon as it is in the file."""
    end = time.monotonic() + WAIT
    while True:
        found = re.search(pattern, path.read_text() if path.exists() else "")
        if found is not None:
            return found[1]
        assert time.monotonic() < end, f"nothing like {pattern} in {path}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the application, that everybody may come to."""
    (tmp_path / "who.py").write_text(APP)
    open_to_all(tmp_path)
    return tmp_path


@pytest.fixture
def everybodys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Words in front of a command, so that any user may run the interpreter."""
    return prefix(tmp_path_factory.mktemp("parking"))


def serve(folder: Path, *arguments: str, words: tuple[str, ...] = ()) -> ServerProcess:
    """Serve APP on a free port, with `words` in front of the command."""
    return ServerProcess("who:app", "--port", "0", *arguments, cwd=folder, prefix=words)


def test_pid_file_is_there_as_long_as_the_server(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("1\nrest of another")
    with serve_application("hello", "--pid-file", str(path)) as server:
        server.wait_until_running()
        assert path.read_text() == f"{server.process.pid}\n"
        assert server.stop() == 0
    assert not path.exists()


def test_pid_file_of_another_process_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with serve_application("hello", "--pid-file", str(path)) as server:
        server.wait_until_running()
        path.write_text("1\n")
        assert server.stop() == 0
    assert path.read_text() == "1\n"


def test_pid_file_goes_when_the_application_cannot_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with serve_application("no_such_application", "--pid-file", str(path)) as server:
        assert server.wait() == 3
    assert not path.exists()


@pytest.mark.parametrize("kind", ["no folder", "folder", "link"])
def test_pid_file_that_cannot_be_written_is_one_line_and_exit_code_3(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "none" / "pid" if kind == "no folder" else tmp_path
    if kind == "link":
        path = tmp_path / "link"
        path.symlink_to(tmp_path / "target")
    with serve_application("hello", "--pid-file", str(path)) as server:
        assert server.wait() == 3
        (line,) = server.errors()
        assert line.startswith("ERROR:    [Errno ")
        assert f"error while attempting to write pid file {str(path)!r}: " in line
    assert not (tmp_path / "target").exists()


@needs_root
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--user", "nobody"), {"uid": NOBODY, "gid": NOBODY, "groups": [NOBODY]}),
        (("--user", "54321"), {"uid": 54321, "gid": 0, "groups": [0]}),
        (("--user", "54321", "--group", "12345"), {"uid": 54321, "gid": 12345, "groups": [12345]}),
        (("--group", "12345"), {"uid": 0, "gid": 12345, "groups": [12345]}),
    ],
)
def test_application_runs_as_another_user_from_its_import_on(
    folder: Path,
    everybodys: tuple[str, ...],
    arguments: tuple[str, ...],
    expected: dict[str, object],
) -> None:
    with serve(folder, *arguments, words=everybodys) as server, server.connect() as client:
        seen = json.loads(get(client))
        assert {key: seen[key] for key in expected} == expected
        assert server.stop() == 0


@needs_root
def test_sockets_and_files_are_made_before_the_user_changes(
    folder: Path, everybodys: tuple[str, ...]
) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    path, pid = private / "socket", folder / "pid"
    folder.chmod(0o755)
    arguments = ("--bind", f"unix:{path}", "--pid-file", str(pid), "--user", "nobody")
    with ServerProcess("who:app", *arguments, cwd=folder, prefix=everybodys) as server:
        server.stderr.expect("Cuvee running on unix socket")
        assert pid.read_text() == f"{server.process.pid}\n"
        assert pid.stat().st_uid == NOBODY
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT)
            client.connect(str(path))
            assert json.loads(get(client))["uid"] == NOBODY
        assert server.stop() == 0
    assert pid.read_text() == ""  # the folder is root's


@needs_root
def test_a_socket_that_the_user_may_not_remove_hinders_no_stop(
    folder: Path, everybodys: tuple[str, ...]
) -> None:
    folder.chmod(0o755)
    path = folder / "socket"
    (folder / "starting.py").write_text(STARTING)
    arguments = ("starting:app", "--uds", str(path), "--user", "nobody")
    with ServerProcess(*arguments, cwd=folder, prefix=everybodys) as server:
        server.stderr.expect("Cuvee running on unix socket")
        assert server.stop() == 0
        errors = server.errors()
    assert "INFO:     Application shutdown complete." in errors
    assert not any("Traceback" in line for line in errors)
    assert path.exists()  # the folder is root's


@needs_root
def test_a_socket_that_the_user_may_not_remove_hides_no_failure(
    folder: Path, everybodys: tuple[str, ...]
) -> None:
    folder.chmod(0o755)
    (folder / "failing.py").write_text("raise LookupError('of the application')")
    arguments = ("failing:app", "--uds", str(folder / "socket"), "--user", "nobody")
    with ServerProcess(*arguments, cwd=folder, prefix=everybodys) as server:
        assert server.wait() == 1
        errors = server.errors()
    assert errors[-1] == "LookupError: of the application"
    assert not any("PermissionError" in line for line in errors)


@needs_root
def test_log_files_are_the_user_s_who_opens_them_again(
    folder: Path, everybodys: tuple[str, ...]
) -> None:
    folder.chmod(0o755)
    access, error = folder / "access.log", folder / "error.log"
    files = ("--access-logfile", str(access), "--error-logfile", str(error))
    with serve(folder, *files, "--user", "nobody", words=everybodys) as server:
        port = wait_for_line(error, r"running on http://127\.0\.0\.1:(\d+)")
        assert (access.stat().st_uid, error.stat().st_uid) == (NOBODY, NOBODY)
        # As logrotate does it: the folder is root's, and the new file is the old one's owner's.
        for path in (access, error):
            path.rename(path.with_suffix(".old"))
            path.touch()
            os.chown(path, NOBODY, -1)
        server.signal(signal.SIGUSR1)
        with socket.create_connection(("127.0.0.1", int(port)), WAIT) as client:
            end = time.monotonic() + WAIT
            while not access.read_text():  # until the signal has been seen
                assert time.monotonic() < end
                get(client)
        assert server.stop() == 0
    assert "can't be opened" not in error.with_suffix(".old").read_text()
    assert "Finished server process" in error.read_text()


@needs_root
@pytest.mark.parametrize(("option", "what"), [("--user", "group 0"), ("--group", "group root")])
def test_who_may_not_change_is_told_in_one_line(
    folder: Path, everybodys: tuple[str, ...], option: str, what: str
) -> None:
    with serve(folder, option, "root", words=(*everybodys, *AS_NOBODY)) as server:
        assert server.wait() == 3
        assert server.errors() == [
            f"ERROR:    [Errno 1] error while attempting to become {what}: operation not permitted"
        ]


@needs_root
def test_who_may_not_change_the_user_alone_is_told(
    folder: Path, everybodys: tuple[str, ...]
) -> None:
    arguments = ("--user", "54321", "--group", str(NOBODY))
    with serve(folder, *arguments, words=(*everybodys, *AS_NOBODY)) as server:
        assert server.wait() == 3
        (line,) = server.errors()
        assert "error while attempting to become user 54321: operation not permitted" in line


@needs_root
def test_who_is_that_user_already_may_say_so(folder: Path, everybodys: tuple[str, ...]) -> None:
    words = (*everybodys, *AS_NOBODY)
    with serve(folder, "--user", "nobody", words=words) as server, server.connect() as client:
        assert json.loads(get(client))["uid"] == NOBODY
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--user", "no-such-user", "--user must be a user of this system, not 'no-such-user'"),
        ("--group", "no-such-group", "--group must be a group of this system, not 'no-such-group'"),
        ("--umask", "8", "--umask must be octal digits between 0 and 777, not '8'"),
        ("--umask", "1000", "--umask must be octal digits between 0 and 777, not '1000'"),
        ("--idle-exit", "soon", "--idle-exit must be a number of seconds, not 'soon'"),
        (
            "--health-path",
            "health",
            "--health-path must be a path such as /health, in plain ASCII, not 'health'",
        ),
        (
            "--health-path",
            "/a?b",
            "--health-path must be a path such as /health, in plain ASCII, not '/a?b'",
        ),
    ],
)
def test_wrong_values_are_one_line_and_exit_code_2(option: str, value: str, message: str) -> None:
    with serve_application("hello", option, value) as server:
        assert server.wait() == 2
        assert server.errors() == [f"cuvee: error: {message}"]


@pytest.mark.parametrize("umask", ["027", "077"])
def test_umask_is_the_process_s(folder: Path, umask: str) -> None:
    with serve(folder, "--umask", umask) as server, server.connect() as client:
        get(client, "/make")
        mode = (folder / "made").stat().st_mode & 0o777
        assert mode == 0o666 & ~int(umask, 8)
        assert server.stop() == 0


def test_umask_is_a_number_in_python() -> None:
    assert cuvee.Config("a:b", umask=0o27, log_config=None).umask == 0o27
    assert cuvee.Config("a:b", umask="27", log_config=None).umask == 0o27


@pytest.mark.skipif(sys.platform != "linux", reason="short names are Linux's")
def test_process_has_the_name_that_was_asked_for() -> None:
    with serve_application("hello", "--proc-name", "wine-shop") as server:
        server.wait_until_running()
        process = Path(f"/proc/{server.process.pid}")
        names = (process / "comm").read_text(), (process / "cmdline").read_bytes()
        assert names[0] == "wine-shop\n" or names[1].startswith(b"wine-shop")
        assert server.stop() == 0


def test_setproctitle_is_used_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "setproctitle.py").write_text(
        "def setproctitle(name):\n    import sys\n    print('named', name, file=sys.stderr)\n"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    with serve_application("hello", "--proc-name", "a long name", env=environment) as server:
        server.wait_until_running()
        server.stderr.expect("named a long name")
        assert server.stop() == 0


def test_a_process_without_a_name_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cuvee.process_name._COMM", "/no/such/file")
    monkeypatch.setitem(sys.modules, "setproctitle", None)
    with pytest.raises(
        ValueError, match="proc_name must be a name, on Linux or where setproctitle"
    ):
        cuvee.Config("a:b", proc_name="wine", log_config=None)


def test_sigterm_leaves_no_pid_file(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with serve_application("hello", "--pid-file", str(path)) as server:
        server.wait_until_running()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
    assert not path.exists()


# ---- signals before there is a server ------------------------------------------------------------

SLOW = """
import os, sys, time
try:
    print("importing", file=sys.stderr, flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)
except {caught}:
    print("swallowed", file=sys.stderr, flush=True)

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"hello"}})
"""


def serve_slow(folder: Path, *arguments: str, caught: str = "ZeroDivisionError") -> ServerProcess:
    """Serve an application whose import waits for the file "go", and may swallow its exit."""
    (folder / "slow.py").write_text(SLOW.format(caught=caught))
    return ServerProcess("slow:app", "--port", "0", *arguments, cwd=folder)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--pid-file", "made"),
        ("--uds", "made", "--group", str(os.getegid())),
    ],
)
@pytest.mark.parametrize("caught", ["ZeroDivisionError", "BaseException"])
def test_sigterm_during_the_import_leaves_nothing_behind(
    tmp_path: Path, arguments: tuple[str, ...], caught: str
) -> None:
    with serve_slow(tmp_path, *arguments, caught=caught) as server:
        server.stderr.expect("importing")
        assert (tmp_path / "made").exists()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        swallowed = ["swallowed"] if caught == "BaseException" else []
        assert server.errors() == ["importing", *swallowed]
    assert not (tmp_path / "made").exists()


def test_sigusr1_during_the_import_opens_log_files_again_at_the_start(tmp_path: Path) -> None:
    log, pid = tmp_path / "access.log", tmp_path / "pid"
    with serve_slow(tmp_path, "--access-logfile", str(log), "--pid-file", str(pid)) as server:
        server.stderr.expect("importing")
        log.rename(tmp_path / "old.log")
        os.kill(int(pid.read_text()), signal.SIGUSR1)
        (tmp_path / "go").touch()
        with server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
            read_until(client, b"hello")
        assert server.stop() == 0
    assert '"GET / HTTP/1.1" 200' in log.read_text()
    assert (tmp_path / "old.log").read_text() == ""


def test_signals_are_the_programs_again_behind_run(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import cuvee, signal, sys\n"
        f"sys.path.append({str(APPLICATIONS)!r})\n"
        "import applications\n"
        "cuvee.run(applications.hello, port=0, pid_file='pid', access_logfile='access.log')\n"
        "print(*(signal.getsignal(n) is signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGUSR1)))"
    )
    with ServerProcess(script=script, cwd=tmp_path) as server:
        server.wait_until_running()
        assert server.stop() == 0
        assert server.output() == ["True True"]
