# SPDX-License-Identifier: MIT
"""SIGINT and SIGTERM: graceful, forced, early, late, and as process 1."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.asgi import WAIT
from tests.support.server_process import (
    APPLICATIONS,
    ServerProcess,
    get,
    read_until,
    serve_application,
)

CONNECTIONS = "INFO:     Waiting for connections to close. (CTRL+C to force quit)"
BACKGROUND = "INFO:     Waiting for background tasks to complete. (CTRL+C to force quit)"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_signal_stops_gracefully(number: signal.Signals, code: int) -> None:
    with serve_application("hello") as server, server.connect() as client:
        assert get(client) == b"hello"
        server.signal(number)
        assert server.wait() == code
        lines = server.errors()
        assert lines[-4:-1] == [
            "INFO:     Shutting down",
            "INFO:     Waiting for application shutdown.",
            "INFO:     Application shutdown complete.",
        ]
        assert not any("Waiting for connections" in line for line in lines)
        assert client.recv(1) == b""


def test_who_stands_still_through_its_stop_waits_for_nobody() -> None:
    """What an idle connection has, and the time until the log tells of it, are over at once."""
    with serve_application("hello") as server, server.connect() as client:
        assert get(client) == b"hello"
        server.signal(signal.SIGTERM)
        server.stderr.expect("Shutting down")
        server.signal(signal.SIGSTOP)
        select.select([client], [], [], 1.5)  # nothing comes
        server.signal(signal.SIGCONT)
        assert server.wait() == -signal.SIGTERM
        assert CONNECTIONS not in server.errors()
        assert client.recv(1) == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_waits_for_the_answer_under_way(number: signal.Signals) -> None:
    with serve_application("reading") as server, server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na")
        read_until(client, b"ready")
        server.signal(number)
        server.stderr.expect(CONNECTIONS)
        client.sendall(b"b")
        assert read_until(client, b"done").endswith(b"done")
        assert server.wait() == (0 if number == signal.SIGINT else -number)
        assert "INFO:     Application shutdown complete." in server.errors()


def test_new_connections_are_refused_while_the_server_stops() -> None:
    with serve_application("reading") as server, server.connect() as client:
        address = client.getpeername()
        client.sendall(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na")
        read_until(client, b"ready")
        server.signal(signal.SIGTERM)
        server.stderr.expect(CONNECTIONS)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, WAIT)


def test_second_sigint_forces() -> None:
    with serve_application("endless") as server, server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        server.signal(signal.SIGINT)
        server.stderr.expect(CONNECTIONS)
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert not any("application shutdown" in line for line in server.errors())


def test_sigint_after_sigterm_forces_and_keeps_the_exit_status() -> None:
    with serve_application("endless") as server, server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        server.signal(signal.SIGTERM)
        server.stderr.expect(CONNECTIONS)
        server.signal(signal.SIGINT)
        assert server.wait() == -signal.SIGTERM


def test_second_sigterm_does_not_force() -> None:
    with serve_application("reading") as server, server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na")
        read_until(client, b"ready")
        server.signal(signal.SIGTERM)
        server.stderr.expect(CONNECTIONS)
        server.signal(signal.SIGTERM)
        client.sendall(b"b")
        assert read_until(client, b"done").endswith(b"done")
        assert server.wait() == -signal.SIGTERM


def test_background_work_is_waited_for_and_then_cancelled() -> None:
    with (
        serve_application("working", "--timeout-graceful-shutdown", "0.2") as server,
        server.connect() as client,
    ):
        assert get(client) == b"hello"
        client.close()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        lines = server.errors()
        waiting = lines.index(BACKGROUND)
        cancelled = lines.index(
            "ERROR:    Cancel 1 running task(s), timeout graceful shutdown exceeded"
        )
        assert waiting < cancelled < lines.index("stopped working")
        assert lines.index("stopped working") < lines.index(
            "INFO:     Waiting for application shutdown."
        )


def test_graceful_shutdown_timeout_cancels_with_uvicorns_message() -> None:
    with (
        serve_application("endless", "--timeout-graceful-shutdown", "0") as server,
        server.connect() as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        server.signal(signal.SIGTERM)
        server.stderr.expect("Cancel 1 running task(s), timeout graceful shutdown exceeded")
        server.stderr.expect("cancelled: Task cancelled, timeout graceful shutdown exceeded")
        assert server.wait() == -signal.SIGTERM
        assert "INFO:     Application shutdown complete." in server.errors()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_hanging_startup_can_be_interrupted(number: signal.Signals, code: int) -> None:
    with serve_application("hanging_start") as server:
        server.stderr.expect("hanging")
        server.signal(number)
        assert server.wait() == code
        lines = server.errors()
        assert lines[2:4] == ["hanging", "INFO:     Application startup interrupted."]
        assert "cleaned up" in lines
        assert not any("running on" in line or "ERROR" in line for line in lines)


def test_startup_that_ignores_its_cancellation_can_be_forced() -> None:
    with serve_application("deaf_start") as server:
        server.stderr.expect("hanging")
        server.signal(signal.SIGINT)
        server.stderr.expect("not listening")
        server.signal(signal.SIGINT)
        assert server.wait() == 1
        assert server.errors()[-1] == (
            "ERROR:    Forced to stop while this still ran: a cancelled task"
        )


def test_startup_that_blocks_the_loop_ends_at_the_third_sigint() -> None:
    with serve_application("blocking_start") as server:
        server.stderr.expect("blocking")
        # One at a time: the kernel and CPython both merge those that are pending.
        server.signal(signal.SIGINT)
        server.stderr.expect("handled 1")
        server.signal(signal.SIGINT)
        server.stderr.expect("handled 2")
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert not any("Traceback" in line for line in server.errors())


def test_hanging_shutdown_can_be_forced() -> None:
    with serve_application("hanging_stop") as server:
        server.wait_until_running()
        server.signal(signal.SIGTERM)
        server.stderr.expect("hanging")
        server.signal(signal.SIGINT)
        assert server.wait() == -signal.SIGTERM
        assert not any("shutdown complete" in line for line in server.errors())


def test_thread_that_never_ends_does_not_hold_a_forced_stop() -> None:
    with serve_application("stuck_thread") as server, server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        server.signal(signal.SIGINT)
        server.stderr.expect(CONNECTIONS)
        server.signal(signal.SIGINT)
        assert server.wait() == 1
        last = server.errors()[-1]
        assert last.startswith("ERROR:    Forced to stop while this still ran: ")
        assert "asyncio_0" in last


BEHIND_RUN = f"""
import sys, threading
import cuvee

