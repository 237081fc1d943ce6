# SPDX-License-Identifier: MIT
"""`cuvee.Config` and the import strings: defaults, mistakes, logging."""

from __future__ import annotations

import inspect
import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cuvee
from cuvee import _core
from cuvee.importer import ImportFromStringError, application_traceback, import_from_string
from cuvee.logging import LOGGING_CONFIG, TRACE_LOG_LEVEL, AccessFormatter, DefaultFormatter
from cuvee.option_groups import LIMITS, WEBSOCKET
from tests.server import applications

NAMES = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Leave the loggers as they were."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(one.level, one.handlers[:], one.propagate) for one in loggers]
    yield
    for one, (level, handlers, propagate) in zip(loggers, before, strict=True):
        one.setLevel(level)
        one.handlers[:] = handlers
        one.propagate = propagate


def test_defaults_are_uvicorns() -> None:
    config = cuvee.Config(applications.hello)
    expected: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 8000,
        "uds": None,
        "fd": None,
        "backlog": 2048,
        "log_level": None,
        "access_log": True,
        "use_colors": None,
        "lifespan": "auto",
        "root_path": "",
        "factory": False,
        "timeout_keep_alive": 5,
        "timeout_head": 30,
        "timeout_body": 60,
        "timeout_unread_body": 5,
        "timeout_write": 60,
        "timeout_linger": 2,
        "timeout_request": None,
        "limit_request_line": 16384,
        "limit_request_head": 65536,
        "limit_request_fields": 100,
        "limit_request_body": None,
        "limit_body_rate": 240,
        "limit_concurrency": None,
        "limit_requests": None,
        "limit_connections": None,
        "limit_connection_requests": None,
        "limit_read_buffer": 65536,
        "limit_write_buffer": 65536,
        "on_disconnect": "notify",
        "cancel_methods": "all",
        "cancel_grace": None,
        "half_close": False,
        "proxy_headers": True,
        "forwarded_allow_ips": "127.0.0.1,::1",
        "forwarded_headers": "x-forwarded",
        "forwarded_hops": None,
        "proxy_protocol": False,
        "tcp_user_timeout": 0,
        "tcp_keepalive": 0,
        "timeout_graceful_shutdown": None,
        "date_header": True,
        "server_header": True,
        "headers": [],
        "encoded_headers": [(b"server", b"cuvee")],
        "reset_contextvars": False,
        "interface": "auto",
        "wsgi_threads": 10,
        "env_file": None,
        "limit_max_requests": None,
        "limit_max_requests_jitter": 0,
        "gc_freeze": True,
        "loaded": False,
        "asgi_version": "3.0",
        "is_ssl": False,
    }
    assert {name: getattr(config, name) for name in expected} == expected


