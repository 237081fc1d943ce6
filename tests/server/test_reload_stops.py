# SPDX-License-Identifier: MIT
"""`--reload`: how signals end it, and that nobody is left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import textwrap
import time
from pathlib import Path

import pytest

from tests.support.asgi import WAIT
from tests.support.raw import RawClient
from tests.support.reload_project import (
    COMPLETE,
    Project,
    address_of,
    ask,
    begin_body,
    child_of,
)
from tests.support.server_process import Output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_gracefully(project: Project, number: signal.Signals) -> None:
    with project.serve("--timeout-graceful-shutdown", "60") as server:
        with RawClient(address_of(server)) as client:
            begin_body(client)
            server.signal(number)
            server.stderr.expect("Waiting for connections to close")
            client.send(b"x")
            assert client.read_response().body == b"1"
        assert server.wait() == 0
        assert "INFO:     Application shutdown complete." in server.errors()


def test_control_c_reaches_both_once(project: Project) -> None:
    with project.serve(preexec=os.setsid) as server:
        child_of(server)
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
        lines = server.errors()
    assert sum("Shutting down" in line for line in lines) == 1
    assert "INFO:     Application shutdown complete." in lines
    assert not any("Traceback" in line or "Child process" in line for line in lines)


def test_control_c_during_the_import(project: Project) -> None:
    project.save("1", "import sys, time\nprint('importing', file=sys.stderr)\ntime.sleep(1000)")
    with project.serve(preexec=os.setsid) as server:
        server.stderr.expect("importing")
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
        assert not any("Traceback" in line for line in server.errors())


def test_both_signals_to_a_child_at_once(project: Project) -> None:
    """The terminal's, and the parent's behind it: the interpreter finds the two together."""
    slow = "import sys, time\nprint('importing in', os.getpid(), file=sys.stderr)\ntime.sleep(1000)"
    project.save("1", slow)
    with project.serve() as server:
        child = int(server.stderr.expect("importing in").split()[-1])
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            os.kill(child, number)
        server.stderr.expect(f"Child process [{child}] ended with exit code 130.")
        assert server.stop() == 0
        assert not any("Traceback" in line or "ignored" in line for line in server.errors())


def test_an_import_that_catches_everything(project: Project) -> None:
    """As a bare `except` does, and the interpreter itself in finalizers."""
    catching = """
        import sys, time
        try:
            print("importing", file=sys.stderr)
            time.sleep(1000)
        except:
            print("Traceback", file=sys.stderr)
        """
    project.save("1", textwrap.dedent(catching))
    with project.serve(preexec=os.setsid) as server:
        server.stderr.expect("importing")
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
        assert not any("Traceback" in line for line in server.errors())


def test_control_c_while_an_interpreter_starts(project: Project) -> None:
    """A terminal sends SIGINT to all processes, however far they have come."""
    booting = """
        import sys, time
        if "-c" in sys.orig_argv:
            print("boots", file=sys.stderr, flush=True)
            time.sleep(1000)
        """
    (project.path / "sitecustomize.py").write_text(textwrap.dedent(booting))
    environment = {"PYTHONPATH": str(project.path)}
    with project.serve(preexec=os.setsid, env=environment) as server:
        server.stderr.expect("boots")
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
        assert not any("Traceback" in line for line in server.errors())


def test_who_insists_has_the_child_killed(project: Project) -> None:
    deaf = "import sys, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
    project.save("1", deaf + "print('deaf', file=sys.stderr)\nwhile True: pass")
    with project.serve() as server:
        server.stderr.expect("deaf")
        server.signal(signal.SIGINT)
        server.signal(signal.SIGTERM)
        server.stderr.expect("(CTRL+C to kill it)")
        server.signal(signal.SIGINT)
        assert server.wait() == 0


def test_sighup_reloads(project: Project) -> None:
    with project.serve() as server:
        first = child_of(server)
        server.signal(signal.SIGHUP)
        server.stderr.expect("Received SIGHUP, reloading.")
        assert child_of(server, 2) != first
        assert server.stop() == 0


def test_a_closed_terminal_stops_it(project: Project) -> None:
    master, slave = os.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        [sys.executable, "-m", "cuvee", "main:app", "--reload", "--port", "0"],
        stdin=slave,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project.path,
        preexec_fn=take_terminal,
    ) as process:
        os.close(slave)
        try:
            assert process.stderr is not None
            errors = Output(process.stderr)
            errors.expect(COMPLETE)
            os.close(master)
            assert process.wait(WAIT) == 0
            errors.wait_for_end()
        finally:
            process.kill()


def test_nobody_is_left_when_the_parent_is_killed(project: Project) -> None:
    with project.serve() as server:
        child_of(server)
        server.signal(signal.SIGKILL)
        server.wait()
        # The end of its output: no other process holds it.
        assert "INFO:     Application shutdown complete." in server.errors()


def wait_for(path: Path, text: str) -> None:
    """Return when `text` is in the file."""
    end = time.monotonic() + WAIT
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < end, f"{text!r} is not in {path}"


def rotate(path: Path, pid: Path) -> None:
    """Do what logrotate does, and wait until the parent has made the new file."""
    path.rename(path.with_suffix(".old"))
    os.kill(int(pid.read_text()), signal.SIGUSR1)
    wait_for(path, "")


def test_log_files_are_opened_again_by_parent_and_child(project: Project, tmp_path: Path) -> None:
    log, pid = tmp_path / "error.log", tmp_path / "pid"
    with project.serve("--error-logfile", str(log), "--pid-file", str(pid)) as server:
        wait_for(log, COMPLETE)
        rotate(log, pid)
        assert server.stop() == 0
        assert server.errors() == []
    assert "Finished server process" in log.read_text()
    assert "Stopping reloader process" in log.read_text()


def test_log_files_are_opened_again_while_an_interpreter_starts(
    project: Project, tmp_path: Path
) -> None:
    log, pid = tmp_path / "error.log", tmp_path / "pid"
    booting = """
        import os, sys, time
        if "-c" in sys.orig_argv:
            print("boots", file=sys.stderr, flush=True)
            while not os.path.exists("go"):
                time.sleep(0.01)
        """
    (project.path / "sitecustomize.py").write_text(textwrap.dedent(booting))
    environment = {"PYTHONPATH": str(project.path)}
    arguments = ("--error-logfile", str(log), "--pid-file", str(pid))
    with project.serve(*arguments, env=environment) as server:
        server.stderr.expect("boots")
        rotate(log, pid)
        (project.path / "go").touch()
        wait_for(log, COMPLETE)
        assert "Child process" not in log.read_text()
        assert server.stop() == 0


@pytest.mark.full
def test_an_application_that_does_not_end_is_killed(project: Project) -> None:
    with project.serve("--timeout-graceful-shutdown", "0") as server:
        address = address_of(server)
        child_of(server)
        project.save(
            "2",
            "import signal\nsignal.signal = lambda *_: None\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n",
        )
        child_of(server, 2)
        project.save("3")
        server.stderr.expect("does not stop, and is killed.")
        assert ask(address) == b"3"
        assert server.stop() == 0
