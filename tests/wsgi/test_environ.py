# SPDX-License-Identifier: MIT
"""What a WSGI application is told of its request, also beside what uvicorn's adapters say."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any

import a2wsgi.wsgi
import pytest
import uvicorn.middleware.wsgi

from cuvee.wsgi.environ import make_environ
from cuvee.wsgi.files import FileWrapper
from tests.conftest import Serve
from tests.support.asgi import Notes

Environ = dict[str, Any]
Start = Callable[..., Any]

OTHERWISE = {
    "wsgi.errors",
    "wsgi.input",
    "wsgi.input_terminated",
    "wsgi.file_wrapper",
    "asgi.scope",
}
"""What the others have not, or have no right to have so: errors do not go to standard output."""


def scope_of(**changes: Any) -> dict[str, Any]:
    """Return a scope."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a",
        "raw_path": b"/a",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"h")],
        "client": ("192.0.2.1", 1234),
        "server": ("127.0.0.1", 80),
        **changes,
    }


def environ_of(**changes: Any) -> Environ:
    """Return what is made of a scope."""
    return make_environ(scope_of(**changes), io.BytesIO(), multithread=True)


def test_an_ordinary_request(serve_wsgi: Serve, notes: Notes) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        notes.put(environ)
        start_response("200 OK", [])
        return []

    with serve_wsgi(app) as server, server.connect() as client:
        client.request("PUT", "/a%20b?x=%20&y", "X-Name: caf\u00e9", "X-Name: b", body=b"hello")
        client.read_response()
        environ = notes.get()
        assert environ.pop("wsgi.input").read() == b"hello"
        assert environ.pop("asgi.scope")["type"] == "http"
        assert environ == {
            "REQUEST_METHOD": "PUT",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/a b",
            "QUERY_STRING": "x=%20&y",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(server.port),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": str(client.sock.getsockname()[1]),
            "CONTENT_LENGTH": "5",
            "HTTP_HOST": "test",
            "HTTP_X_NAME": "caf\u00e9,b",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
        }
        assert all(type(key) is str for key in environ)


@pytest.mark.parametrize(
    ("root_path", "path", "script_name", "path_info"),
    [
        ("", "/", "", "/"),
        ("/api", "/api/wines", "/api", "/wines"),
        ("/api", "/api", "/api", ""),
        ("/api", "/apiary", "/api", "/apiary"),
        ("/api", "/wines", "/api", "/wines"),
        ("/api/", "/api/wines", "/api", "/wines"),
        ("/", "/wines", "", "/wines"),
        ("/caf\u00e9", "/caf\u00e9/\u00e9", "/caf\u00c3\u00a9", "/\u00c3\u00a9"),
        ("", "/\u5c0f\u661f", "", "/\u00e5\u00b0\u008f\u00e6\u0098\u009f"),
    ],
)
def test_paths(root_path: str, path: str, script_name: str, path_info: str) -> None:
    environ = environ_of(root_path=root_path, path=path, raw_path=b"unused")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_a_path_that_is_no_utf_8(serve_wsgi: Serve, notes: Notes) -> None:
    """Every byte arrives, as PEP 3333 wants it; `path` of ASGI has lost it."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        notes.put((environ["SCRIPT_NAME"], environ["PATH_INFO"]))
        start_response("200 OK", [])
        return []

    with serve_wsgi(app, root_path="/root") as server, server.connect() as client:
        client.ask("/%ff%2f/%C3%A9")
        assert notes.get() == ("/root", "/\xff//\xc3\xa9")


def test_fields() -> None:
    environ = environ_of(
        headers=[
            (b"content-type", b"text/plain"),
            (b"content-length", b"0"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"accept", b"a"),
            (b"accept", b"b"),
            (b"x-forwarded-for", b"192.0.2.7"),
            (b"x_forwarded_for", b"spoofed"),
            (b"x_only", b"with an underscore"),
            (b"content_length", b"1"),
            (b"proxy", b"http://evil"),
        ]
    )
    fields = {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT"))}
    assert fields == {
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "0",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_ACCEPT": "a,b",
        "HTTP_X_FORWARDED_FOR": "192.0.2.7",
    }


def test_names_that_come_once_are_not_kept_for_ever() -> None:
    from cuvee.wsgi import environ

    for number in range(1000):
        made = environ_of(headers=[(b"x-%d" % number, b"v")])
        assert made[f"HTTP_X_{number}"] == "v"
    assert len(environ._keys) <= environ._KEPT_NAMES


@pytest.mark.parametrize(
    ("server", "scheme", "expected"),
    [
        (("::1", 8000), "http", ("::1", "8000")),
        (("/run/socket", None), "http", ("localhost", "80")),
        (("/run/socket", None), "https", ("localhost", "443")),
        (None, "http", ("localhost", "80")),
    ],
)
def test_the_servers_address(server: Any, scheme: str, expected: tuple[str, str]) -> None:
    environ = environ_of(server=server, scheme=scheme, client=None)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == expected
    assert environ["wsgi.url_scheme"] == scheme
    assert "REMOTE_ADDR" not in environ


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "POST", "http_version": "1.0", "query_string": b"a=b&c=%20"},
        {"root_path": "/api", "path": "/api/\u5c0f", "scheme": "https"},
        {"headers": [(b"accept", b"a"), (b"accept", b"b"), (b"content-type", b"c/d")]},
        {"server": ("h", 1), "client": None},
    ],
)
def test_beside_others(changes: dict[str, Any]) -> None:
    scope = scope_of(**changes)
    ours = environ_of(**changes)
    body: Any = io.BytesIO()
    theirs = a2wsgi.wsgi.build_environ(scope, body)  # type: ignore[arg-type]
    assert set(ours) ^ set(theirs) <= OTHERWISE
    for key in set(theirs) - OTHERWISE:
        assert ours[key] == theirs[key], key  # type: ignore[literal-required]
    message: Any = None
    builtin: Any = uvicorn.middleware.wsgi.build_environ(scope, message, body)  # type: ignore[arg-type]
    for key in set(builtin) - OTHERWISE - {"SERVER_PORT"}:  # a number there, against the PEP
        assert ours[key] == builtin[key], key
