# SPDX-License-Identifier: MIT
"""What sets logging up: files for logging.config, and the options of the built-in one."""

from __future__ import annotations

import configparser
import copy
import io
import json
import logging
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cuvee
from cuvee import log_setup
from cuvee.access_format import GUNICORN, JSON, NGINX, PRESETS, is_json, parse
from cuvee.json_log import JsonFormatter
from cuvee.log_file import LogFileHandler
from cuvee.logging import (
    LOGGING_CONFIG,
    AccessFormatter,
    AccessLineFormatter,
    DefaultFormatter,
)
from tests.server import applications
from tests.support.server_process import ServerProcess, get, serve_application


@pytest.fixture(autouse=True)
def clean_loggers() -> Iterator[None]:
    yield
    for name in ("uvicorn", "uvicorn.access"):
        logger = logging.getLogger(name)
        for handler in [*logger.handlers]:
            logger.removeHandler(handler)
            handler.close()


def formatter_of(name: str) -> logging.Formatter | None:
    (handler,) = logging.getLogger(name).handlers
    return handler.formatter


# ---- files ---------------------------------------------------------------------------------------

FORMATTERS = {
    "default": {"()": "uvicorn.logging.DefaultFormatter", "fmt": "%(levelprefix)s %(message)s"},
    "access": {"()": "uvicorn.logging.AccessFormatter", "fmt": "%(client_addr)s"},
}
NAMES_UVICORN = {**copy.deepcopy(LOGGING_CONFIG), "formatters": FORMATTERS}
INI = """
[loggers]
keys=root,uvicorn
[handlers]
keys=out
[formatters]
keys=default
[logger_root]
handlers=
[logger_uvicorn]
qualname=uvicorn
handlers=out
propagate=0
[handler_out]
class=StreamHandler
formatter=default
args=()
[formatter_default]
class=uvicorn.logging.DefaultFormatter
format=%(levelprefix)s %(message)s
"""


def wrong_file(tmp_path: Path, name: str, text: str | None, **env: str) -> str:
    """Start the command with a file; return what it says to it, without the file's name."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with serve_application("hello", "--log-config", str(path), env=env) as server:
        assert server.wait() == 2
        (line,) = server.errors()
    start = f"cuvee: error: --log-config {str(path)!r}: "
    assert line.startswith(start)
    return line.removeprefix(start)


@pytest.mark.parametrize("name", ["l.json", "l.yaml", "l.yml", "l.ini"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    assert wrong_file(tmp_path, name, None) == "No such file or directory"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("l.json", "{", "Expecting property name enclosed in double quotes: line 1"),
        ("l.json", "[]", "must be a mapping for logging.config, not list"),
        ("l.json", "{}", "dictionary doesn't specify a version"),
        ("l.yaml", "a: [", "while parsing a flow node"),
        ("l.yaml", "", "must be a mapping for logging.config, not NoneType"),
        ("l.ini", "no section", "File contains no section headers."),
        ("l.ini", "[loggers]\nkeys=\n", "KeyError: 'formatters'"),
        (
            "l.json",
            '{"version": 1, "handlers": {"a": {"class": "no.such"}}}',
            "Unable to configure handler 'a': Cannot resolve 'no.such': No module named 'no'",
        ),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, name: str, text: str, says: str) -> None:
    assert wrong_file(tmp_path, name, text).startswith(says)


def test_yaml_without_pyyaml(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "yaml.py").write_text("raise ImportError('hidden')")
    said = wrong_file(tmp_path, "l.yaml", "version: 1", PYTHONPATH=str(hidden))
    assert said == "a YAML file needs PyYAML: pip install 'cuvee[yaml]'"


def test_a_file_may_be_named_by_a_variable_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "logging.json"
    changed = copy.deepcopy(LOGGING_CONFIG)
    changed["formatters"]["default"]["fmt"] = "changed %(message)s"
    path.write_text(json.dumps(changed))
    with serve_application("hello", env={"UVICORN_LOG_CONFIG": str(path)}) as server:
        server.stderr.expect("changed Application startup complete.")
        assert server.stop() == 0
    (tmp_path / "cuvee.toml").write_text('log-config = "logging.json"')
    with serve_application("hello", cwd=tmp_path) as server:
        server.stderr.expect("changed Application startup complete.")
        assert server.stop() == 0


FOREIGN = """
import logging

