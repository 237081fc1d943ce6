# SPDX-License-Identifier: MIT
"""--header, --server-header and --date-header: fields that every answer has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import cuvee
from cuvee import _core
from tests.conftest import Serve
from tests.server import applications
from tests.support.asgi import WAIT, Receive, Scope, Send, respond
from tests.support.raw import RawClient
from tests.support.server_process import serve_application

Headers = list[tuple[str, str]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with some fields of its own, or not at all."""
    own = {"/own": [(b"server", b"mine"), (b"x-one", b"own")], "/none": []}
    if scope["path"] != "/fail":
        await respond(send, headers=own.get(scope["path"], []))


def names_and_values(serve: Serve, path: str, **config: Any) -> list[tuple[bytes, bytes]]:
    """Return the fields of an answer, without date's value and the framing."""
    with serve(app, **config) as server, server.connect() as client:
        fields = client.ask(path).headers
    return [
        (name, b"" if name == b"date" else value)
        for name, value in fields
        if name not in (b"content-length", b"connection", b"transfer-encoding")
    ]


DATE = (b"date", b"")
SERVER = (b"server", b"cuvee")


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/", [], [DATE, SERVER]),
        ("/", [("X-One", "1"), ("x-two", "")], [DATE, SERVER, (b"x-one", b"1"), (b"x-two", b"")]),
        ("/", [("X-One", "1"), ("X-One", "2")], [DATE, SERVER, (b"x-one", b"1"), (b"x-one", b"2")]),
        ("/", [("X-One", "caf\u00e9")], [DATE, SERVER, (b"x-one", b"caf\xe9")]),
        ("/", [("Server", "other")], [DATE, (b"server", b"other")]),
        ("/", [("X-One", "1"), ("Server", "o")], [DATE, (b"server", b"o"), (b"x-one", b"1")]),
        ("/own", [], [(b"server", b"mine"), (b"x-one", b"own"), DATE]),
        (
            "/own",
            [("Server", "other"), ("X-One", "1")],
            [(b"server", b"mine"), (b"x-one", b"own"), DATE, (b"x-one", b"1")],
        ),
    ],
)
def test_fields_of_every_answer(
    serve: Serve, path: str, headers: Headers, expected: list[tuple[bytes, bytes]]
) -> None:
    assert names_and_values(serve, path, headers=headers) == expected


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize("date", [True, False])
def test_what_the_server_says_can_be_left_out(serve: Serve, server: bool, date: bool) -> None:
    config: dict[str, Any] = {"server_header": server, "date_header": date}
    expected = [DATE] * date + [SERVER] * server + [(b"x-one", b"1")]
    assert names_and_values(serve, "/", headers=[("X-One", "1")], **config) == expected


def test_answers_of_the_server_have_them_too(serve: Serve) -> None:
    long = "x" * 5000
    with serve(app, headers=[("X-One", long)]) as server:
        for request in (b"GET /fail HTTP/1.1\r\nHost: h\r\n\r\n", b"hello\r\n\r\n"):
            with server.connect() as client:
                client.send(request)
                answer = client.read_response()
                assert answer.status in (400, 500)
                assert answer.get(b"x-one") == long.encode()
        server.log.expect("without starting response")


@pytest.mark.parametrize(
    "headers",
    [None, [], [("A", "b")], [("Server", "x"), ("A", "b")], [["A", "b"], ("SERVER", "")]],
)
@pytest.mark.parametrize("server_header", [True, False])
def test_encoded_headers_are_uvicorns(headers: Any, server_header: bool) -> None:
    def app(environ: Any) -> None: ...

    ours = cuvee.Config(app, headers=headers, server_header=server_header, log_config=None)
    theirs = uvicorn.Config(app, headers=headers, server_header=server_header, log_config=None)
    theirs.load()
    named = [(n, b"cuvee" if v == b"uvicorn" else v) for n, v in theirs.encoded_headers]
    assert ours.encoded_headers == named


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ("X", "must be NAME:VALUE or a pair of texts, not 'X'"),
        (1, "must be a list of values, each NAME:VALUE or a pair of texts, not 1"),
        ([("a", "b", "c")], "must be NAME:VALUE or a pair of texts, not ('a', 'b', 'c')"),
        ([(b"a", b"b")], "must be NAME:VALUE or a pair of texts, not (b'a', b'b')"),
        ([("bad name", "b")], "must have a token for a name, not 'bad name'"),
        ([("", "b")], "must have a token for a name, not ''"),
        (
            [("a", "b\r\nc: d")],
            "must have Latin-1 without control characters for a value, not 'b\\r\\nc: d'",
        ),
        (
            [("a", "\u20ac")],
            "must have Latin-1 without control characters for a value, not '\u20ac'",
        ),
        (
            [("Content-Length", "5")],
            "must not say where an answer ends, as Content-Length does: the server says it",
        ),
    ],
)
def test_what_is_no_field_is_a_value_error(headers: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        cuvee.Config(applications.hello, headers=headers)
    assert str(caught.value) == f"headers {message}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("X-One", "must be NAME:VALUE or a pair of texts, not 'X-One'"),
        (":x", "must have a token for a name, not ''"),
        ("Connection:close", "must not say where an answer ends, as Connection does: the server"),
    ],
)
def test_the_command_refuses_it_in_one_line(value: str, message: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cuvee", "a:b", "--header", value]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"cuvee: error: --header {message}")
    assert done.stderr.count("\n") == 1


def test_the_command_and_the_environment_give_them() -> None:
    arguments = ("--header", "X-One: a:b", "--header", "X-Two:", "--no-date-header")
    for options, env, expected in (
        (arguments, {}, [SERVER, (b"x-one", b"a:b"), (b"x-two", b"")]),
        (("--no-server-header",), {"UVICORN_HEADERS": "X-One:1 X-Two:2"}, None),
    ):
        with serve_application("hello", *options, env=env) as server:
            with RawClient(("127.0.0.1", server.wait_until_running())) as client:
                fields = [field for field in client.ask().headers if field[0] != b"content-length"]
            if expected is None:
                assert [name for name, _ in fields] == [b"date", b"x-one", b"x-two"]
            else:
                assert fields == expected
            assert server.stop() == 0


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        (1, TypeError),
        ([1], TypeError),
        ([(b"a",)], TypeError),
        ([("a", 1)], TypeError),
        ([(b"bad name", b"v")], RuntimeError),
        ([(b"a", b"\n")], RuntimeError),
        ([(b"transfer-encoding", b"chunked")], RuntimeError),
    ],
)
def test_the_core_checks_for_itself(headers: Any, kind: type[Exception]) -> None:
    loop = cuvee.new_event_loop()
    try:
        with pytest.raises(kind):
            _core.Server(applications.hello, loop, headers=headers, log=print)
    finally:
        loop.close()
