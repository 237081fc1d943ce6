# SPDX-License-Identifier: MIT
"""`gunicorn -k cuvee.workers.CuveeWorker`, with the real gunicorn."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.asgi import WAIT
from tests.support.server_process import APPLICATIONS, ServerProcess, get, read_until
from tests.support.web_socket import WebSocketClient

pytest.importorskip("gunicorn")


class Gunicorn(ServerProcess):
    """gunicorn with one worker of ours, on a free port."""

    def __init__(self, application: str, *arguments: str, **options: Any) -> None:
        given = ("-k", "cuvee.workers.CuveeWorker", "-b", "127.0.0.1:0", "--no-control-socket")
        folder = options.pop("folder", APPLICATIONS)
        arguments = (application, "--chdir", str(folder), *given, *arguments)
        super().__init__(*arguments, module="gunicorn", **options)

    def __exit__(self, *error: Any) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGQUIT)
            self.wait()
        super().__exit__(*error)

    def wait_until_running(self) -> int:
        """Wait until a worker has started its application, and return the port."""
        found = re.search(r":(\d+) \(", self.stderr.expect("Listening at: "))
        assert found is not None
        self.stderr.expect("Application startup complete.")
        return int(found[1])

    def connect_again(self) -> socket.socket:
        """Open one more connection."""
        return socket.create_connection(("127.0.0.1", self.wait_until_running()), WAIT)


def worker_of(gunicorn: Gunicorn, nth: int = 1) -> int:
    """Wait for the nth worker, and return its process id."""
    return int(gunicorn.stderr.expect("Booting worker with pid: ", nth=nth).rpartition(" ")[2])


def test_requests_are_answered_and_term_stops_all() -> None:
    with Gunicorn("applications:hello", "--access-logfile", "-") as gunicorn:
        with gunicorn.connect() as client:
            assert get(client) == b"hello"
            assert get(client, "/x?y=1") == b"hello"
            assert gunicorn.stdout is not None
            line = gunicorn.stdout.expect("/x?y=1")
            assert re.fullmatch(r'127\.0\.0\.1:\d+ - "GET /x\?y=1 HTTP/1\.1" 200', line)
            gunicorn.signal(signal.SIGTERM)
            assert gunicorn.wait() == 0
        errors = "\n".join(gunicorn.errors())
        assert "Application shutdown complete." in errors
        assert "Finished server process" in errors
        assert "was sent SIGTERM" not in errors
        assert "[ERROR]" not in errors


def test_the_settings_of_gunicorn_are_the_servers(tmp_path: Path) -> None:
    (tmp_path / "telling.py").write_text(
        "import gc, json, signal\n"
        "from cuvee import _core\n"
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    server = signal.getsignal(signal.SIGTERM).__self__\n"
        "    config = server.config\n"
        "    told = [config.timeout_keep_alive, config.backlog, config.timeout_graceful_shutdown,\n"
        "            config.limit_request_line, server.should_exit]\n"
        "    body = json.dumps(told).encode()\n"
        "    length = [(b'content-length', b'%d' % len(body))]\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': length})\n"
        "    await send({'type': 'http.response.body', 'body': body})\n"
    )
    (tmp_path / "special.py").write_text(
        "from cuvee.workers import CuveeWorker\n"
        "class Special(CuveeWorker):\n"
        "    CONFIG_KWARGS = {'limit_request_line': 1234, 'lifespan': 'off'}\n"
    )
    arguments = ("--keep-alive", "7", "--backlog", "33", "--graceful-timeout", "9")
    with Gunicorn("telling:app", *arguments, "-k", "special.Special", folder=tmp_path) as gunicorn:
        gunicorn.stderr.expect("Started server process")
        port = re.search(r":(\d+) \(", gunicorn.stderr.expect("Listening at: "))
        assert port is not None
        with socket.create_connection(("127.0.0.1", int(port[1])), WAIT) as client:
            assert json.loads(get(client)) == [7, 33, 8, 1234, False]


def test_hup_starts_a_new_worker_and_lets_the_old_one_finish() -> None:
    with Gunicorn("applications:reading") as gunicorn, gunicorn.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na")
        read_until(client, b"ready")
        old = worker_of(gunicorn)
        gunicorn.signal(signal.SIGHUP)
        assert worker_of(gunicorn, 2) != old
        gunicorn.stderr.expect("Application startup complete.", nth=2)
        with gunicorn.connect_again() as another:
            another.sendall(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na")
            read_until(another, b"ready")
            client.sendall(b"b")
            assert read_until(client, b"done").endswith(b"done")
            gunicorn.stderr.expect(f"Worker exiting (pid: {old})")
            another.sendall(b"b")
            read_until(another, b"done")


def test_worker_that_blocks_is_replaced() -> None:
    with Gunicorn("applications:blocking", "--timeout", "2") as gunicorn:
        with gunicorn.connect() as client:
            assert get(client) == b"hello"
            client.sendall(b"GET /block HTTP/1.1\r\nhost: test\r\n\r\n")
            gunicorn.stderr.expect("WORKER TIMEOUT")
        gunicorn.stderr.expect("Application startup complete.", nth=2)
        with gunicorn.connect_again() as client:
            assert get(client) == b"hello"
        assert not any("unsupported" in line for line in gunicorn.stderr.lines)


def test_worker_whose_application_takes_long_to_start_or_stop_is_not_killed() -> None:
    """Its loop runs: the heartbeat goes on, before the start and during the stop."""
    with Gunicorn("applications:slow_to_start_and_stop", "--timeout", "3") as gunicorn:
        with gunicorn.connect() as client:
            assert get(client) == b"hello"
        worker = worker_of(gunicorn)
        os.kill(worker, signal.SIGTERM)
        gunicorn.stderr.expect(f"Worker exiting (pid: {worker})")
        errors = "\n".join(gunicorn.stderr.lines)
        assert "Application shutdown complete." in errors
        assert "WORKER TIMEOUT" not in errors


def test_start_that_blocks_is_noticed() -> None:
    arguments = ("--timeout", "1", "--graceful-timeout", "1")
    with Gunicorn("applications:blocking_start", *arguments) as gunicorn:
        gunicorn.stderr.expect("WORKER TIMEOUT")


def test_quit_cuts_what_runs_and_still_stops_the_application() -> None:
    with Gunicorn("applications:endless") as gunicorn, gunicorn.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        gunicorn.signal(signal.SIGQUIT)
        assert gunicorn.wait() == 0
        errors = "\n".join(gunicorn.errors())
        assert "cancelled: " in errors
        assert "Application shutdown complete." in errors


def test_quit_shortens_a_stop_that_waits() -> None:
    with Gunicorn("applications:endless") as gunicorn, gunicorn.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        worker = worker_of(gunicorn)
        os.kill(worker, signal.SIGTERM)
        gunicorn.stderr.expect("Waiting for connections to close.")
        os.kill(worker, signal.SIGQUIT)
        gunicorn.stderr.expect("Application shutdown complete.")
        gunicorn.stderr.expect(f"Worker exiting (pid: {worker})")


def test_worker_ends_when_gunicorn_is_gone() -> None:
    with Gunicorn("applications:hello") as gunicorn:
        gunicorn.wait_until_running()
        worker = worker_of(gunicorn)
        gunicorn.signal(signal.SIGKILL)
        gunicorn.stderr.expect("Parent changed, shutting down")
        gunicorn.stderr.expect(f"Worker exiting (pid: {worker})")


def test_graceful_timeout_cancels_before_gunicorn_kills() -> None:
    with (
        Gunicorn("applications:endless", "--graceful-timeout", "1") as gunicorn,
        gunicorn.connect() as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        read_until(client, b"ready")
        gunicorn.signal(signal.SIGTERM)
        assert gunicorn.wait() == 0
        errors = "\n".join(gunicorn.errors())
        assert "timeout graceful shutdown exceeded" in errors
        assert "Application shutdown complete." in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_websockets_are_told_and_do_not_hold_a_stop(tmp_path: Path, number: int) -> None:
    """By a stop and by a new worker. One client answers the close; another never does."""
    (tmp_path / "special.py").write_text(
        "from cuvee.workers import CuveeWorker\n"
        "class Special(CuveeWorker):\n"
        "    CONFIG_KWARGS = {'ws_close_timeout': 1}\n"
    )
    arguments = ("-k", "special.Special", "--pythonpath", str(tmp_path))
    with Gunicorn("applications:web_socket", *arguments) as gunicorn:
        address = ("127.0.0.1", gunicorn.wait_until_running())
        worker = worker_of(gunicorn)
        with WebSocketClient(address) as client, WebSocketClient(address) as silent:
            for each in (client, silent):
                each.open()
                assert each.read_message() == "hello"
            gunicorn.signal(number)
            client.follow_close(1012)
            assert silent.read_close().code == 1012
            gunicorn.stderr.expect(f"Worker exiting (pid: {worker})")
        if number == signal.SIGHUP:
            with WebSocketClient(address) as client:
                client.open()
                assert client.read_message() == "hello"
                gunicorn.signal(signal.SIGTERM)
                client.follow_close(1012)
        assert gunicorn.wait() == 0
        errors = gunicorn.errors()
        assert errors.count("closed with 1012") == (3 if number == signal.SIGHUP else 2)
        assert not any("Traceback" in line or "SIGKILL" in line for line in errors)


def test_the_number_of_workers_is_gunicorns() -> None:
    with Gunicorn("applications:hello", env={"WEB_CONCURRENCY": "2"}) as gunicorn:
        assert worker_of(gunicorn) != worker_of(gunicorn, 2)
        with gunicorn.connect() as client:
            assert get(client) == b"hello"


def test_worker_is_replaced_after_its_requests() -> None:
    with Gunicorn("applications:hello", "--max-requests", "3") as gunicorn:
        with gunicorn.connect() as client:
            for _ in range(3):
                assert get(client) == b"hello"
        gunicorn.stderr.expect("Maximum request limit of 3 exceeded. Terminating process.")
        gunicorn.stderr.expect("Application startup complete.", nth=2)
        with gunicorn.connect_again() as client:
            assert get(client) == b"hello"


def test_the_service_manager_is_told_by_gunicorn_alone(tmp_path: Path) -> None:
    """That a worker stops says nothing of the service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        environment = {"NOTIFY_SOCKET": manager.getsockname()}
        arguments = ("--max-requests", "1")
        with Gunicorn("applications:hello", *arguments, env=environment) as gunicorn:
            with gunicorn.connect() as client:
                assert get(client) == b"hello"
            gunicorn.stderr.expect("Application startup complete.", nth=2)
            told = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    told.append(manager.recv(1000))
    assert not any(b"STOPPING" in one or b"STATUS=Serving" in one for one in told)


