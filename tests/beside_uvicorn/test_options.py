# SPDX-License-Identifier: MIT
"""Every option of the uvicorn that is installed is there: flag, type, default, variable, and Config's argument."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import click
import pytest
import uvicorn
from uvicorn.main import main

import cuvee
from cuvee.compat import names
from cuvee.kinds import Choice, Flag, Form, Many, Seconds, Whole
from cuvee.one_way import Nothing
from cuvee.options import BY_NAME, OPTIONS
from cuvee.settings import SettingsError, gather

RELEASE = "0.54.0"
NO_OPTIONS = {"app", "version"}
OTHER_DEFAULTS: dict[str, Any] = {"app_dir": None, "log_config": cuvee.logging.LOGGING_CONFIG}
"""Where the default stands in another place than uvicorn's command line: in `main`, or in uvicorn's Config."""
FEWER_WORDS = {"http", "ws", "loop"}
"""Words in uvicorn's metavar, any text in its type."""

PARAMETERS = {parameter.name or "": parameter for parameter in main.params}
THERE = sorted(set(PARAMETERS) - NO_OPTIONS)


def default_of(name: str) -> Any:
    """Return what cuvee takes where nobody sets the option."""
    return inspect.signature(cuvee.Config).parameters[name].default


def click_default(parameter: click.Parameter) -> Any:
    """Return what click gives to uvicorn; an empty list becomes None there."""
    return None if type(parameter.default).__name__ == "Sentinel" else parameter.default


def test_it_is_the_release_that_this_is_about() -> None:
    assert uvicorn.__version__ == RELEASE


def test_every_option_is_there() -> None:
    there = {option.name for option in OPTIONS}
    assert set(PARAMETERS) - NO_OPTIONS <= there


@pytest.mark.parametrize("name", THERE)
def test_flag_and_default_are_uvicorns(name: str) -> None:
    parameter = PARAMETERS[name]
    assert [BY_NAME[name].option_string] == parameter.opts
    assert default_of(name) == OTHER_DEFAULTS.get(name, click_default(parameter))
    assert type(default_of(name)) is type(click_default(parameter)) or name in OTHER_DEFAULTS
    negated = [f"--no-{text[2:]}" for text in parameter.opts]
    assert parameter.secondary_opts in ([], negated)
    assert BY_NAME[name].kind.is_flag or not parameter.secondary_opts


@pytest.mark.parametrize("name", THERE)
def test_type_is_uvicorns(name: str) -> None:
    parameter = PARAMETERS[name]
    assert isinstance(parameter, click.Option)
    kind = BY_NAME[name].kind
    assert kind.is_flag == bool(parameter.is_flag)
    assert kind.is_many == parameter.multiple
    inner: Any = kind.kind if isinstance(kind, Nothing | Many) else kind
    if isinstance(parameter.type, click.Choice):
        assert isinstance(inner, Choice)
        assert inner.words == tuple(parameter.type.choices)
    elif isinstance(parameter.type, type(click.INT)):
        assert isinstance(inner, Whole | Seconds)  # which takes whole numbers too
    elif isinstance(parameter.type, type(click.FLOAT)):
        assert isinstance(inner, Seconds)
    elif isinstance(parameter.type, type(click.BOOL)):
        assert isinstance(inner, Flag)
    elif name in FEWER_WORDS:
        assert isinstance(inner, Choice | Form)
    else:
        assert not isinstance(inner, Choice | Whole | Seconds | Flag)


SAMPLES = {
    "host": "::1",
    "port": "81",
    "uds": "/tmp/socket",
    "fd": "3",
    "workers": "1",
    "loop": "uvloop",
    "http": "h11",
    "http2": "0",
    "ws": "wsproto",
    "ws_max_size": "1000",
    "ws_max_queue": "5",
    "ws_ping_interval": "2.5",
    "ws_ping_timeout": "7",
    "ws_per_message_deflate": "no",
    "lifespan": "off",
    "log_config": "/dev/null",
    "log_level": "trace",
    "access_log": "false",
    "use_colors": "1",
    "server_header": "off",
    "date_header": "0",
    "root_path": "/a b",
    "limit_concurrency": "12",
    "backlog": "128",
    "timeout_keep_alive": "9",
    "timeout_graceful_shutdown": "8",
    "timeout_worker_healthcheck": "6",
    "ssl_version": "17",
    "ssl_cert_reqs": "0",
    "app_dir": "folder",
    "h11_max_incomplete_event_size": "32768",
    "factory": "true",
    "proxy_headers": "no",
    "forwarded_allow_ips": "10.0.0.1,10.1.0.0/16",
    "reload": "1",
    "reload_delay": "0.5",
    "reload_dirs": "/tmp",
    "reload_includes": "*.html *.css",
    "reload_excludes": "*.tmp",
    "interface": "wsgi",
    "env_file": __file__,
    "headers": "X-One:1 X-Two:a:b",
    "limit_max_requests": "1000",
    "limit_max_requests_jitter": "10",
    "reset_contextvars": "1",
}
"""A value of each option's variable; what is refused whatever it says has none."""


def test_every_option_has_a_sample() -> None:
    refused = {option.name for option in OPTIONS if isinstance(option.kind, Nothing)}
    assert set(SAMPLES) >= set(THERE) - refused


