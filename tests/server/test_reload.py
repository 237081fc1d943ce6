# SPDX-License-Identifier: MIT
"""`--reload`: real files, real edits, and clients that are there meanwhile."""

from __future__ import annotations

import faulthandler
import select
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import RawClient
from tests.support.reload_project import (
    COMPLETE,
    RELOADING,
    STARTED,
    Project,
    address_of,
    ask,
    begin_body,
    child_of,
)
from tests.support.server_process import ServerProcess
from tests.support.web_socket import WebSocketClient

WATCHERS = ["WatchFiles", "StatReload"]


@pytest.fixture
def without_watchfiles(tmp_path: Path) -> dict[str, str]:
    """An environment in which there is no watchfiles."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "watchfiles.py").write_text("raise ImportError('not installed')")
    return {"PYTHONPATH": str(hidden)}


@pytest.fixture(params=WATCHERS)
def watcher(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What makes a server use each of the two watchers."""
    if request.param == "StatReload":
        return {"env": request.getfixturevalue("without_watchfiles")}
    pytest.importorskip("watchfiles")
    return {}


# ---- what a save does -------------------------------------------------------------------------


def test_a_save_is_served(project: Project, watcher: dict[str, Any]) -> None:
    name = "StatReload" if watcher else "WatchFiles"
    with project.serve(**watcher) as server:
        address = address_of(server)
        assert ask(address) == b"1"
        first = child_of(server)
        project.save("2")
        second = child_of(server, 2)
        assert ask(address) == b"2"
        assert server.stop() == 0
        parent = server.process.pid
        lines = server.errors()
    assert lines[0] == (
        f"INFO:     Will watch for changes in these directories: ['{project.path}']"
    )
    assert lines[1].startswith("INFO:     Cuvee running on")
    assert lines[2] == f"INFO:     Started reloader process [{parent}] using {name}"
    assert f"WARNING:  {name} detected changes in 'main.py'. Reloading..." in lines
    assert lines[-1] == f"INFO:     Stopping reloader process [{parent}]"
    # One after the other: the second begins when the first is gone.
    finished = f"INFO:     Finished server process [{first}]"
    assert lines.index(finished) < lines.index(f"INFO:     Started server process [{second}]")
    assert len({parent, first, second}) == 3


def test_new_directories_renames_and_removals(project: Project, watcher: dict[str, Any]) -> None:
    package, away = project.path / "package", project.path.parent / "away"
    away.mkdir()
    (away / "module.py").touch()
    with project.serve(**watcher) as server:
        child_of(server)
        away.rename(package)
        child_of(server, 2)
        (package / "draft").touch()  # is not watched
        (package / "draft").rename(package / "module.py")
        child_of(server, 3)
        (package / "module.py").unlink()
        child_of(server, 4)
        package.rmdir()
        package.mkdir()
        (package / "module.py").touch()
        child_of(server, 5)
        assert server.stop() == 0


def test_bytecode_of_another_save_in_the_same_second(project: Project) -> None:
    # Python takes bytecode for current if the second and the size are those of the source.
    second = project.main.stat().st_mtime_ns // 10**9
    with project.serve() as server:
        address = address_of(server)
        assert ask(address) == b"1"
        for version in "23":
            project.replace(version, second)
            server.stderr.expect(RELOADING, nth=int(version) - 1)
            child_of(server, int(version))
            assert ask(address) == version.encode()
        assert server.stop() == 0


def test_a_syntax_error_is_told_and_requests_wait(
    project: Project, watcher: dict[str, Any]
) -> None:
    with project.serve(**watcher) as server:
        address = address_of(server)
        child_of(server)
        project.save("2", "def")
        server.stderr.expect("SyntaxError")
        ended = server.stderr.expect("ended with exit code 1")
        assert ended.endswith("Waiting for a change to start another one.")
        with RawClient(address) as client:
            client.get()
            project.save("3")
            assert client.read_response().body == b"3"
        assert server.stop() == 0