def test_run_takes_what_config_takes() -> None:
    of_config = inspect.signature(cuvee.Config).parameters
    of_run = inspect.signature(cuvee.run).parameters
    assert list(of_run.values()) == list(of_config.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 65536}, "port must be a whole number between 0 and 65535, not 65536"),
        ({"port": "http"}, "port must be a whole number between 0 and 65535, not 'http'"),
        ({"access_log": "no"}, "access_log must be true or false, not 'no'"),
        ({"access_log": 2}, "access_log must be true or false, not 2"),
        ({"uds": b"socket"}, "uds must be a path, not b'socket'"),
        ({"port": True}, "port must be a whole number between 0 and 65535, not True"),
        ({"fd": -1}, "fd must be a whole number between 0 and 2147483647, not -1"),
        ({"backlog": 0.5}, "backlog must be a whole number between 0 and 2147483647, not 0.5"),
        ({"lifespan": "maybe"}, "lifespan must be one of auto, on, off, not 'maybe'"),
        ({"cancel_methods": "none"}, "cancel_methods must be one of all, safe, not 'none'"),
        (
            {"log_level": "loud"},
            "log_level must be one of critical, error, warning, info, debug, trace, not 'loud'",
        ),
        (
            {"forwarded_headers": "both"},
            "forwarded_headers must be one of x-forwarded, forwarded, not 'both'",
        ),
        (
            {"forwarded_hops": 0},
            "forwarded_hops must be a whole number between 1 and 100, not 0",
        ),
        ({"proxy_protocol": "v2"}, "proxy_protocol must be true or false, not 'v2'"),
        ({"forwarded_allow_ips": 1}, "forwarded_allow_ips is wrong: 1 is no list of hosts"),
        (
            {"forwarded_allow_ips": ["::1", 1]},
            "forwarded_allow_ips is wrong: ['::1', 1] is no list of hosts",
        ),
        (
            {"forwarded_allow_ips": "127.0.0.1, 10.1.0.0/8"},
            "forwarded_allow_ips is wrong: '10.1.0.0/8' has bits set behind its prefix; "
            "the network it is in is '10.0.0.0/8'",
        ),
        (
            {"forwarded_allow_ips": ["10.0.0.0/33"]},
            "forwarded_allow_ips is wrong: '10.0.0.0/33' is no network",
        ),
        (
            {"forwarded_allow_ips": "300.1.1.1"},
            "forwarded_allow_ips is wrong: '300.1.1.1' is neither an address nor a network",
        ),
        (
            {"forwarded_allow_ips": "::g, ::1::"},
            "forwarded_allow_ips is wrong: '::1::' is neither an address nor a network",
        ),
        (
            {"forwarded_allow_ips": "127.0.0.1, *"},
            "forwarded_allow_ips is wrong: '*' means everyone, and stands alone",
        ),
        ({"timeout_keep_alive": -1}, "timeout_keep_alive must be a number of seconds, not -1"),
        ({"timeout_head": None}, "timeout_head must be a number of seconds, not None"),
        (
            {"timeout_graceful_shutdown": float("nan")},
            "timeout_graceful_shutdown must be a number of seconds, not nan",
        ),
    ],
)
def test_senseless_value_is_a_value_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        cuvee.Config(applications.hello, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"port": "8000"}, {"port": 8000}),
        ({"timeout_keep_alive": "5"}, {"timeout_keep_alive": 5}),
        ({"timeout_keep_alive": "0.5"}, {"timeout_keep_alive": 0.5}),
        ({"timeout_graceful_shutdown": "3"}, {"timeout_graceful_shutdown": 3}),
        ({"limit_concurrency": "12"}, {"limit_concurrency": 12}),
        ({"ws_max_size": "1000"}, {"ws_max_size": 1000}),
        ({"uds": Path("/run/socket")}, {"uds": "/run/socket"}),
        ({"pid_file": Path("pid")}, {"pid_file": "pid"}),
        ({"app_dir": Path("folder")}, {"app_dir": "folder"}),
        ({"host": None}, {"host": ""}),
        ({"reload": 0, "access_log": 0}, {"reload": False, "access_log": False}),
        ({"proxy_headers": None}, {"proxy_headers": False}),
        ({"factory": 1, "use_colors": 0}, {"factory": True, "use_colors": False}),
        ({"use_colors": None}, {"use_colors": None}),
        ({"workers": 4}, {"workers": 4}),
    ],
)
def test_values_with_which_uvicorn_serves(
    given: dict[str, Any], expected: dict[str, object]
) -> None:
    config = cuvee.Config(applications.hello, log_config=None, **given)
    taken = {name: getattr(config, name) for name in expected}
    assert taken == expected
    assert [type(value) for value in taken.values()] == [*map(type, expected.values())]


def test_files_of_a_log_may_be_paths(tmp_path: Path) -> None:
    path = tmp_path / "log"
    config = cuvee.Config(applications.hello, access_logfile=path, error_logfile=path)  # type: ignore[arg-type]
    assert (config.access_logfile, config.error_logfile) == (str(path), str(path))


def test_no_host_is_every_interface() -> None:
    with cuvee.Config(applications.hello, host=None, port=0).bind_socket() as bound:  # type: ignore[arg-type]
        assert bound.getsockname()[0] in ("0.0.0.0", "::")


