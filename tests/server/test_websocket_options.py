# SPDX-License-Identifier: MIT
"""The options of WebSocket, from the command line to what the C server is given; what they do is tested elsewhere."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cuvee
from cuvee import _core
from cuvee.cli import _parse
from cuvee.option_groups import WEBSOCKET
from cuvee.options import OPTIONS
from cuvee.settings import SettingsError, gather
from tests.server import applications
from tests.support.asgi import WAIT

LEAST_AND_MOST = {
    "ws_max_size": (0, 2**53),
    "ws_max_queue": (0, 2**30),
    "ws_ping_interval": (0, 4294967),
    "ws_ping_timeout": (0, 4294967),
    "ws_per_message_deflate": (0, 1),
    "ws_deflate_level": (1, 9),
    "ws_deflate_window": (9, 15),
    "ws_deflate_threshold": (0, 2**30),
    "ws_deflate_context": (0, 1),
    "ws_send_queue": (1, 2**30),
    "ws_idle_timeout": (0, 4294967),
    "ws_close_timeout": (0, 4294967),
    "limit_websockets": (0, 2**30),
}
UNBOUNDED = ("ws_max_size", "ws_max_queue", "limit_websockets")
INTERVALS = ("ws_ping_interval", "ws_ping_timeout", "ws_idle_timeout")


def config(**options: Any) -> cuvee.Config:
    """Return options that leave logging alone."""
    return cuvee.Config(applications.hello, log_config=None, **options)


def given(**options: Any) -> dict[str, float]:
    """What the C server is given, which has WebSocket on."""
    found = config(**options).websocket
    assert found is not None
    return found


def said(*arguments: str) -> Any:
    """The one value that a command line means."""
    (setting,) = gather(_parse(arguments), {}, "").values.values()
    return setting.value


def make(websocket: Any) -> dict[str, int]:
    """Make a server with these settings, and return its counters."""
    loop = cuvee.new_event_loop()
    try:
        core = _core.Server(applications.hello, loop, websocket=websocket, log=print)
        try:
            return core.limited
        finally:
            core.close()
    finally:
        loop.close()


def test_every_option_reaches_the_server() -> None:
    assert {"ws", *WEBSOCKET} == {option.name for option in OPTIONS if option.group == "WebSocket"}
    parameters = inspect.signature(cuvee.Config).parameters
    assert given() == {name: parameters[name].default or 0 for name in WEBSOCKET}
    others = {
        name: 11 if "deflate" not in name else high for name, (_, high) in LEAST_AND_MOST.items()
    }
    flags = {name: bool(others[name]) for name in WEBSOCKET if LEAST_AND_MOST[name] == (0, 1)}
    assert given(**{**others, **flags}) == others
    assert make(others).keys() == make(None).keys()


@pytest.mark.parametrize("ws", ["auto", "websockets", "websockets-sansio", "wsproto"])
def test_each_implementation_of_uvicorns_is_ours(ws: str) -> None:
    assert said("--ws", ws) == ws
    assert given(ws=ws) == given()


@pytest.mark.parametrize("options", [{"ws": "none"}, {"interface": "wsgi"}])
def test_off(options: dict[str, Any]) -> None:
    """The other options may say what they like."""
    assert config(**options, ws_max_size=5, ws_per_message_deflate=False).websocket is None


@pytest.mark.parametrize("name", [*UNBOUNDED, *INTERVALS])
@pytest.mark.parametrize("word", ["0", "none"])
def test_switched_off_by_text(tmp_path: Path, name: str, word: str) -> None:
    """On the command line, by a variable, in a file; and what is printed means the same again."""
    assert said(f"--{name.replace('_', '-')}", word) == 0
    for variable in ("CUVEE_", "UVICORN_"):
        assert gather({}, {variable + name.upper(): word}, "").values[name].value == 0
    file = tmp_path / "cuvee.toml"
    file.write_text(f"{name} = 0\n" if word == "0" else f'{name} = "none"\n')
    assert gather({}, {}, str(file)).values[name].value == 0
    assert given(**{name: 0})[name] == 0


@pytest.mark.parametrize("name", INTERVALS)
def test_below_0_is_off(name: str) -> None:
    """As uvicorn's, which keeps what it was given."""
    assert said(f"--{name.replace('_', '-')}", "-1") == -1
    for value in (-1, -0.5, None, 0, 0.0, "none"):
        assert given(**{name: value})[name] == 0
    assert getattr(config(**{name: -1}), name) == -1
    assert given(**{name: 0.25})[name] == 0.25