@pytest.mark.parametrize(("path", "how"), [("/exit", "exit code 7"), ("/crash", "SIGABRT")])
def test_a_crash_is_told(project: Project, path: str, how: str) -> None:
    with project.serve() as server:
        address = address_of(server)
        child_of(server)
        with RawClient(address) as client:
            client.get(path)
            client.read_to_end()
        server.stderr.expect(how)
        project.save("2")
        assert ask(address) == b"2"
        assert server.stop() == 0


def test_a_failing_lifespan_is_told(project: Project) -> None:
    with project.serve("--lifespan", "on") as server:
        child_of(server)
        project.main.write_text("async def app(scope, receive, send):\n    raise LookupError\n")
        server.stderr.expect("ended with exit code 3")
        project.save("2")
        child_of(server, 2)
        assert server.stop() == 0


def test_a_save_while_the_application_is_imported(project: Project) -> None:
    with project.serve() as server:
        address = address_of(server)
        child_of(server)
        hang = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(1000)"
        project.save("2", hang)
        server.stderr.expect("importing")
        project.save("3")
        child_of(server, 2)
        assert ask(address) == b"3"
        assert server.stop() == 0


def test_a_save_while_the_former_one_ends(project: Project) -> None:
    arguments = ("--timeout-graceful-shutdown", "60", "--limit-body-rate", "0")
    with project.serve(*arguments) as server:
        address = address_of(server)
        with RawClient(address) as client:
            begin_body(client)
            project.replace("2")
            server.stderr.expect("Waiting for connections to close")
            project.replace("3")
            server.stderr.expect(RELOADING, nth=2)
            client.send(b"x")
            assert client.read_response().body == b"1"
        assert ask(address) == b"3"
        assert server.stop() == 0
        assert sum(STARTED in line for line in server.errors()) == 2


# ---- clients ----------------------------------------------------------------------------------


def test_the_answer_under_way_is_completed(project: Project) -> None:
    with project.serve("--timeout-graceful-shutdown", "60") as server:
        with RawClient(address_of(server)) as client:
            begin_body(client)
            project.save("2")
            server.stderr.expect("Shutting down")
            client.send(b"x")
            response = client.read_response()
            assert response.body == b"1"
            assert response.get(b"connection") == b"close"
        assert server.stop() == 0


def test_an_open_stream_does_not_hold_a_reload(project: Project) -> None:
    with project.serve() as server:
        address = address_of(server)
        with RawClient(address) as client:
            client.get("/stream")
            client.read_until(b"begun")
            project.save("2")
            child_of(server, 2)
            assert ask(address) == b"2"
            assert not client.read_to_end().endswith(b"0\r\n\r\n")
        assert server.stop() == 0


def test_an_idle_connection_does_not_hold_a_reload(project: Project) -> None:
    with project.serve("--timeout-keep-alive", "1000") as server:
        address = address_of(server)
        with RawClient(address) as client:
            client.get()
            assert client.read_response().body == b"1"
            project.save("2")
            child_of(server, 2)
            assert ask(address) == b"2"
        assert server.stop() == 0


def test_a_websocket_is_told_and_does_not_hold_a_reload(
    project: Project, watcher: dict[str, Any]
) -> None:
    """One client answers the close; another never does."""
    with project.serve("--ws-close-timeout", "1", **watcher) as server:
        address = address_of(server)
        with WebSocketClient(address) as client, WebSocketClient(address) as silent:
            for each in (client, silent):
                each.open()
                assert each.read_message() == b"1"
            project.save("2")
            client.follow_close(1012)
            assert silent.read_close().code == 1012
            child_of(server, 2)
        with WebSocketClient(address) as client:
            client.open()
            assert client.read_message() == b"2"
            server.signal(signal.SIGINT)
            client.follow_close(1012)
            assert server.wait() == 0
        lines = server.errors()
        assert lines.count("closed with 1012") == 3
        assert not any("Traceback" in line for line in lines)