def test_trusted_hosts_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8, unix:")
    config = cuvee.Config(applications.hello)
    assert config.forwarded_allow_ips == "10.0.0.0/8, unix:"
    assert config.trusted_hosts.entries == ("10.0.0.0/8", "unix:")
    config = cuvee.Config(applications.hello, forwarded_allow_ips=[" ::1 ", ""])
    assert config.forwarded_allow_ips == [" ::1 ", ""]
    assert config.trusted_hosts.entries == ("::1",)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1/8")
    with pytest.raises(ValueError, match="FORWARDED_ALLOW_IPS is wrong: "):
        cuvee.Config(applications.hello)


def test_the_core_takes_the_entries_of_trusted_hosts() -> None:
    """What Python lets through, C understands in the same way."""
    for hosts in (
        "10.0.0.0/255.0.0.0, 10.1.2.3/32, 2001:db8::/32, ::/0, 0.0.0.0/0, ::ffff:1.2.3.4",
        "unix:, unix:/run/a, /run/b, run/c, proxy.internal, _edge, a/8",
        "*",
        "",
    ):
        trusted = cuvee.Config(applications.hello, forwarded_allow_ips=hosts).trusted_hosts
        loop = cuvee.new_event_loop()
        _core.Server(applications.hello, loop, log=print, trusted=trusted.entries).close()
        loop.close()


def test_the_core_refuses_what_is_no_list_of_hosts() -> None:
    loop = cuvee.new_event_loop()
    options: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"trusted": ["10.0.0.1/8"]}, ValueError),
        ({"trusted": [1]}, TypeError),
        ({"trusted": 1}, TypeError),
        ({"forwarded_headers": "both"}, ValueError),
        ({"forwarded_headers": 1}, TypeError),
    ]
    for wrong, kind in options:
        with pytest.raises(kind):
            _core.Server(applications.hello, loop, log=print, **wrong)
    loop.close()


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("limit_request_line", 1, 2**30),
        ("limit_request_head", 1, 2**30),
        ("limit_request_fields", 1, 256),
        ("limit_body_rate", 0, 2**30),
        ("limit_read_buffer", 1, 2**30),
        ("limit_write_buffer", 1, 2**30),
    ],
)
def test_senseless_limit_is_a_value_error(name: str, least: int, most: int) -> None:
    values: list[Any] = [least - 1, most + 1, 1.5, None]
    for value in values:
        with pytest.raises(ValueError) as caught:
            cuvee.Config(applications.hello, **{name: value})
        message = f"{name} must be a whole number between {least} and {most}, not {value!r}"
        assert str(caught.value) == message


@pytest.mark.parametrize(
    "name", ["timeout_body", "timeout_unread_body", "timeout_write", "timeout_linger"]
)
def test_senseless_timeout_is_a_value_error(name: str) -> None:
    values: list[Any] = [-1, float("inf"), "soon", None]
    for value in values:
        with pytest.raises(ValueError) as caught:
            cuvee.Config(applications.hello, **{name: value})
        assert str(caught.value) == f"{name} must be a number of seconds, not {value!r}"


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("limit_request_body", 0, 2**53),
        ("limit_concurrency", 1, 2**30),
        ("limit_requests", 1, 2**30),
        ("limit_connections", 1, 2**30),
        ("limit_connection_requests", 1, 2**30),
    ],
)
def test_senseless_optional_limit_is_a_value_error(name: str, least: int, most: int) -> None:
    values: list[Any] = [least - 1, most + 1, 1.5]
    for value in values:
        with pytest.raises(ValueError) as caught:
            cuvee.Config(applications.hello, **{name: value})
        message = f"{name} must be a whole number between {least} and {most}, not {value!r}"
        assert str(caught.value) == message


def test_senseless_optional_timeout_is_a_value_error() -> None:
    values: list[Any] = [-1, float("nan"), "nan"]
    for value in values:
        with pytest.raises(ValueError) as caught:
            cuvee.Config(applications.hello, timeout_request=value)
        assert str(caught.value) == f"timeout_request must be a number of seconds, not {value!r}"