@pytest.mark.parametrize("name", UNBOUNDED)
def test_none_is_no_limit(name: str) -> None:
    for value in (None, 0, "none"):
        assert given(**{name: value})[name] == 0
    assert given(**{name: 7})[name] == 7


def test_what_is_printed_gives_the_same(tmp_path: Path) -> None:
    arguments = ("a:b", "--ws-ping-interval", "none", "--ws-max-size", "0", "--ws-deflate-context")
    line = [sys.executable, "-m", "cuvee"]
    once = subprocess.run(
        [*line, *arguments, "--print-config"],
        capture_output=True,
        text=True,
        timeout=WAIT,
        cwd=tmp_path,
    ).stdout
    (tmp_path / "printed.toml").write_text(once)
    values = gather({}, {}, str(tmp_path / "printed.toml")).values
    names = ("ws_ping_interval", "ws_max_size", "ws_deflate_context")
    assert [values[name].value for name in names] == [0, 0, True]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        (
            "--ws",
            "package.module:Protocol",
            "one of auto, none, websockets, websockets-sansio, wsproto, which all but none mean "
            "cuvee's own",
        ),
        ("--ws-max-size", "-1", "a whole number between 0 and 9007199254740992, or none"),
        ("--ws-max-size", "16M", "a whole number between 0 and 9007199254740992, or none"),
        ("--ws-max-queue", "1.5", "a whole number between 0 and 1073741824, or none"),
        ("--limit-websockets", "None", "a whole number between 0 and 1073741824, or none"),
        ("--ws-ping-interval", "off", "a number of seconds up to 4294967, or none"),
        ("--ws-ping-timeout", "nan", "a number of seconds up to 4294967, or none"),
        ("--ws-idle-timeout", "4294968", "a number of seconds up to 4294967, or none"),
        ("--ws-close-timeout", "-1", "a number of seconds up to 4294967"),
        ("--ws-per-message-deflate", "maybe", "true or false"),
        ("--ws-deflate-level", "0", "a whole number between 1 and 9"),
        ("--ws-deflate-level", "10", "a whole number between 1 and 9"),
        ("--ws-deflate-window", "8", "a whole number between 9 and 15"),
        ("--ws-deflate-window", "16", "a whole number between 9 and 15"),
        ("--ws-deflate-threshold", "-1", "a whole number between 0 and 1073741824"),
        ("--ws-send-queue", "0", "a whole number between 1 and 1073741824"),
    ],
)
def test_mistakes_are_one_line(option: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        said(option, value)
    assert str(caught.value) == f"{option} must be {expected}, not {value!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ws_max_size", True),
        ("ws_max_size", 1.5),
        ("ws_ping_interval", True),
        ("ws_ping_interval", float("inf")),
        ("ws_deflate_context", 2),
        ("ws_close_timeout", None),
        ("ws_send_queue", "none"),
        ("limit_websockets", -1),
    ],
)
def test_mistakes_in_python(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be ") as caught:
        config(**{name: value})
    assert str(caught.value).endswith(f", not {value!r}")


@pytest.mark.parametrize(("name", "bounds"), LEAST_AND_MOST.items())
def test_the_c_server_checks_for_itself(name: str, bounds: tuple[int, int]) -> None:
    least, most = bounds
    make({name: least})
    make({name: most})
    for value in (least - 1, most * 1.5, float("nan")):
        with pytest.raises(ValueError) as caught:
            make({name: value})
        assert str(caught.value) == f"{name} is out of range: {value!r}"


@pytest.mark.parametrize(
    ("websocket", "message"),
    [
        ([], "websocket must be a dict or None"),
        ({"ws": 1}, "there is no setting of WebSocket 'ws'"),
        ({"ws_max_size": None}, "must be real number, not NoneType"),
    ],
)
def test_what_is_no_setting(websocket: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        make(websocket)
    assert str(caught.value) == message


def test_what_ends_a_websocket_is_counted() -> None:
    counted = make({})
    ends = ("limit_websockets", "ws_max_size", "ws_ping_timeout", "ws_idle_timeout")
    assert [counted[name] for name in (*ends, "ws_close_timeout")] == [0] * 5