class Load:
    """Clients that ask without a pause, on connections that they keep and on new ones."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.answers: list[bytes] = []
        self.failures: list[BaseException] = []
        self._stopping = threading.Event()
        works = [self._keep, self._keep, self._renew, self._renew]
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in works]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            while not self._stopping.is_set():
                work()
        except BaseException as exc:
            self.failures.append(exc)

    def _keep(self) -> None:
        """Ask on one connection until an answer says that it is the last."""
        with RawClient(self.address) as client:
            while not self._stopping.is_set():
                # As every pool of connections does: an idle one may have been closed.
                if select.select([client.sock], [], [], 0)[0]:
                    return
                client.get()
                response = client.read_response()
                self.answers.append(response.body)
                if response.get(b"connection") == b"close":
                    return

    def _renew(self) -> None:
        self.answers.append(ask(self.address))


@pytest.mark.parametrize("saves", [8, pytest.param(200, marks=pytest.mark.full)])
@pytest.mark.timeout(1200)
def test_saves_under_load_fail_no_request(
    project: Project, watcher: dict[str, Any], saves: int
) -> None:
    faulthandler.cancel_dump_traceback_later()  # that of pytest: this may take minutes
    with project.serve("--no-access-log", "--reload-delay", "0.1", **watcher) as server:
        address = address_of(server)
        with Load(address) as load:
            for version in range(1, saves + 1):
                # All of one size, many in one second.
                project.save(f"{version:04}")
                while ask(address) != b"%04d" % version:
                    assert not load.failures
        assert not load.failures
        assert b"%04d" % saves in load.answers
        assert server.stop() == 0
        assert not any("Traceback" in line for line in server.errors())


# ---- scripts ----------------------------------------------------------------------------------


def test_a_script(project: Project) -> None:
    script = project.path / "run.py"
    script.write_text(
        "import sys, cuvee\n"
        "sys.path.insert(0, 'lib')\n"
        "print(__name__, sys.argv[1:], file=sys.stderr, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    cuvee.run('application:app', port=0, reload=True)\n"
        "    print('after', file=sys.stderr)\n"
    )
    (project.path / "lib").mkdir()
    project.main.rename(project.path / "lib/application.py")
    project.main = project.path / "lib/application.py"
    with ServerProcess("word", script=script, cwd=project.path) as server:
        address = address_of(server)
        assert ask(address) == b"1"
        project.save("2")
        child_of(server, 2)
        assert ask(address) == b"2"
        assert server.stop() == 0
        lines = server.errors()
    assert lines.count("__main__ ['word']") == 1
    assert lines.count("__mp_main__ ['word']") == 2
    assert lines[-1] == "after"


def test_a_factory_of_a_script_and_what_it_configures(project: Project) -> None:
    script = project.path / "run.py"
    script.write_text(
        "import cuvee, logging\n"
        "from main import app\n"
        "class Formatter(logging.Formatter):\n"
        "    def format(self, record): return 'mine: ' + record.getMessage()\n"
        "def make(): return app\n"
        "LOGS = {'version': 1, 'formatters': {'f': {'()': Formatter}},\n"
        "    'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}},\n"
        "    'loggers': {'uvicorn': {'handlers': ['h'], 'level': 'INFO'}}}\n"
        "if __name__ == '__main__':\n"
        "    cuvee.run('run:make', factory=True, port=0, reload=True, log_config=LOGS)\n"
    )
    with ServerProcess(script=script, cwd=project.path) as server:
        assert ask(address_of(server)) == b"1"
        assert server.stderr.expect(COMPLETE) == "mine: Application startup complete."
        assert server.stop() == 0


def test_a_script_that_changes_the_default_logging(project: Project) -> None:
    """Below `if __name__ == "__main__"`, where the child does not come."""
    script = project.path / "run.py"
    script.write_text(
        "import cuvee\n"
        "from cuvee.logging import LOGGING_CONFIG\n"
        "from main import app\n"
        "if __name__ == '__main__':\n"
        "    LOGGING_CONFIG['formatters']['default']['fmt'] = 'mine: %(message)s'\n"
        "    cuvee.run('run:app', port=0, reload=True, access_log_format='common')\n"
    )
    with ServerProcess(script=script, cwd=project.path) as server:
        assert server.stderr.expect(COMPLETE) == f"mine: {COMPLETE}"
        assert ask(address_of(server)) == b"1"
        assert server.stop() == 0


def test_an_application_that_is_no_import_string(project: Project) -> None:
    script = project.path / "run.py"
    script.write_text("import cuvee, main\ncuvee.run(main.app, port=0, reload=True)\n")
    with ServerProcess(script=script, cwd=project.path) as server:
        assert server.wait() == 3
        assert server.errors() == [
            "WARNING:  You must pass the application as an import string to enable 'reload' "
            "or 'workers'."
        ]


def test_a_configuration_that_cannot_be_sent(project: Project) -> None:
    script = project.path / "run.py"
    script.write_text(
        "import cuvee, configparser\n"
        "class Parser(configparser.RawConfigParser):\n"
        "    def __reduce__(self): raise TypeError('not this one')\n"
        "parser = Parser()\n"
        "parser.read('logs.ini')\n"
        "cuvee.run('main:app', port=0, reload=True, log_config=parser)\n"
    )
    (project.path / "logs.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n"
        "[logger_root]\nhandlers=h\nlevel=INFO\n[handler_h]\nclass=StreamHandler\nargs=()\n"
        "formatter=f\n[formatter_f]\nformat=%(message)s\n"
    )
    with ServerProcess(script=script, cwd=project.path) as server:
        assert server.wait() == 3
        assert server.errors()[-1] == (
            "The configuration cannot be given to another process: not this one"
        )


# ---- options ----------------------------------------------------------------------------------


def test_extra_files(project: Project, watcher: dict[str, Any]) -> None:
    settings = project.path.parent / "settings"
    settings.mkdir()
    with project.serve("--reload-extra-file", "../settings/*.ini", **watcher) as server:
        child_of(server)
        (settings / "ignored.txt").touch()
        (settings / "new.ini").touch()
        line = server.stderr.expect(RELOADING)
        assert "new.ini" in line
        assert "ignored.txt" not in line
        child_of(server, 2)
        assert server.stop() == 0


def test_directories_and_patterns(project: Project, watcher: dict[str, Any]) -> None:
    other = project.path.parent / "other"
    other.mkdir()
    with project.serve(
        *("--reload-dir", "../other", "--reload-dir", "."),
        *("--reload-include", "*.html", "--reload-exclude", "test_*"),
        **watcher,
    ) as server:
        child_of(server)
        (other / "page.html").touch()
        child_of(server, 2)
        (other / "test_page.html").touch()
        (project.path / "page.css").touch()
        (project.path / "module.py").touch()
        line = server.stderr.expect(RELOADING, nth=2)
        assert "'module.py'" in line
        assert "test_page" not in line
        child_of(server, 3)
        assert server.stop() == 0


def test_a_watched_directory_that_goes_and_comes_back(
    project: Project, watcher: dict[str, Any]
) -> None:
    other, away = project.path.parent / "other", project.path.parent / "away"
    other.mkdir()
    (other / "module.py").touch()
    with project.serve("--reload-dir", str(other), **watcher) as server:
        child_of(server)
        other.rename(away)
        child_of(server, 2)
        away.rename(other)
        child_of(server, 3)
        (other / "module.py").write_text("a")
        # The way of looking tells of the file that it has gone, and that it is there again.
        server.stderr.expect("other/module.py", nth=3 if watcher else 1)
        assert server.stop() == 0


def test_a_directory_that_is_not_there(project: Project) -> None:
    with project.serve("--reload-dir", "nowhere") as server:
        assert server.wait() == 2
        assert server.errors() == [
            "cuvee: error: --reload-dir must be a directory that is there, not 'nowhere'"
        ]


def test_an_address_in_use(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with project.serve("--port", port) as server:
            assert server.wait() == 3
            assert server.errors()[-1].startswith("ERROR:    [Errno 98] error while attempting")


def test_a_unix_socket_goes_with_the_parent(project: Project) -> None:
    path = project.path / "socket"
    with project.serve("--uds", str(path)) as server:
        child_of(server)
        project.save("2")
        child_of(server, 2)
        with RawClient(str(path)) as client:
            client.get()
            assert client.read_response().body == b"2"
        assert server.stop() == 0
    assert not path.exists()
