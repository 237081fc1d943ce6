# SPDX-License-Identifier: MIT
"""`--gc-freeze`: what is there when the application has started stays out of later collections."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.support.asgi import WAIT
from tests.support.server_process import APPLICATIONS, get, serve_application


def collector(*arguments: str) -> dict[str, Any]:
    """Return what the application sees of the collector."""
    with (
        serve_application("collector", "--factory", *arguments) as server,
        server.connect() as client,
    ):
        seen: dict[str, Any] = json.loads(get(client))
        assert server.stop() == 0
        return seen


def test_what_the_start_made_is_collected_once_and_frozen() -> None:
    seen = collector()
    assert seen["frozen"] > 1000
    assert seen["garbage"] == 0
    assert seen["kept_is_frozen"]


def test_without_it_the_collector_is_left_alone() -> None:
    seen = collector("--no-gc-freeze")
    assert seen == {"frozen": 0, "garbage": 1, "kept_is_frozen": False}


def test_it_works_without_a_lifespan() -> None:
    assert collector("--lifespan", "off")["frozen"] > 1000


# ---- in a process that goes on -------------------------------------------------------------------

PRELUDE = f"""
import gc, socket, sys
sys.path.insert(0, {str(APPLICATIONS)!r})
import applications, cuvee
options = dict(app_dir={str(APPLICATIONS)!r}, log_config=None)
"""


def python(code: str, *listeners: socket.socket) -> subprocess.Popen[str]:
    """Start a program that has imported cuvee and the applications, and inherits `listeners`."""
    fds = [listener.fileno() for listener in listeners]
    command = [sys.executable, "-c", PRELUDE + code, *map(str, fds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=fds)


def printed(process: subprocess.Popen[str]) -> list[str]:
    """Wait for the end of the program, and return its output."""
    try:
        output, _ = process.communicate(timeout=WAIT)
    finally:
        process.kill()
    assert process.returncode == 0
    return output.splitlines()


RESTART = """
for fd in sys.argv[1:]:
    cuvee.run("applications:counting_once", fd=int(fd), **options)
    print(gc.get_freeze_count())
"""

EMBEDDED = """
config = cuvee.Config(applications.counting_once, fd=int(sys.argv[1]), log_config=None)
server = cuvee.Server(config)
try:
    server.run()
except KeyboardInterrupt:
    pass
print(gc.get_freeze_count())
"""


@pytest.mark.parametrize(("code", "frozen"), [(RESTART, [True, True]), (EMBEDDED, [False])])
def test_only_the_process_of_a_server_is_frozen_and_only_while_it_serves(
    code: str, frozen: list[bool]
) -> None:
    with contextlib.ExitStack() as stack:
        # A listener for each server, so that a client waits for the right one.
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in frozen]
        process = python(code, *listeners)
        for listener, expected in zip(listeners, frozen, strict=True):
            with socket.create_connection(listener.getsockname(), WAIT) as client:
                assert (int(get(client)) > 0) is expected
        assert printed(process) == ["0" for _ in frozen]


FAILING = """
with socket.create_server(("127.0.0.1", 0)) as taken:
    try:
        cuvee.run("applications:counting_stop", port=taken.getsockname()[1], **options)
    except SystemExit as exc:
        print(exc.code, gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(("before", "after"), [("", False), ("gc.freeze()", True)])
def test_a_start_that_fails_is_undone_but_what_others_froze_is_theirs(
    before: str, after: bool
) -> None:
    # The application is stopped again, for the port is taken: then it is still frozen.
    assert printed(python(before + FAILING)) == ["frozen at the stop: True", f"3 {after}"]