class Formatter(logging.Formatter):
    def __init__(self):
        super().__init__("foreign %(message)s")
"""


def foreign(tmp_path: Path) -> tuple[str, ...]:
    """Return the arguments for an application whose folder has a formatter that a file names."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "foreign.py").write_text(FOREIGN)
    (folder / "application.py").write_text(
        "async def app(scope, receive, send):\n    raise NotImplementedError\n"
    )
    path = tmp_path / "logging.json"
    formatters = {"default": {"()": "foreign.Formatter"}}
    handlers = {"out": {"class": "logging.StreamHandler", "formatter": "default"}}
    loggers = {"uvicorn": {"handlers": ["out"], "level": "INFO"}}
    path.write_text(
        json.dumps(
            {"version": 1, "formatters": formatters, "handlers": handlers, "loggers": loggers}
        )
    )
    arguments = ("application:app", "--app-dir", str(folder), "--port", "0")
    return (*arguments, "--log-config", str(path))


def test_colours_are_not_said_to_the_formatters_of_a_file(tmp_path: Path) -> None:
    """As in uvicorn: it may have classes that know nothing of them."""
    with ServerProcess(*foreign(tmp_path), "--use-colors", cwd=tmp_path) as server:
        server.stderr.expect("foreign ")
        server.wait_until_running()
        assert server.stop() == 0


@pytest.mark.parametrize("use_colors", [True, False])
def test_colours_are_said_to_the_formatters_of_a_dictionary(use_colors: bool) -> None:
    cuvee.Config(applications.hello, log_config=LOGGING_CONFIG | {}, use_colors=use_colors)
    formatter = formatter_of("uvicorn")
    assert isinstance(formatter, DefaultFormatter)
    assert formatter.use_colors is use_colors


def test_a_configuration_that_is_equal_to_the_default_is_not_the_default() -> None:
    """In another process neither: who was told to leave the options alone has said so already."""
    ours = cuvee.Config("a:b")
    theirs = cuvee.Config("a:b", log_config=copy.deepcopy(LOGGING_CONFIG))
    assert pickle.loads(pickle.dumps(ours)).log_config is LOGGING_CONFIG
    assert copy.copy(ours).log_config is LOGGING_CONFIG
    assert pickle.loads(pickle.dumps(theirs)).log_config is not LOGGING_CONFIG
    assert LOGGING_CONFIG["loggers"]


@pytest.mark.parametrize("reload", [(), ("--reload",)])
def test_a_file_may_name_what_is_beside_the_application(
    tmp_path: Path, reload: tuple[str, ...]
) -> None:
    with ServerProcess(*foreign(tmp_path), *reload, cwd=tmp_path) as server:
        assert server.stderr.expect("Started server process").startswith("foreign ")
        server.stderr.expect(" running on ")
        assert server.stop() == 0


def test_the_default_configuration_is_not_printed(tmp_path: Path) -> None:
    with ServerProcess("a:b", "--print-config", cwd=tmp_path) as server:
        assert server.wait() == 0
        (line,) = (line for line in server.output() if "log_config" in line)
    assert line.split() == "# log_config is not set # default".split()


@pytest.mark.parametrize("kind", ["dict", "path", "json", "parser", "file"])
def test_uvicorns_formatters_without_uvicorn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setattr(log_setup, "_has_uvicorn", lambda: False)
    parser = configparser.RawConfigParser()
    parser.read_string(INI)
    path = tmp_path / ("l.json" if kind == "json" else "l.ini")
    path.write_text(json.dumps(NAMES_UVICORN) if kind == "json" else INI)
    given: dict[str, Any] = {
        "dict": NAMES_UVICORN,
        "path": path,
        "json": str(path),
        "parser": parser,
        "file": io.StringIO(INI),
    }
    before = copy.deepcopy(NAMES_UVICORN)
    cuvee.Config(applications.hello, log_config=given[kind])
    assert type(formatter_of("uvicorn")) is DefaultFormatter
    if kind in ("dict", "json"):
        assert type(formatter_of("uvicorn.access")) is AccessFormatter
    assert before == NAMES_UVICORN
    assert parser["formatter_default"]["class"] == "uvicorn.logging.DefaultFormatter"


