# SPDX-License-Identifier: MIT
"""uvicorn's options for which there is one way, or none yet; and what else dependents ask of Config."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import socket
from typing import Any

import pytest

import cuvee
from cuvee import _core
from cuvee.lifespan import Lifespan, LifespanOff
from cuvee.options import OPTIONS
from tests.server import applications
from tests.support.asgi import WAIT
from tests.support.embedded import in_thread, make_server, port_of, serve_once
from tests.support.reload_project import Project, address_of, ask
from tests.support.server_process import get, serve_application


def config(**options: Any) -> cuvee.Config:
    """Return options that leave logging alone."""
    return cuvee.Config(applications.hello, log_config=None, **options)


class Protocol(asyncio.Protocol):
    """What uvicorn takes for `http` and `ws`."""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"http": Protocol},
            "http must be one of auto, h11, httptools, zttp, which all mean cuvee's own parser, "
            f"not {Protocol!r}",
        ),
        ({"http2": True}, "http2 must be left out: HTTP/2 is not there yet"),
        ({"http2": 2}, "http2 must be true or false, not 2"),
        (
            {"ws": Protocol},
            "ws must be one of auto, none, websockets, websockets-sansio, wsproto, which all but "
            f"none mean cuvee's own, not {Protocol!r}",
        ),
        ({"ssl_certfile": "x"}, "ssl_certfile must be left out: TLS is not there yet, a proxy"),
        ({"ssl_keyfile_password": "secret"}, "ssl_keyfile_password must be left out: TLS is "),
        ({"ssl_context_factory": dict}, "ssl_context_factory must be left out: TLS is not there "),
        ({"workers": -1}, "workers must be a whole number between 0 and 1073741824, not -1"),
        ({"workers": True}, "workers must be a whole number between 0 and 1073741824, not True"),
        ({"loop": "trio"}, "loop must be one of none, auto, asyncio, uvloop, zuvloop, or MODULE:"),
        ({"loop": None}, "loop must be one of none, auto, asyncio, uvloop, zuvloop, or MODULE:"),
        ({"timeout_notify": -1}, "timeout_notify must be a number of seconds, not -1"),
        ({"callback_notify": 1}, "callback_notify must be a coroutine function, not 1"),
    ],
)
def test_what_is_not_there_is_one_line(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        config(**options)
    assert str(caught.value).startswith(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"http": "h11"},
        {"http": "httptools", "http2": False},
        {"ws": "none"},
        {"ws": "websockets-sansio"},
        {"workers": 1},
        {"ssl_version": 17, "ssl_cert_reqs": 0},
        {"timeout_worker_healthcheck": 30},
        {"loop": "uvloop"},
    ],
)
def test_what_asks_for_nothing_else_is_accepted(options: dict[str, Any]) -> None:
    made = config(**options)
    assert {name: getattr(made, name) for name in options} == options


def test_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config().workers == 1
    assert config(workers=0).workers == 1  # as uvicorn has it
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    assert config().workers == 1
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    assert config().workers == 2  # which a Server ignores, as uvicorn's does
    for text in ("many", ""):
        monkeypatch.setenv("WEB_CONCURRENCY", text)
        with pytest.raises(ValueError, match="WEB_CONCURRENCY must be a whole number between 0"):
            config()
        assert config(workers=1).workers == 1


SEVERAL = "must be 1, since several workers are not there yet, not 2"


@pytest.mark.parametrize("mode", [(), ("--check-config",)])
@pytest.mark.parametrize(
    ("arguments", "env", "text"),
    [
        (("--workers", "2"), {}, f"--workers {SEVERAL}"),
        ((), {"UVICORN_WORKERS": "2"}, f"UVICORN_WORKERS {SEVERAL}"),
        (
            (),
            {"WEB_CONCURRENCY": "2"},
            f"WEB_CONCURRENCY {SEVERAL} (workers=1 is heard before it)",
        ),
    ],
)
def test_several_workers_are_one_line_and_exit_code_2(
    mode: tuple[str, ...], arguments: tuple[str, ...], env: dict[str, str], text: str
) -> None:
    with serve_application("hello", *mode, *arguments, env=env) as server:
        assert server.wait() == 2
        assert server.errors() == [f"cuvee: error: {text}"]


def test_several_workers_are_refused_by_run() -> None:
    with pytest.raises(ValueError, match=f"^workers {SEVERAL}$"):
        cuvee.run(applications.hello, log_config=None, port=0, workers=2)


def test_several_workers_are_ignored_with_reload(project: Project) -> None:
    with project.serve("--workers", "2") as server:
        assert ask(address_of(server)) == b"1"
        server.stderr.expect('WARNING:  "workers" flag is ignored when reloading is enabled.')
        assert server.stop() == 0


def test_a_server_that_is_embedded_ignores_several_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    server = make_server()
    with in_thread(server, server.run):
        with socket.create_connection(("127.0.0.1", port_of(server)), WAIT) as client:
            assert get(client) == b"hello"
        server.should_exit = True


def test_limit_of_h11_is_the_limit_of_a_head() -> None:
    made = config(h11_max_incomplete_event_size=1000)
    assert (made.limit_request_line, made.limit_request_head) == (1000, 1000)
    made = config(h11_max_incomplete_event_size=200_000, limit_request_line=500)
    assert (made.limit_request_line, made.limit_request_head) == (500, 200_000)
    made = config()
    assert (made.limit_request_line, made.limit_request_head) == (16384, 65536)


def test_limit_of_h11_refuses() -> None:
    with serve_application("hello", "--h11-max-incomplete-event-size", "200") as server:
        with server.connect() as client:
            assert get(client, "/" + "x" * 100) == b"hello"
            client.sendall(b"GET /" + b"x" * 250 + b" HTTP/1.1\r\nhost: test\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 414 ")


def test_the_other_attributes() -> None:
    made = config()
    made.load()
    assert made.loaded
    assert made.encoded_headers == [(b"server", b"cuvee")]
    assert config(server_header=False).encoded_headers == []
    assert made.http_protocol_class is _core.Connection
    assert made.ws_protocol_class is _core.Connection
    assert config(ws="none").ws_protocol_class is None
    assert config(interface="wsgi").ws_protocol_class is None
    assert made.lifespan_class is Lifespan
    assert config(lifespan="off").lifespan_class is LifespanOff
    assert made.ssl is None
    assert (made.is_ssl, made.should_reload, made.use_subprocess) == (False, False, False)
    assert made.asgi_version == "3.0"


def test_loop_factories() -> None:
    assert config().get_loop_factory() is cuvee.new_event_loop
    assert config(loop="none").get_loop_factory() is None
    assert config(loop="asyncio").get_loop_factory() is asyncio.SelectorEventLoop
    assert config(loop="cuvee:new_event_loop").get_loop_factory() is cuvee.new_event_loop


def test_setup_event_loop_does_nothing() -> None:
    with pytest.warns(DeprecationWarning, match="Use Config.get_loop_factory"):
        config().setup_event_loop()


def test_config_goes_to_another_process() -> None:
    """With all its values, but without what was loaded."""
    made = cuvee.Config("tests.server.applications:hello", log_config=None, port=1)
    made.load()
    copy = pickle.loads(pickle.dumps(made))
    assert not copy.loaded
    assert copy.load_app() is applications.hello
    assert vars(copy).keys() == vars(made).keys()
    for option in OPTIONS:
        assert getattr(copy, option.name) == getattr(made, option.name)
    assert made.loaded_app is applications.hello


def test_spawned_process_serves_with_it() -> None:
    made = cuvee.Config("tests.server.applications:hello", log_config=None, port=0)
    listener = made.bind_socket()
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=serve_once, args=(made, listener, ready))
    process.start()
    assert ready.wait(WAIT)
    with socket.create_connection(listener.getsockname(), WAIT) as client:
        assert get(client) == b"hello"
    process.join(WAIT)
    assert process.exitcode == 0
    listener.close()