@pytest.mark.parametrize(
    ("value", "grace"),
    [("notify", None), ("cancel", 0), ("cancel:0", 0), ("cancel:3", 3), ("cancel:0.25", 0.25)],
)
def test_on_disconnect_says_when_to_cancel(value: str, grace: float | None) -> None:
    assert cuvee.Config(applications.hello, on_disconnect=value).cancel_grace == grace


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Cancel",
        "cancel:",
        "cancel:soon",
        "cancel:-1",
        "cancel:nan",
        "cancel:1e10",
        "notify:3",
        ":3",
        None,
        3,
    ],
)
def test_senseless_on_disconnect_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        cuvee.Config(applications.hello, on_disconnect=value)
    message = f"on_disconnect must be notify, cancel or cancel:SECONDS, not {value!r}"
    assert str(caught.value) == message


def test_every_limit_reaches_the_server() -> None:
    """Nothing that bounds a client is an attribute only."""
    named = inspect.signature(cuvee.Config).parameters
    bounds = {name for name in named if name.startswith(("limit_", "timeout_"))}
    of_the_server = {
        "limit_max_requests",
        "limit_max_requests_jitter",
        "timeout_startup",
        "timeout_shutdown",
    }
    others = {"timeout_graceful_shutdown", "timeout_notify", "timeout_worker_healthcheck"}
    assert bounds - {*WEBSOCKET} == {*LIMITS, *of_the_server, *others}
    limits = cuvee.Config(applications.hello).limits
    assert limits == {n: named[n].default for n in LIMITS if named[n].default is not None}


def test_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="prot"):
        cuvee.Config(applications.hello, prot=1)  # type: ignore[call-arg]


def test_config_can_be_pickled() -> None:
    config = cuvee.Config("tests.server.applications:hello", port=1234)
    copy = pickle.loads(pickle.dumps(config))
    assert (copy.app, copy.port) == (config.app, 1234)


# ---- loading ----------------------------------------------------------------------------------


def test_load_imports_the_application() -> None:
    config = cuvee.Config("tests.server.applications:hello")
    config.load()
    assert config.loaded
    assert config.loaded_app is applications.hello
    with pytest.raises(AssertionError):
        config.load()


def test_load_app_returns_the_same_application_twice() -> None:
    config = cuvee.Config("tests.server.applications:factory", factory=True)
    assert config.load_app() is config.load_app() is config.loaded_app


def test_application_that_takes_any_arguments_is_no_factory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(*args: Any) -> None:
        await applications.hello(*args)

    config = cuvee.Config(app, log_config=None)
    assert config.load_app() is app
    assert not caplog.records


def test_type_error_of_an_application_object_means_that_it_is_no_factory() -> None:
    class App:
        async def __call__(
            self,
            scope: applications.Scope,
            receive: applications.Receive,
            send: applications.Send,
        ) -> None:
            await applications.hello(scope, receive, send)

    app = App()
    assert cuvee.Config(app).load_app() is app


def test_what_is_no_string_is_imported_as_it_is() -> None:
    assert import_from_string(applications.hello) is applications.hello


@pytest.mark.parametrize("text", ["", ":", "module", "module:", ":attribute"])
def test_malformed_import_string(text: str) -> None:
    with pytest.raises(ImportFromStringError) as caught:
        import_from_string(text)
    assert str(caught.value) == (
        f'Import string "{text}" must be in format "<module>:<attribute>".'
    )


def test_nested_attribute() -> None:
    assert import_from_string("tests.server.applications:App.__origin__") is not None


def test_missing_module_inside_the_application_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imports_missing.py").write_text("import not_there_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        import_from_string("imports_missing:app")


def test_application_traceback_keeps_what_has_nothing_else() -> None:
    assert application_traceback(None) is None
    with pytest.raises(ImportFromStringError) as caught:
        import_from_string("nothing")
    ours = caught.tb.tb_next
    assert application_traceback(ours) is ours


# ---- logging ----------------------------------------------------------------------------------


def test_default_logging_has_uvicorns_loggers() -> None:
    cuvee.Config(applications.hello)
    (handler,) = logging.getLogger("uvicorn").handlers
    assert isinstance(handler.formatter, DefaultFormatter)
    (handler,) = logging.getLogger("uvicorn.access").handlers
    assert isinstance(handler.formatter, AccessFormatter)
    assert not logging.getLogger("uvicorn").propagate
    assert not logging.getLogger("uvicorn.access").propagate
    assert logging.getLogger("uvicorn.error").getEffectiveLevel() == logging.INFO