def test_failing_start_ends_gunicorn() -> None:
    with Gunicorn("applications:failing_lifespan") as gunicorn:
        assert gunicorn.wait() == 3
        assert any("Worker failed to boot." in line for line in gunicorn.errors())


def test_changed_file_starts_a_new_worker(tmp_path: Path) -> None:
    module = tmp_path / "changing.py"
    text = (
        "import sys\n"
        f"sys.path.insert(0, {str(APPLICATIONS)!r})\n"
        "import applications\n"
        "app = applications.hello\n"
    )
    module.write_text(text)
    with Gunicorn("changing:app", "--reload", folder=tmp_path) as gunicorn:
        gunicorn.wait_until_running()
        module.write_text(text + "changed = True\n")
        for attempt in range(1, 6):
            # Later than any clock says; and again, if gunicorn had not looked for the first time yet.
            os.utime(module, (2**31 + attempt, 2**31 + attempt))
            try:
                gunicorn.stderr.expect("Application startup complete.", WAIT / 5, nth=2)
                break
            except AssertionError:
                if attempt == 5:
                    raise
        with gunicorn.connect_again() as client:
            assert get(client) == b"hello"


def test_logs_are_reopened(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with Gunicorn("applications:hello", "--access-logfile", str(log)) as gunicorn:
        with gunicorn.connect() as client:
            assert get(client, "/1") == b"hello"
            log.rename(tmp_path / "old.log")
            os.kill(worker_of(gunicorn), signal.SIGUSR1)
            gunicorn.signal(signal.SIGUSR1)
            for number in range(2, 200):  # until the signal has been seen
                assert get(client, f"/{number}") == b"hello"
                if log.exists() and log.read_text():
                    break
        assert '"GET /1 HTTP/1.1"' in (tmp_path / "old.log").read_text()
        assert f'"GET /{number} HTTP/1.1"' in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--certfile", "cert.pem", "--keyfile", "key.pem"),
            "cuvee.workers.CuveeWorker has no TLS yet: a proxy can end it",
        ),
        (
            ("-k", "special.Special"),
            "CONFIG_KWARGS of Special: port must be a whole number between 0 and 65535, not 'x'",
        ),
    ],
)
def test_what_cannot_be_is_told_before_there_are_workers(
    tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    (tmp_path / "special.py").write_text(
        "from cuvee.workers import CuveeWorker\n"
        "class Special(CuveeWorker):\n"
        "    CONFIG_KWARGS = {'port': 'x'}\n"
        "async def app(scope, receive, send): pass\n"
    )
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), check=True, capture_output=True, timeout=WAIT, cwd=tmp_path)
    with Gunicorn("special:app", *arguments, folder=tmp_path) as gunicorn:
        assert gunicorn.wait() == 1
        errors = gunicorn.errors()
        assert f"Error: {text}" in errors
        assert not any("Traceback" in line or "Booting" in line for line in errors)


def test_without_gunicorn_the_import_says_what_is_missing() -> None:
    code = "import sys; sys.modules['gunicorn'] = None; import cuvee.workers"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT
    )
    assert ended.returncode == 1
    assert "ImportError: cuvee.workers needs gunicorn: pip install cuvee[gunicorn]" in ended.stderr