def meant(name: str, value: Any) -> Any:
    """Return what uvicorn makes of a value when it calls its Config."""
    if name == "headers":
        return [tuple(text.split(":", 1)) for text in value]
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_variable_means_the_same(name: str) -> None:
    """uvicorn's own variable, and ours, which goes before it."""
    context = main.make_context("uvicorn", ["app"], auto_envvar_prefix="UVICORN")
    parameter = PARAMETERS[name]
    variable = f"UVICORN_{name.upper()}"
    assert context.auto_envvar_prefix == "UVICORN"
    text: Any = SAMPLES[name]
    if parameter.multiple:
        text = parameter.type.split_envvar_value(text)
    expected = meant(name, parameter.type_cast_value(context, text))
    for source in (variable, f"CUVEE_{name.upper()}"):
        (found,) = gather({}, {source: SAMPLES[name]}, "").values.values()
        assert found.value == expected
        assert found.source == source


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_command_line_means_the_same(name: str) -> None:
    parameter = PARAMETERS[name]
    option = parameter.opts[0]
    assert isinstance(parameter, click.Option)
    words = [option] if parameter.is_flag else [option, SAMPLES[name]]
    if name == "http2":
        return  # it can be said, and is refused: below
    theirs = meant(name, main.make_context("uvicorn", [*words, "app"]).params[name])
    ours = cuvee.cli._parse([*words, "app"])[name]
    assert (
        ours if parameter.is_flag else gather({name: ours}, {}, "").values[name].value
    ) == theirs


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ws", "auto"),
        ("ws", "none"),
        ("ws", "websockets"),
        ("ws", "websockets-sansio"),
        ("ws_max_size", "0"),
        ("ws_max_queue", "0"),
        ("ws_ping_interval", "0"),
        ("ws_ping_interval", "-1"),
        ("ws_ping_timeout", "-0.5"),
        ("ws_per_message_deflate", "true"),
    ],
)
def test_value_of_websocket_means_the_same(name: str, text: str) -> None:
    """Also in the end: the Config of each has it, and keeps it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Nothing."""

    option = BY_NAME[name].option_string
    theirs = main.make_context("uvicorn", [f"{option}={text}", "app"]).params[name]
    ours = gather({name: text}, {}, "").values[name].value
    assert ours == theirs
    made: list[Any] = [
        config(app, log_config=None, **{name: ours}) for config in (uvicorn.Config, cuvee.Config)
    ]
    assert getattr(made[0], name) == getattr(made[1], name)


def test_protocols_of_websocket_are_uvicorns() -> None:
    assert set(names.WS_PROTOCOLS) == set(uvicorn.config.WS_PROTOCOLS)
    assert typing.get_args(cuvee.config.WSType) == typing.get_args(uvicorn.config.WSProtocolType)
    theirs = {name for name, protocol in uvicorn.config.WS_PROTOCOLS.items() if protocol is None}
    assert {name for name, protocol in names.WS_PROTOCOLS.items() if protocol is None} == theirs


@pytest.mark.parametrize("interface", ["wsgi", "asgi3"])
def test_wsgi_has_no_websocket(interface: Any) -> None:
    theirs = uvicorn.Config(print, log_config=None, interface=interface)
    theirs.load()
    ours = cuvee.Config(print, log_config=None, interface=interface)
    assert (theirs.ws_protocol_class is None) == (interface == "wsgi")
    assert (ours.ws_protocol_class is None) == (interface == "wsgi")


REFUSED = {
    "http2": "1",
    "ssl_keyfile": "key.pem",
    "ssl_certfile": "cert.pem",
    "ssl_keyfile_password": "secret",
    "ssl_version": "2",
    "ssl_cert_reqs": "1",
    "ssl_ca_certs": "ca.pem",
    "ssl_ciphers": "ALL",
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_there_yet_is_one_line_without_the_value_of_a_password(name: str) -> None:
    variable = f"UVICORN_{name.upper()}"
    with pytest.raises(SettingsError) as caught:
        gather({}, {variable: REFUSED[name]}, "")
    assert str(caught.value).startswith(f"{variable} must be ")
    assert "not there yet" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_config_has_every_argument_of_uvicorns_with_its_default() -> None:
    theirs = inspect.signature(uvicorn.Config).parameters
    ours = inspect.signature(cuvee.Config).parameters
    missing = set(theirs) - set(ours)
    assert not missing
    for name in set(theirs) - {"log_config"}:
        assert ours[name].default == theirs[name].default, name
    assert [*theirs][:5] == [*ours][:5]


def test_config_and_server_have_what_is_asked_of_them() -> None:
    """Every public attribute and method of uvicorn's, but for what reloading has."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Nothing."""

    theirs = uvicorn.Config(app, log_config=None)
    theirs.load()
    ours = cuvee.Config(app, log_config=None)
    ours.load()
    public = {name for name in dir(theirs) if not name.startswith("_")}
    gaps = {name for name in public if not hasattr(ours, name)}
    assert not gaps
    server = uvicorn.Server(theirs)
    public = {name for name in dir(server) if not name.startswith("__")}
    gaps = {name for name in public if not hasattr(cuvee.Server(ours), name)}
    assert gaps == {"_wait_tasks_to_complete"}
    public = {name for name in dir(server.server_state) if not name.startswith("_")}
    assert all(hasattr(cuvee.Server(ours).server_state, name) for name in public)