sys.path.append({str(APPLICATIONS)!r})
cuvee.run("applications:endless", port=0)
for thread in threading.enumerate():
    if isinstance(thread, threading.Timer):
        thread.join()  # one that is still to end the process does it here
print("behind run")
"""


def test_a_forced_stop_leaves_alone_what_stands_behind_run(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(BEHIND_RUN)
    with ServerProcess(script=script) as server, server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        server.signal(signal.SIGINT)
        server.stderr.expect(CONNECTIONS)
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert server.output()[-1] == "behind run"


def test_sigint_stops_a_server_that_was_started_with_sigint_ignored() -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with serve_application("hello", preexec=ignore) as server:
        server.wait_until_running()
        assert server.stop() == 0
        assert "INFO:     Application shutdown complete." in server.errors()


SLOW_MODULE = """
import sys, time
print("importing", file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_sigint_during_the_import_ends_the_process_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    with ServerProcess("slow_module:app", "--app-dir", str(tmp_path)) as server:
        server.stderr.expect("importing")
        assert server.stop() == 128 + signal.SIGINT
        assert server.errors() == ["importing"]


def test_sigterm_during_the_import_stops_process_1(tmp_path: Path) -> None:
    if not _can_unshare():
        pytest.skip("a process namespace needs root and unshare")
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    arguments = ("slow_module:app", "--app-dir", str(tmp_path))
    with ServerProcess(*arguments, prefix=UNSHARE) as server:
        server.stderr.expect("importing")
        os.kill(_only_child(server.process.pid), signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM


UNSHARE = ("unshare", "-pf", "--mount-proc", "--kill-child")


def _only_child(parent: int) -> int:
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(child)


def _can_unshare() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-pf", "--mount-proc", "true"], timeout=WAIT).returncode == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
@pytest.mark.parametrize("name", ["hello", "hanging_start"])
def test_signals_stop_process_1(name: str, number: signal.Signals, code: int) -> None:
    if not _can_unshare():
        pytest.skip("a process namespace needs root and unshare")
    with serve_application(name, prefix=UNSHARE) as server:
        server.stderr.expect("running on" if name == "hello" else "hanging")
        assert server.stderr.lines[0] == "INFO:     Started server process [1]"
        os.kill(_only_child(server.process.pid), number)
        assert server.wait() == code


SIGNALLED_ELSEWHERE = """
import signal, threading

def take_it():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Event().wait()

threading.Thread(target=take_it, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

async def app(scope, receive, send):
    raise AssertionError(scope)
"""


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop"])
def test_a_signal_that_does_not_interrupt_the_loop_wakes_it(tmp_path: Path, loop: str) -> None:
    """Another thread takes it; one that comes just before the loop sleeps is like that, too."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    (tmp_path / "elsewhere.py").write_text(SIGNALLED_ELSEWHERE)
    arguments = ("elsewhere:app", "--loop", loop, "--lifespan", "off", "--port", "0")
    with ServerProcess(*arguments, cwd=tmp_path) as server:
        server.wait_until_running()
        server.signal(signal.SIGTERM)
        server.stderr.expect("Finished server process")