def test_uvicorns_formatters_with_uvicorn() -> None:
    uvicorn_logging = pytest.importorskip("uvicorn.logging")
    cuvee.Config(applications.hello, log_config=NAMES_UVICORN)
    assert type(formatter_of("uvicorn")) is uvicorn_logging.DefaultFormatter


def test_whether_uvicorn_is_there() -> None:
    pytest.importorskip("uvicorn")
    assert log_setup._has_uvicorn()


# ---- options of the built-in one -----------------------------------------------------------------


def test_json_changes_both_formatters() -> None:
    config = cuvee.Config(applications.hello, log_format="json")
    assert type(formatter_of("uvicorn")) is JsonFormatter
    assert type(formatter_of("uvicorn.access")) is AccessLineFormatter
    assert config.access_format == "json"
    assert pickle.loads(pickle.dumps(config.log_options)) == {"log_format": "json"}


def test_a_format_of_its_own_goes_before_json() -> None:
    config = cuvee.Config(applications.hello, log_format="json", access_log_format="common")
    assert config.access_format == "common"
    assert type(formatter_of("uvicorn")) is JsonFormatter


def test_changes_of_the_default_configuration_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Many programs change LOGGING_CONFIG in place."""
    monkeypatch.setitem(LOGGING_CONFIG["formatters"]["default"], "fmt", "%(asctime)s %(message)s")
    path = tmp_path / "error.log"
    cuvee.Config(applications.hello, error_logfile=str(path))
    formatter = formatter_of("uvicorn")
    assert type(formatter) is DefaultFormatter
    assert formatter._fmt == "%(asctime)s %(message)s"
    (handler,) = logging.getLogger("uvicorn").handlers
    assert type(handler) is LogFileHandler
    cuvee.Config(applications.hello, error_logfile=str(path))  # opened once more, as in a child
    assert handler.stream.closed


@pytest.mark.parametrize("log_config", [None, {"version": 1}])
def test_options_and_a_configuration_exclude_each_other(log_config: Any) -> None:
    with pytest.raises(ValueError, match="log_format and access_logfile and log_config exclude"):
        cuvee.Config(
            applications.hello, log_config=log_config, log_format="json", access_logfile="-"
        )


def test_levels_are_taken_in_any_case() -> None:
    assert cuvee.Config(applications.hello, log_level="WARNING").log_level == logging.WARNING


def test_json_lines_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    formatter = JsonFormatter()
    made = logging.LogRecord("a.b", logging.ERROR, "", 1, 'say "%s"\n', ("x\ny",), None)
    made.created = 1795918597.0129
    members = json.loads(formatter.format(made))
    assert members == {
        "time": "2026-11-29T02:16:37.012Z",
        "level": "ERROR",
        "logger": "a.b",
        "message": 'say "x\ny"',
    }
    try:
        raise LookupError("é\u2028")
    except LookupError as exc:
        made.exc_info = (type(exc), exc, exc.__traceback__)
    made.stack_info = "Stack (most recent call last):"
    line = formatter.format(made)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    members = json.loads(line)
    assert members["exception"].startswith("Traceback (most recent call last):\n")
    assert members["exception"].endswith("LookupError: é\u2028")
    assert members["stack"] == "Stack (most recent call last):"
    made.exc_info, made.exc_text = None, "kept text"
    assert json.loads(formatter.format(made))["exception"] == "kept text"


def test_other_records_of_the_access_logger() -> None:
    made = logging.LogRecord("uvicorn.access", 20, "", 1, "own %s", ("line",), None)
    assert AccessLineFormatter().format(made) == "own line"
    assert json.loads(AccessLineFormatter(json=True).format(made))["message"] == "own line"


def test_all_lines_of_a_server_are_json() -> None:
    with serve_application("hello", "--log-format", "json") as server:
        connection = json_port(server)
        with connection as client:
            get(client, "/a")
        assert server.stop() == 0
        lines = [json.loads(line) for line in (*server.errors(), *server.output())]
    assert [line["logger"] for line in lines] == ["uvicorn.error"] * 8 + ["uvicorn.access"]
    assert lines[-1]["path"] == "/a"


def json_port(server: ServerProcess) -> Any:
    import socket

    message = json.loads(server.stderr.expect("Cuvee running"))["message"]
    port = int(message.rpartition(" (")[0].rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), 15)


# ---- formats -------------------------------------------------------------------------------------


def test_every_atom_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "logging.md").read_text()
    shown = set(re.findall(r"%\((\w+)\)s", page))
    assert shown == {*GUNICORN, "p"}
    variables = {name.lower() for name in re.findall(r"\$\{?([a-z_0-9]+)", page)}
    others = {"name", "pid", "http_name", "sent_http_name"}
    assert variables - {"http_referer", "http_user_agent", "http_x_forwarded_for"} == {
        *NGINX,
        *others,
    }
    for name, preset in PRESETS.items():
        assert f"| `{name}` | `{preset}` |" in page
    (example,) = (line for line in page.splitlines() if '"client":"10' in line)
    keys = re.findall(r'"(\w+)":', "".join(text for kind, text in JSON if kind == "text"))
    assert list(json.loads(example)) == keys


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_formats(name: str) -> None:
    assert parse(name) == parse(PRESETS[name])
    assert not is_json(name)


def test_presets_of_gunicorn_and_nginx_are_the_same_lines() -> None:
    """The Combined Log Format is one, whoever writes it."""
    theirs = parse(PRESETS["nginx"].removesuffix(' "$http_x_forwarded_for"'))
    same = [("bytes_or_dash", "") if kind == "bytes" else (kind, text) for kind, text in theirs]
    assert joined(parse("combined")) == joined(same)


def joined(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put texts that follow each other together."""
    found: list[tuple[str, str]] = []
    for kind, text in pieces:
        if kind == "text" and found and found[-1][0] == "text":
            found[-1] = ("text", found[-1][1] + text)
        else:
            found.append((kind, text))
    return found


