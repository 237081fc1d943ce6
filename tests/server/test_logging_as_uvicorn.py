# SPDX-License-Identifier: MIT
"""Logging configurations, records and formatters: as uvicorn's, side by side."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import uvicorn.logging
from uvicorn.config import LOGGING_CONFIG as THEIR_CONFIG

import cuvee.logging
from cuvee.logging import LOGGING_CONFIG
from tests.beside_uvicorn.both import NAMES, comparable, running
from tests.support.server_process import get

YAML = """
version: 1
disable_existing_loggers: false
formatters:
  shown:
    format: "%(name)s %(levelname)s %(message)s %(args)s"
handlers:
  out:
    class: logging.StreamHandler
    formatter: shown
    stream: ext://sys.stdout
loggers:
  uvicorn.access:
    handlers: [out]
    level: INFO
    propagate: false
"""
INI = """
[loggers]
keys=root,access
[handlers]
keys=out
[formatters]
keys=shown
[logger_root]
level=INFO
handlers=
[logger_access]
qualname=uvicorn.access
level=INFO
handlers=out
propagate=0
[handler_out]
class=StreamHandler
formatter=shown
args=(sys.stdout,)
[formatter_shown]
format=%(name)s %(levelname)s %(message)s %(args)s
"""
JSON = json.dumps(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"shown": {"format": "%(name)s %(levelname)s %(message)s %(args)s"}},
        "handlers": {
            "out": {
                "class": "logging.StreamHandler",
                "formatter": "shown",
                "stream": "ext://sys.stdout",
            }
        },
        "loggers": {"uvicorn.access": {"handlers": ["out"], "level": "INFO", "propagate": False}},
    }
)
FILES = {"logging.yaml": YAML, "logging.ini": INI, "logging.json": JSON, "logging.conf": INI}
TARGETS = ("/", "/a%20b?c=d%20e", "/caf%C3%A9")


def their_ends(path: Path) -> list[tuple[int, list[str]]]:
    """Run both with a configuration, ask some targets, and return their exit codes and output."""
    ends = []
    for name in NAMES:
        with running(name, "--log-config", str(path)) as server:
            # A file may leave no handler for the line that tells the port.
            with server.connect() as client:
                for target in TARGETS:
                    get(client, target)
            code = server.stop()
            ends.append((code, comparable(server.output())))
    return ends


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_same_records(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = FILES[name]
    if name == "logging.json":
        members = json.loads(text)
        members["loggers"]["uvicorn"] = {"handlers": ["err"], "level": "INFO"}
        members["handlers"]["err"] = {"class": "logging.StreamHandler"}
        text = json.dumps(members)
    elif name == "logging.yaml":
        text = text.replace("loggers:", "  err:\n    class: logging.StreamHandler\nloggers:")
        text += "  uvicorn:\n    handlers: [err]\n    level: INFO\n"
    else:
        text = text.replace("keys=out", "keys=out,err").replace("handlers=\n", "handlers=err\n", 1)
        text += "[handler_err]\nclass=StreamHandler\nargs=()\n"
    path.write_text(text)
    theirs, ours = their_ends(path)
    assert ours == theirs
    assert len(ours[1]) == len(TARGETS)
    assert "('127.0.0.1:PORT', 'GET', '/', '1.1', 200)" in ours[1][0]


def test_the_configuration_is_uvicorns_but_for_the_names_of_classes() -> None:
    ours = json.loads(json.dumps(LOGGING_CONFIG).replace("cuvee.logging.", "uvicorn.logging."))
    assert ours == THEIR_CONFIG


def record(status: int | None = None, level: int = logging.INFO) -> logging.LogRecord:
    """Return an access record, or a line of the server's with a coloured form."""
    if status is not None:
        arguments = ("127.0.0.1:5", "GET", "/a?b", "1.1", status)
        message = '%s - "%s %s HTTP/%s" %d'
        return logging.LogRecord("uvicorn.access", level, "", 1, message, arguments, None)
    made = logging.LogRecord("uvicorn.error", level, "", 1, "at %d", (5,), None)
    made.__dict__["color_message"] = "at \x1b[1m%d\x1b[0m"
    return made


LEVELS = [cuvee.logging.TRACE_LOG_LEVEL, 10, 20, 30, 40, 50, 25]


@pytest.mark.parametrize("use_colors", [True, False])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["ColourizedFormatter", "DefaultFormatter"])
def test_lines_of_the_server(kind: str, level: int, use_colors: bool) -> None:
    arguments: dict[str, Any] = {
        "fmt": "{levelprefix} {message}",
        "datefmt": "%H",
        "style": "{",
        "use_colors": use_colors,
    }
    theirs = getattr(uvicorn.logging, kind)(**arguments)
    ours = getattr(cuvee.logging, kind)(**arguments)
    assert ours.format(record(level=level)) == theirs.format(record(level=level))
    assert ours.color_level_name("X", level) == theirs.color_level_name("X", level)
    assert ours.use_colors == theirs.use_colors
    assert ours.datefmt == theirs.datefmt


@pytest.mark.parametrize("use_colors", [True, False])
@pytest.mark.parametrize("status", [101, 200, 302, 404, 418, 500, 599, 600, 999])
def test_access_lines(status: int, use_colors: bool) -> None:
    fmt = THEIR_CONFIG["formatters"]["access"]["fmt"]
    theirs = uvicorn.logging.AccessFormatter(fmt, use_colors=use_colors)
    ours = cuvee.logging.AccessFormatter(fmt, use_colors=use_colors)
    assert ours.format(record(status)) == theirs.format(record(status))
    assert ours.get_status_code(status) == theirs.get_status_code(status)


def test_the_attributes_of_classes_are_there() -> None:
    for name in ("ColourizedFormatter", "DefaultFormatter", "AccessFormatter"):
        theirs, ours = getattr(uvicorn.logging, name), getattr(cuvee.logging, name)
        for attribute in vars(theirs):
            assert hasattr(ours, attribute), f"{name}.{attribute}"
        assert ours.level_name_colors.keys() == theirs.level_name_colors.keys()
    their_colours = uvicorn.logging.AccessFormatter.status_code_colours
    assert cuvee.logging.AccessFormatter.status_code_colours.keys() == their_colours.keys()


@pytest.mark.parametrize("module", [uvicorn.logging, cuvee.logging])
def test_subclasses_override_parts(module: Any) -> None:
    class Levels(module.DefaultFormatter):  # type: ignore[misc]
        def color_level_name(self, level_name: str, level_no: int) -> str:
            return f"<{level_name}>"

    class Statuses(module.AccessFormatter):  # type: ignore[misc]
        status_code_colours = {2: lambda code: f"<{code}>"}  # noqa: RUF012

        def get_status_code(self, status_code: int) -> str:
            return str(super().get_status_code(status_code)) + "!"

    assert Levels("%(levelprefix)s", use_colors=True).format(record()) == "<INFO>:    "
    assert Statuses("%(status_code)s", use_colors=True).format(record(200)) == "<200 OK>!"
