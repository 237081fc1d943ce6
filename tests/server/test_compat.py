# SPDX-License-Identifier: MIT
"""`cuvee.compat`: programs that import uvicorn, run on cuvee."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from cuvee.compat.modules import MODULES
from tests.support.asgi import WAIT
from tests.support.server_process import APPLICATIONS, ServerProcess, get

INSTALL = "import cuvee.compat; cuvee.compat.install()\n"


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own: what it imports is nobody else's."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT
    )


def output(code: str) -> list[str]:
    """Run a program that must not fail, and return the lines that it prints."""
    ended = python(INSTALL + code)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_name_leads_somewhere(module: str) -> None:
    if module == "uvicorn.workers":
        pytest.importorskip("gunicorn")
    for place in MODULES[module].values():
        home, _, name = place.partition(":")
        assert hasattr(importlib.import_module(home), name), place


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_name_is_one_of_uvicorns(module: str) -> None:
    pytest.importorskip("uvicorn")
    if module == "uvicorn.workers":
        pytest.importorskip("gunicorn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # uvicorn.workers is deprecated
        real = importlib.import_module(module)
    for name in MODULES[module]:
        if name != "ServerState":  # deprecated in uvicorn.main
            assert hasattr(real, name), name


def test_names_are_cuvees() -> None:
    assert output(
        "import uvicorn, cuvee\n"
        "print(uvicorn.run is cuvee.run, uvicorn.Config is cuvee.Config)\n"
        "print(uvicorn.Server is cuvee.Server, uvicorn.__version__)\n"
        "print(uvicorn.config.LOGGING_CONFIG is cuvee.logging.LOGGING_CONFIG)\n"
        "from uvicorn.main import Server, run\n"
        "from uvicorn.server import ServerState\n"
        "from uvicorn.logging import DefaultFormatter\n"
        "from uvicorn.lifespan.on import LifespanOn\n"
        "from uvicorn.importer import import_from_string\n"
        "print(run is cuvee.run, ServerState.__module__, LifespanOn.__module__)\n"
        "from uvicorn import *\n"
        "print(main.__name__, uvicorn.main is main)\n"
        "import sys\n"
        "print(callable(sys.modules['uvicorn.main'].run), 'run' in dir(uvicorn))\n"
    ) == [
        "True True",
        "True 0.54.0",
        "True",
        "True cuvee.server_state cuvee.lifespan",
        "main True",
        "True True",
    ]


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (
            "import uvicorn.protocols.http.h11_impl",
            "ModuleNotFoundError",
            "cuvee, which stands in for uvicorn, has no module 'uvicorn.protocols.http'",
        ),
        (
            "import uvicorn; uvicorn.nothing",
            "AttributeError",
            "cuvee, which stands in for uvicorn, has no 'nothing' there",
        ),
        (
            "from uvicorn.config import nothing",
            "ImportError",
            "cannot import name 'nothing' from 'uvicorn.config'",
        ),
    ],
)
def test_what_is_not_there_is_said(code: str, kind: str, text: str) -> None:
    ended = python(INSTALL + code)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"{kind}: {text}")
    if kind == "ImportError":
        assert "compat" in last


def test_only_who_asks_gets_it() -> None:
    pytest.importorskip("uvicorn")
    ended = python("import cuvee, cuvee.compat, uvicorn; print(uvicorn.Config.__module__)")
    assert ended.stdout == "uvicorn.config\n"


def test_a_second_call_does_nothing() -> None:
    assert output("cuvee.compat.install(); import uvicorn; print(uvicorn.run.__module__)") == [
        "cuvee.runner"
    ]
    assert output(
        "import uvicorn; cuvee.compat.install(); import sys; print(len(sys.meta_path))"
    ) == output("import sys; print(len(sys.meta_path))")


def test_uvicorn_that_is_there_already_is_an_error() -> None:
    pytest.importorskip("uvicorn")
    ended = python("import uvicorn\n" + INSTALL)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "RuntimeError: uvicorn has been imported already: call cuvee.compat.install() before, "
        "or start the program with python -m cuvee.compat"
    )


def test_helpers_for_scopes_and_transports() -> None:
    assert output(
        "import socket\n"
        "from uvicorn.protocols.utils import *\n"
        "class Transport:\n"
        "    def __init__(self, **info): self.info = info\n"
        "    def get_extra_info(self, name, default=None): return self.info.get(name, default)\n"
        "one = Transport(peername=('a', 1), sockname=('b', 2))\n"
        "print(get_remote_addr(one), get_local_addr(one), is_ssl(one))\n"
        "print(get_local_addr(Transport(sockname='/s')), get_remote_addr(Transport(peername='')))\n"
        "print(is_ssl(Transport(sslcontext=1)), get_local_addr(Transport()))\n"
        "left, right = socket.socketpair()\n"
        "print(get_remote_addr(Transport(socket=left)), get_local_addr(Transport(socket=left)))\n"
        "left.close(); right.close()\n"
        "print(get_remote_addr(Transport(socket=left)))\n"
        "print(get_client_addr({'client': ('a', 1)}), repr(get_client_addr({'client': None})))\n"
        "print(get_path_with_query_string({'path': '/a b', 'query_string': b'c=d'}))\n"
        "print(get_path_with_query_string({'path': '/', 'query_string': b''}))\n"
        "print(issubclass(ClientDisconnected, OSError))\n"
    ) == [
        "('a', 1) ('b', 2) False",
        "('/s', None) None",
        "True None",
        "None ('', None)",
        "None",
        "a:1 ''",
        "/a%20b?c=d",
        "/",
        "True",
    ]


def test_logging_configuration_that_names_uvicorns_formatters() -> None:
    ended = python(
        INSTALL + "import logging.config\n"
        "logging.config.dictConfig({'version': 1, 'formatters': {'f': {\n"
        "    '()': 'uvicorn.logging.DefaultFormatter', 'fmt': '%(levelprefix)s %(message)s'}},\n"
        "    'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}},\n"
        "    'root': {'handlers': ['h']}})\n"
        "logging.warning('so')\n"
    )
    assert ended.stderr == "WARNING:  so\n"


# ---- programs ---------------------------------------------------------------------------------

PROGRAM = f"""
import sys
sys.path.append({str(APPLICATIONS)!r})
import applications
import uvicorn
from helper import port