def test_json_is_a_format() -> None:
    assert parse("json") == list(JSON)
    assert is_json("json")
    assert is_json('{"a":$status}')


def test_what_stands_between_atoms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD", 'web"1"\u00e9')
    monkeypatch.delenv("NOT_THERE", raising=False)
    assert parse("100%% $x %({POD}e)s %({NOT_THERE}e)s %(s)s") == [
        ("text", "100"),
        ("text", "%"),
        ("text", " $x "),
        ("text", "web\\x221\\x22\\xC3\\xA9"),
        ("text", " "),
        ("text", "-"),
        ("text", " "),
        ("status", ""),
    ]
    assert parse("${status}x 5% $sent_http_X_Odd_Name") == [
        ("status", ""),
        ("text", "x 5% "),
        ("response_field", "x-odd-name"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("%(hh)s", "has an unknown atom '%(hh)s'; did you mean '%(h)s'?"),
        ("%(h)d", "has an unknown atom '%(h)d': only s may follow, as in %(h)s"),
        ("%(h)", "has an unknown atom '%(h)': only s may follow, as in %(h)s"),
        ("%(h)s %", "has a % that belongs to no atom; %% writes one"),
        ("%(h)s %(u", "has a % that belongs to no atom; %% writes one"),
        ("%({a b}i)s", "has an atom that names no header field: '%({a b}i)s'"),
        ("%({}o)s", "has an atom that names no header field: '%({}o)s'"),
        ("%({x}z)s", "has an unknown atom '%({x}z)s'"),
        ("$remote_add", "has an unknown atom '$remote_add'; did you mean '$remote_addr'?"),
        ("$status $", "has a $ that belongs to no variable"),
        ("$http_", "has an unknown atom '$http_'"),
        ("%(h)s\n", "has a control character: '%(h)s\\n'"),
        ("%h %l", "has no atom like %(h)s or $remote_addr, and is none of common, combined,"),
        ("combine", "has no atom like %(h)s or $remote_addr, and is none of common, combined,"),
    ],
)
def test_a_wrong_format_is_one_line(text: str, says: str) -> None:
    with pytest.raises(ValueError, match="access_log_format has") as caught:
        cuvee.Config(applications.hello, access_log_format=text)
    assert str(caught.value).startswith(f"access_log_format {says}")
    with serve_application("hello", "--access-log-format", text) as server:
        assert server.wait() == 2
        (line,) = server.errors()
    assert line.startswith(f"cuvee: error: --access-log-format {says}")


def test_too_many_fields() -> None:
    text = "".join(f"$http_x{number}" for number in range(65))
    with serve_application("hello", "--access-log-format", text) as server:
        assert server.wait() == 2
        (line,) = server.errors()
    assert line == "cuvee: error: --access-log-format has more than 64 header fields in it"
