# SPDX-License-Identifier: MIT
"""What a start takes: modules that a simple application does not need are not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess, get

APPLICATION = """
import sys

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = "\\n".join(sys.modules).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

BEYOND_ASYNCIO = {
    *("argparse", "gettext"),  # the command line
    *("runpy", "importlib.util", "importlib._abc"),  # python -m
    *("__future__", "copy", "gc", "resource"),
}
"""What may be imported beside asyncio and what that imports."""


def modules_of_asyncio() -> set[str]:
    """Return what is imported by an interpreter that imports asyncio."""
    code = "import asyncio, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT, check=True
    )
    return set(done.stdout.split())


def test_a_raw_application_is_served_with_little_more_than_asyncio(tmp_path: Path) -> None:
    (tmp_path / "raw.py").write_text(APPLICATION)
    arguments = ("raw:app", "--app-dir", str(tmp_path), "--port", "0")
    with ServerProcess(*arguments) as server, server.connect() as client:
        imported = set(get(client).decode().split())
    assert "cuvee.server" in imported
    ours = {name for name in imported if name.partition(".")[0] == "cuvee"}
    assert imported - ours - modules_of_asyncio() - {"raw"} <= BEYOND_ASYNCIO
    needless = {
        "cuvee.message_logger",
        "logging.config",
        "logging.handlers",
        "http",
        "encodings.idna",
    }
    assert not imported & needless


# ---- logging, which is set up without logging.config where it can be -----------------------------

DESCRIBE = """
import cuvee, logging, sys
from cuvee.logging import LOGGING_CONFIG, TRACE_LOG_LEVEL
{before}
cuvee.Config("a:b", {options})
print("logging.config" in sys.modules)

def described(handler):
    formatter = handler.formatter
    stream = getattr(handler, "stream", None)
    return type(handler), handler.name, handler.level, getattr(stream, "name", None), (
        formatter and (type(formatter), formatter._fmt, getattr(formatter, "use_colors", None))
    )

for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "other", "asyncio"):
    one = logging.getLogger(name)
    handlers = [described(handler) for handler in one.handlers]
    print(name, one.level, one.propagate, one.disabled, one.filters, handlers)
print(logging.root.level, logging.root.handlers, logging.getLevelName(TRACE_LOG_LEVEL))
"""


def loggers(before: str, options: str) -> tuple[bool, str]:
    """Return whether Config(...) imported logging.config, and what loggers it left."""
    code = DESCRIBE.format(before=before, options=options)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT, check=True
    )
    imported, _, described = done.stdout.partition("\n")
    return imported == "True", described


OTHERWISE = "log_config=LOGGING_CONFIG | {}"
"""The same configuration, but another dictionary: logging.config applies it."""


@pytest.mark.parametrize(
    "options",
    ["", "use_colors=True, ", "use_colors=False, log_level='trace', ", "access_log=False, "],
)
def test_default_logging_is_what_logging_config_would_make(options: str) -> None:
    imported, ours = loggers("", options)
    imported_otherwise, theirs = loggers("", options + OTHERWISE)
    assert (imported, imported_otherwise) == (False, True)
    assert ours == theirs


@pytest.mark.parametrize(
    "before",
    [
        "LOGGING_CONFIG['formatters']['default']['fmt'] = '%(message)s'",
        "LOGGING_CONFIG['loggers']['other'] = {'level': 'DEBUG'}",
        "logging.basicConfig(level='DEBUG')",
        "logging.getLogger('uvicorn.access').addHandler(logging.NullHandler())",
        "logging.getLogger('uvicorn.asgi').setLevel('DEBUG')",
        "logging.getLogger('uvicorn.asgi').propagate = False",
        "logging.getLogger('other').disabled = True",
    ],
)
def test_what_was_set_up_before_is_left_to_logging_config(before: str) -> None:
    imported, ours = loggers(before, "")
    _, theirs = loggers(before, OTHERWISE)
    assert imported
    assert ours == theirs