@pytest.mark.parametrize(("level", "number"), [("trace", TRACE_LOG_LEVEL), ("error", 40), (35, 35)])
def test_log_level_may_be_a_name_or_a_number(level: str | int, number: int) -> None:
    config = cuvee.Config(applications.hello, log_level=level)
    assert config.log_level == number
    assert logging.getLogger("uvicorn.error").level == number
    assert logging.getLevelName(TRACE_LOG_LEVEL) == "TRACE"


def test_no_access_log_empties_the_logger() -> None:
    cuvee.Config(applications.hello, access_log=False)
    access = logging.getLogger("uvicorn.access")
    assert access.handlers == []
    assert not access.propagate


@pytest.mark.parametrize("use_colors", [True, False])
def test_use_colors_reaches_both_formatters_and_not_the_shared_default(use_colors: bool) -> None:
    cuvee.Config(applications.hello, use_colors=use_colors)
    for name in ("uvicorn", "uvicorn.access"):
        (handler,) = logging.getLogger(name).handlers
        assert isinstance(handler.formatter, DefaultFormatter | AccessFormatter)
        assert handler.formatter.use_colors is use_colors
    assert LOGGING_CONFIG["formatters"]["default"]["use_colors"] is None


def test_log_config_may_be_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "logging.json"
    loggers = {"uvicorn.asgi": {"level": "CRITICAL"}}
    path.write_text(
        json.dumps({"version": 1, "disable_existing_loggers": False, "loggers": loggers})
    )
    cuvee.Config(applications.hello, log_config=str(path))
    assert logging.getLogger("uvicorn.asgi").level == logging.CRITICAL


def test_log_config_may_be_an_ini_file(tmp_path: Path) -> None:
    path = tmp_path / "logging.ini"
    path.write_text(
        "[loggers]\nkeys=root,asgi\n[handlers]\nkeys=\n[formatters]\nkeys=\n"
        "[logger_root]\nhandlers=\n"
        "[logger_asgi]\nqualname=uvicorn.asgi\nlevel=CRITICAL\nhandlers=\n"
    )
    cuvee.Config(applications.hello, log_config=str(path))
    assert logging.getLogger("uvicorn.asgi").level == logging.CRITICAL


def access_record(status: int) -> logging.LogRecord:
    """Return a record as the server makes it."""
    arguments = ("127.0.0.1:5", "GET", "/a?b", "1.1", status)
    message = '%s - "%s %s HTTP/%s" %d'
    return logging.LogRecord("uvicorn.access", logging.INFO, "", 1, message, arguments, None)


@pytest.mark.parametrize(
    ("status", "text"), [(200, "200 OK"), (404, "404 Not Found"), (599, "599 ")]
)
def test_access_formatter(status: int, text: str) -> None:
    fmt = LOGGING_CONFIG["formatters"]["access"]["fmt"]
    record = access_record(status)
    plain = AccessFormatter(fmt, use_colors=False).format(record)
    assert plain == f'INFO:     127.0.0.1:5 - "GET /a?b HTTP/1.1" {text}'
    colored = AccessFormatter(fmt, use_colors=True).format(record)
    assert "\x1b[1mGET /a?b HTTP/1.1\x1b[0m" in colored
    assert record.args == ("127.0.0.1:5", "GET", "/a?b", "1.1", status)


def test_default_formatter_uses_the_coloured_message() -> None:
    record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 1, "at %d", (5,), None)
    record.__dict__["color_message"] = "at \x1b[1m%d\x1b[0m"
    fmt = "%(levelprefix)s %(message)s"
    assert DefaultFormatter(fmt, use_colors=False).format(record) == "WARNING:  at 5"
    assert DefaultFormatter(fmt, use_colors=True).format(record) == (
        "\x1b[33mWARNING\x1b[0m:  at \x1b[1m5\x1b[0m"
    )