if __name__ == "__main__":
    print(sys.argv[1:], __file__, flush=True)
    uvicorn.run(applications.hello, port=port)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A file that runs a server, with a module beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "helper.py").write_text("port = 0\n")
    path = folder / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.mark.parametrize("how", ["file", "module"])
def test_program_runs_as_it_is(program: Path, how: str) -> None:
    by_name = {"file": (str(program),), "module": ("-m", "program")}[how]
    with ServerProcess(
        *by_name, "--its", "own", module="cuvee.compat", cwd=program.parent
    ) as server:
        with server.connect() as client:
            assert get(client) == b"hello"
        assert server.stop() == 0
        assert server.output()[0] == f"['--its', 'own'] {program}"


def test_the_command_under_its_other_name() -> None:
    arguments = ("applications:hello", "--app-dir", str(APPLICATIONS), "--port", "0")
    with ServerProcess("-m", "uvicorn", *arguments, module="cuvee.compat") as server:
        with server.connect() as client:
            assert get(client) == b"hello"
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM


RELOADED = """
import uvicorn

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = uvicorn.Config.__module__.encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

if __name__ == "__main__":
    uvicorn.run("reloaded:app", port=0, reload=True)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("reloaded.py",),
        ("-m", "reloaded"),
        ("-m", "uvicorn", "reloaded:app", "--port", "0", "--reload"),
    ],
)
def test_a_reload_has_it_too(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "reloaded.py").write_text(RELOADED)
    with ServerProcess(*arguments, module="cuvee.compat", cwd=tmp_path) as server:
        with server.connect() as client:
            assert get(client) == b"cuvee.config"
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "missing argument; usage: "),
        (("-m",), "missing argument MODULE; usage: "),
        (("-c", "pass"), "no such option: '-c'; usage: "),
        (("no_such.py",), "can't open file 'no_such.py': no such file or directory"),
        (("-m", "no_such"), "no module named no_such"),
        (("-m", "json.no_such"), "no module named json.no_such"),
        (("-m", "no.such"), "no module named no.such"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], text: str) -> None:
    with ServerProcess(*arguments, module="cuvee.compat") as ended:
        assert ended.wait() == 2
        (line,) = ended.errors()
        assert line.startswith(f"cuvee.compat: error: {text}")


def test_help() -> None:
    with ServerProcess("--help", module="cuvee.compat") as ended:
        assert ended.wait() == 0
        assert ended.output()[0].startswith("usage: python -m cuvee.compat ")


def test_errors_of_the_program_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "failing.py"
    path.write_text("import uvicorn\nimport no_such_module\n")
    with ServerProcess(str(path), module="cuvee.compat") as ended:
        assert ended.wait() == 1
        assert "ModuleNotFoundError: No module named 'no_such_module'" in ended.errors()[-1]


def test_server_in_a_thread_as_programs_have_it() -> None:
    """The pattern that is copied all over public code."""
    (line,) = output(
        f"import sys; sys.path.append({str(APPLICATIONS)!r})\n"
        "import contextlib, socket, threading, applications, uvicorn\n"
        "class Server(uvicorn.Server):\n"
        "    def install_signal_handlers(self): pass\n"
        "    @contextlib.contextmanager\n"
        "    def run_in_thread(self):\n"
        "        thread = threading.Thread(target=self.run)\n"
        "        thread.start()\n"
        "        try:\n"
        "            while not self.started: thread.join(0.001)\n"
        "            yield\n"
        "        finally:\n"
        "            self.should_exit = True\n"
        "            thread.join()\n"
        "config = uvicorn.Config(applications.hello, port=0, log_level='warning')\n"
        "server = Server(config=config)\n"
        "with server.run_in_thread():\n"
        "    port = server.servers[0].sockets[0].getsockname()[1]\n"
        "    with socket.create_connection(('127.0.0.1', port)) as client:\n"
        "        client.sendall(b'GET / HTTP/1.1\\r\\nhost: h\\r\\nconnection: close\\r\\n\\r\\n')\n"
        "        received = b''\n"
        "        while data := client.recv(1000): received += data\n"
        "        print(received[-5:].decode())\n"
    )[-1:]
    assert line == "hello"
