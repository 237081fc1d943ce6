# SPDX-License-Identifier: MIT
"""Where options come from: their order, and one line with the source for every mistake."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cuvee
from cuvee import kinds, settings
from cuvee.options import OPTIONS
from tests.support.asgi import WAIT
from tests.support.server_process import APPLICATIONS


def command(
    folder: Path, *arguments: str, file: str = "", name: str = "cuvee.toml", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end in `folder`, with a file and variables of its own."""
    if file:
        (folder / name).write_text(file)
    others = {
        key: value for key, value in os.environ.items() if not key.startswith(settings.PREFIXES)
    }
    return subprocess.run(
        [sys.executable, "-m", "cuvee", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT,
        cwd=folder,
        env={**others, **variables},
    )


def printed(done: subprocess.CompletedProcess[str], option: str) -> str:
    """What --print-config says of an option, without the blanks in between."""
    assert done.returncode == 0, done.stderr
    (line,) = [
        line
        for line in done.stdout.splitlines()
        if line.startswith((f"{option} =", f"# {option} "))
    ]
    return " ".join(line.split())


ONLY_IN_PYTHON = {"app", "callback_notify", "timeout_notify", "ssl_context_factory"}


def test_every_option_is_an_argument_of_config_and_has_a_valid_default() -> None:
    parameters = inspect.signature(cuvee.Config).parameters
    assert {option.name for option in OPTIONS} == set(parameters) - ONLY_IN_PYTHON
    for option in OPTIONS:
        default = parameters[option.name].default
        assert option.kind.check(default) == default, option.name
    assert len({option.option_string for option in OPTIONS}) == len(OPTIONS)


def test_the_first_source_that_says_something_decides(tmp_path: Path) -> None:
    file = "port = 1\n"
    both = {"UVICORN_PORT": "2", "CUVEE_PORT": "3"}
    asked = ("a:b", "--print-config")
    assert printed(command(tmp_path, *asked), "port") == "port = 8000 # default"
    done = command(tmp_path, *asked, file=file)
    assert printed(done, "port") == "port = 1 # cuvee.toml:1"
    done = command(tmp_path, *asked, UVICORN_PORT="2")
    assert printed(done, "port") == "port = 2 # UVICORN_PORT"
    done = command(tmp_path, *asked, **both)
    assert printed(done, "port") == "port = 3 # CUVEE_PORT"
    done = command(tmp_path, *asked, "--port", "4", **both)
    assert printed(done, "port") == "port = 4 # command line"
    done = command(tmp_path, *asked, CUVEE_PORT="", UVICORN_PORT="")
    assert printed(done, "port") == "port = 1 # cuvee.toml:1"


def test_flags_can_be_switched_off_again(tmp_path: Path) -> None:
    file = "[tool.cuvee]\nfactory = true\naccess-log = false\n"
    asked = ("a:b", "--print-config")
    done = command(tmp_path, *asked, file=file, name="pyproject.toml")
    assert printed(done, "factory") == "factory = true # pyproject.toml:2"
    assert printed(done, "access_log") == "access_log = false # pyproject.toml:3"
    done = command(tmp_path, *asked, "--no-factory", UVICORN_ACCESS_LOG="yes")
    assert printed(done, "factory") == "factory = false # command line"
    assert printed(done, "access_log") == "access_log = true # UVICORN_ACCESS_LOG"


def test_what_is_printed_is_a_file_that_gives_the_same(tmp_path: Path) -> None:
    arguments = (
        "a:b",
        "--host",
        'a "strange" one',
        "--extensions",
        "none",
        "--timeout-head",
        "1.5",
    )
    first = command(tmp_path, *arguments, "--print-config")
    values = tomllib.loads(first.stdout)
    assert values["app"] == "a:b"
    assert values["host"] == 'a "strange" one'
    assert values["extensions"] == []
    assert values["timeout_head"] == 1.5
    again = command(tmp_path, "--print-config", file=first.stdout)
    assert tomllib.loads(again.stdout) == values


def test_the_file_can_be_named(tmp_path: Path) -> None:
    command(tmp_path, file="port = 1\n", name="other.toml")
    done = command(tmp_path, "--config", "other.toml", "--print-config", file="port = 2\n")
    assert printed(done, "port") == "port = 1 # other.toml:1"
    done = command(tmp_path, "--print-config", CUVEE_CONFIG="other.toml")
    assert printed(done, "port") == "port = 1 # other.toml:1"


def test_a_project_file_that_says_nothing_of_cuvee_is_left_alone(tmp_path: Path) -> None:
    file = '[project]\nname = "cuvee-user"\n\n[tool.other]\ncuvee = 1 = 2\n'
    done = command(tmp_path, "a:b", "--print-config", file=file, name="pyproject.toml")
    assert printed(done, "port") == "port = 8000 # default"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            '\n port = "http"\n',
            "cuvee.toml:2: port must be a whole number between 0 and 65535, not 'http'",
        ),
        (
            "port = true\n",
            "cuvee.toml:1: port must be a whole number between 0 and 65535, not True",
        ),
        ("host = 1\n", "cuvee.toml:1: host must be a text, not 1"),
        ("access-log = 2\n", "cuvee.toml:1: access-log must be true or false, not 2"),
        (
            "[timeout-head]\nx = 1\n",
            "cuvee.toml:1: timeout-head must be a number of seconds, not {'x': 1}",
        ),
        (
            'extensions = ["trailers", "push"]\n',
            "cuvee.toml:1: extensions must be some of early_hint, trailers, pathsend, "
            "zerocopysend, not 'push'",
        ),
        ("\n\nprot = 1\n", "cuvee.toml:3: no such option: 'prot'. Did you mean 'port'?"),
        ("xyzzy = 1\n", "cuvee.toml:1: no such option: 'xyzzy'."),
        ("log-level = 'info'\nlog_level = 'info'\n", "cuvee.toml:2: log_level is there twice"),
        ("port = \n", "cuvee.toml is not TOML: Invalid value (at line 1, column 8)"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(tmp_path: Path, file: str, message: str) -> None:
    done = command(tmp_path, "a:b", file=file)
    assert (done.stdout, done.stderr) == ("", f"cuvee: error: {message}\n")
    assert done.returncode == 2


def test_a_mistake_in_the_project_file_has_its_line_there(tmp_path: Path) -> None:
    file = '[project]\nport = 1\n[tool."cuvee"]\nport = -1\n'
    done = command(tmp_path, "a:b", file=file, name="pyproject.toml")
    assert done.stderr.startswith("cuvee: error: pyproject.toml:4: port must be")
    done = command(tmp_path, "a:b", file="[tool]\ncuvee = 3\n", name="pyproject.toml")
    assert done.stderr == "cuvee: error: pyproject.toml: tool.cuvee must be a table\n"
    assert done.returncode == 2


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    done = command(tmp_path, "a:b", "--config", "nowhere.toml")
    assert done.stderr == ("cuvee: error: nowhere.toml can't be read: no such file or directory\n")
    assert done.returncode == 2
    (tmp_path / "cuvee.toml").mkdir()
    done = command(tmp_path, "a:b")
    assert done.stderr == "cuvee: error: cuvee.toml can't be read: is a directory\n"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"CUVEE_PORT": "http"},
            "CUVEE_PORT must be a whole number between 0 and 65535, not 'http'",
        ),
        ({"UVICORN_FACTORY": "maybe"}, "UVICORN_FACTORY must be true or false, not 'maybe'"),
        (
            {"UVICORN_LIFESPAN": "ON"},
            "UVICORN_LIFESPAN must be one of auto, on, off, not 'ON'",
        ),
        (
            {"UVICORN_FORWARDED_ALLOW_IPS": "10"},
            "UVICORN_FORWARDED_ALLOW_IPS is wrong: '10' is neither an address nor a network",
        ),
        (
            {"FORWARDED_ALLOW_IPS": "::1/64"},
            "FORWARDED_ALLOW_IPS is wrong: '::1/64' has bits set behind its prefix; the network it "
            "is in is '::/64'",
        ),
    ],
)
def test_a_mistake_in_a_variable_is_one_line(
    tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    done = command(tmp_path, "a:b", **variables)
    assert (done.stdout, done.stderr) == ("", f"cuvee: error: {message}\n")
    assert done.returncode == 2


def test_unknown_variables_are_a_warning(tmp_path: Path) -> None:
    done = command(tmp_path, "a:b", "--print-config", CUVEE_PROT="1", UVICORN_XYZZY="1")
    assert sorted(done.stderr.splitlines()) == [
        "cuvee: warning: CUVEE_PROT is ignored: there is no such option. Did you mean 'CUVEE_PORT'?",
        "cuvee: warning: UVICORN_XYZZY is ignored: there is no such option.",
    ]
    assert done.returncode == 0


def test_what_kubernetes_says_of_a_service_is_ignored(tmp_path: Path) -> None:
    done = command(
        tmp_path,
        "a:b",
        "--print-config",
        CUVEE_PORT="tcp://10.0.0.1:80",
        CUVEE_SERVICE_HOST="10.0.0.1",
        CUVEE_SERVICE_PORT="80",
        CUVEE_SERVICE_PORT_HTTP="80",
        CUVEE_PORT_80_TCP="tcp://10.0.0.1:80",
        CUVEE_PORT_80_TCP_ADDR="10.0.0.1",
        CUVEE_PORT_80_TCP_PROTO="tcp",
        UVICORN_PORT="81",
    )
    assert printed(done, "port") == "port = 81 # UVICORN_PORT"
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("cuvee: warning: CUVEE_PORT=tcp://10.0.0.1:80 is ignored: ")


def test_a_builds_variables_are_no_options(tmp_path: Path) -> None:
    done = command(tmp_path, "a:b", "--print-config", CUVEE_WERROR="1", CUVEE_CACHE_DIR="x")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_application_may_come_from_anywhere(tmp_path: Path) -> None:
    applications = str(APPLICATIONS)
    for given in (
        command(tmp_path, "applications:hello", "--app-dir", applications, "--check-config"),
        command(
            tmp_path, "--check-config", CUVEE_APP="applications:hello", UVICORN_APP_DIR=applications
        ),
        command(
            tmp_path,
            "--check-config",
            file=f'app = "applications:hello"\napp-dir = "{applications}"\n',
        ),
    ):
        assert given.stdout == "cuvee: options and application are in order\n"
        assert (given.returncode, given.stderr) == (0, "")


def test_a_check_finds_what_a_start_would(tmp_path: Path) -> None:
    done = command(tmp_path, "nowhere:app", "--check-config")
    assert done.stderr == 'ERROR:    Error loading ASGI app. Could not import module "nowhere".\n'
    assert done.returncode == 3
    (tmp_path / "failing.py").write_text("raise LookupError('of the application')")
    done = command(tmp_path, "failing:app", "--check-config")
    assert done.stderr.endswith("LookupError: of the application\n")
    assert done.returncode == 1
    done = command(tmp_path, "--check-config")
    assert done.stderr.startswith("cuvee: error: missing argument APP")
    assert done.returncode == 2


def test_kinds_read_text_and_check_objects() -> None:
    assert kinds.Octal(0, 0o777).parse("660") == 0o660
    assert kinds.Octal(0, 0o777).check("660") == 0o660
    assert kinds.Octal(0, 0o777).check(0o660) == 0o660
    with pytest.raises(ValueError, match="must be octal digits between 0 and 777, not '888'"):
        kinds.Octal(0, 0o777).parse("888")
    assert kinds.Many(kinds.Text()).parse(" a  b ") == ["a", "b"]
    assert kinds.Many(kinds.Text()).check("a") == ["a"]
    assert kinds.Many(kinds.Text()).check(None) is None
    assert kinds.Paths().parse(os.pathsep.join(("a b", "c"))) == ["a b", "c"]
    with pytest.raises(ValueError, match="must be a list of values, each a text, not 1"):
        kinds.Many(kinds.Text()).check(1)
    assert kinds.Boolean().parse("False") is False
    assert not kinds.Boolean().is_flag
    assert kinds.Level(("info",)).check(7) == 7
    with pytest.raises(ValueError, match="must be one of info, not True"):
        kinds.Level(("info",)).check(True)
    assert kinds.Anything().check(settings) is settings


def test_what_contradicts_another_option_is_told_with_its_source(tmp_path: Path) -> None:
    rest = "cannot stand beside bind, which names every place itself"
    done = command(tmp_path, "a:b", "--bind", ":0", "--port", "1")
    assert done.stderr == f"cuvee: error: --port {rest}\n"
    done = command(tmp_path, "a:b", UVICORN_BIND=":0", UVICORN_PORT="1")
    assert done.stderr == f"cuvee: error: UVICORN_PORT {rest}\n"
    done = command(tmp_path, "a:b", file="bind = ':0'\nport = 1\n")
    assert done.stderr == f"cuvee: error: cuvee.toml:2: port {rest}\n"
    assert done.returncode == 2


PLACES = ("host", "port", "uds", "fd", "bind")


@pytest.mark.parametrize(
    ("arguments", "variables", "file", "expected"),
    [
        (("--port", "1"), {"CUVEE_BIND": ":2"}, "", {"port"}),
        (("--host", "::1"), {}, "bind = ':2'", {"host"}),
        (("--uds", "x"), {"UVICORN_BIND": ":2"}, "bind = ':3'", {"uds"}),
        (("--fd", "3"), {"UVICORN_BIND": ":2", "CUVEE_PORT": "3"}, "", {"fd", "port"}),
        (("--bind", ":1"), {"CUVEE_PORT": "2", "UVICORN_HOST": "::1"}, "fd = 3", {"bind"}),
        ((), {"CUVEE_BIND": ":1", "UVICORN_UDS": "x"}, "port = 3", {"bind"}),
        ((), {"UVICORN_BIND": ":1", "CUVEE_UDS": "x"}, "port = 3", {"uds", "port"}),
        ((), {"UVICORN_PORT": "1"}, "bind = ':3'", {"port"}),
    ],
)
def test_a_place_goes_before_those_of_later_sources(
    tmp_path: Path,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    file: str,
    expected: set[str],
) -> None:
    done = command(tmp_path, "a:b", "--print-config", *arguments, file=file, **variables)
    places = {name: printed(done, name) for name in PLACES}
    assert {name for name, line in places.items() if not line.endswith("# default")} == expected
