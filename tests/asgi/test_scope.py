# SPDX-License-Identifier: MIT
"""The http and lifespan scopes: exact keys, types and values."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import App, Notes, Receive, Scope, Send, respond

KEYS = {
    "type",
    "asgi",
    "http_version",
    "server",
    "client",
    "scheme",
    "root_path",
    "headers",
    "state",
    "extensions",
    "method",
    "path",
    "raw_path",
    "query_string",
}


def reporter(notes: Notes) -> App:
    """An application that hands each scope to its test."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope)
        await respond(send)

    return app


def test_every_key_type_and_value(serve: Serve, notes: Notes) -> None:
    with serve(reporter(notes)) as server, server.connect() as client:
        client.send(
            b"POST /a%20b/c?x=1&y=%20 HTTP/1.1\r\nHost: h:80\r\nX-Two: 1\r\nx-two: 2\r\n"
            b"Content-Length: 2\r\n\r\nhi"
        )
        assert client.read_response().status == 200
        scope = notes.get()
        client_name = client.sock.getsockname()
    assert type(scope) is dict
    assert set(scope) == KEYS
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", server.port),
        "client": ("127.0.0.1", client_name[1]),
        "scheme": "http",
        "root_path": "",
        "headers": [
            (b"host", b"h:80"),
            (b"x-two", b"1"),
            (b"x-two", b"2"),
            (b"content-length", b"2"),
        ],
        "state": {},
        "extensions": {
            "http.response.early_hint": {},
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
        },
        "method": "POST",
        "path": "/a b/c",
        "raw_path": b"/a%20b/c",
        "query_string": b"x=1&y=%20",
    }
    assert type(scope["headers"]) is list
    assert all(type(pair) is tuple and len(pair) == 2 for pair in scope["headers"])
    assert all(type(part) is bytes for pair in scope["headers"] for part in pair)
    assert type(scope["client"]) is tuple
    assert type(scope["server"]) is tuple
    assert type(scope["client"][1]) is int
    for key in ("type", "http_version", "scheme", "root_path", "method", "path"):
        assert type(scope[key]) is str, key
    for key in ("raw_path", "query_string"):
        assert type(scope[key]) is bytes, key


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", b"/", b""),
        ("/?", "/", b"/", b""),
        ("/?a?b", "/", b"/", b"a?b"),
        ("/a/b", "/a/b", b"/a/b", b""),
        ("/%41", "/A", b"/%41", b""),
        ("/a%2Fb", "/a/b", b"/a%2Fb", b""),
        ("/%E2%82%AC", "/\u20ac", b"/%E2%82%AC", b""),
        ("/%e2%82%ac", "/\u20ac", b"/%e2%82%ac", b""),
        ("/%FF", "/\ufffd", b"/%FF", b""),
        ("/%E2%82", "/\ufffd", b"/%E2%82", b""),
        ("/%F0%9F%98%80/%C3%A9", "/\U0001f600/\u00e9", b"/%F0%9F%98%80/%C3%A9", b""),
        ("/%", "/%", b"/%", b""),
        ("/%4", "/%4", b"/%4", b""),
        ("/%zz", "/%zz", b"/%zz", b""),
        ("/a%00b", "/a\0b", b"/a%00b", b""),
        ("/a+b", "/a+b", b"/a+b", b""),
        ("/%25", "/%", b"/%25", b""),
        ("/%2541", "/%41", b"/%2541", b""),
        ("/a?%41=%42", "/a", b"/a", b"%41=%42"),
        ("//a//b/../c", "//a//b/../c", b"//a//b/../c", b""),
        ("/a#frag", "/a", b"/a", b""),
        ("http://other:81/a%20b?q=1", "/a b", b"/a%20b", b"q=1"),
        ("http://other/", "/", b"/", b""),
    ],
)
def test_target(
    serve: Serve, notes: Notes, target: str, path: str, raw_path: bytes, query: bytes
) -> None:
    with serve(reporter(notes)) as server, server.connect() as client:
        assert client.ask(target).status == 200
        scope = notes.get()
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


def test_absolute_target_without_a_path(serve: Serve, notes: Notes) -> None:
    with serve(reporter(notes)) as server, server.connect() as client:
        assert client.ask("http://other").status == 200
        assert notes.get()["path"] == "/"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
def test_method(serve: Serve, notes: Notes, method: str) -> None:
    with serve(reporter(notes)) as server, server.connect() as client:
        client.request(method, "/")
        assert client.read_response(method).status == 200
        assert notes.get()["method"] == method


def test_http_1_0(serve: Serve, notes: Notes) -> None:
    with serve(reporter(notes)) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().status == 200
        scope = notes.get()
    assert scope["http_version"] == "1.0"
    assert scope["headers"] == []


@pytest.mark.parametrize(
    ("root_path", "target", "path", "raw_path"),
    [
        ("/api", "/a%20b?q", "/api/a b", b"/api/a%20b"),
        ("/api", "/", "/api/", b"/api/"),
    ],
)
def test_root_path(
    serve: Serve, notes: Notes, root_path: str, target: str, path: str, raw_path: bytes
) -> None:
    with serve(reporter(notes), root_path=root_path) as server, server.connect() as client:
        assert client.ask(target).status == 200
        scope = notes.get()
    assert scope["root_path"] == root_path
    assert scope["path"] == path
    assert scope["raw_path"] == raw_path


def test_header_names_are_lowered_and_values_kept(serve: Serve, notes: Notes) -> None:
    with serve(reporter(notes)) as server, server.connect() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHOST: Example\r\nX-MiXeD_9!#$%&'*+.^`|~: VaLue \xe9\r\n"
            b"Empty:\r\nInner:  a \t b\t \r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
        )
        assert client.read_response().status == 200
        assert notes.get()["headers"] == [
            (b"host", b"Example"),
            (b"x-mixed_9!#$%&'*+.^`|~", b"VaLue \xe9"),
            (b"empty", b""),
            (b"inner", b"a \t b"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
        ]


def test_trailers_are_not_in_the_scope(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        notes.put((scope["headers"], body + message["body"]))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n"
        )
        assert client.read_response().status == 200
        assert notes.get() == ([(b"host", b"h"), (b"transfer-encoding", b"chunked")], b"abc")
        client.assert_open()


def test_ipv6(serve: Serve, notes: Notes) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback: {error}")
    with serve(reporter(notes), bind="::1") as server, server.connect() as client:
        assert client.ask().status == 200
        scope = notes.get()
        assert scope["client"] == client.sock.getsockname()[:2]
    assert scope["server"] == ("::1", server.port)


def test_unix_socket(serve: Serve, notes: Notes) -> None:
    with serve(reporter(notes), bind="unix") as server, server.connect() as client:
        assert client.ask().status == 200
        scope = notes.get()
    assert scope["server"] == (server.address, None)
    assert scope["client"] is None
    assert scope["scheme"] == "http"


def test_nothing_is_shared_between_requests(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        before = {key: repr(scope[key]) for key in ("headers", "asgi", "state")}
        notes.put((scope, before))
        scope["headers"].append((b"x-added", b"1"))
        scope["asgi"]["added"] = "1"
        scope["state"]["added"] = "1"
        scope["added"] = "1"
        await respond(send)

    with serve(app) as server, server.connect() as client, server.connect() as other:
        seen = []
        for each in (client, client, other):
            each.get("/")
            assert each.read_response().status == 200
            seen.append(notes.get())
    first, second, third = seen
    assert first[1] == second[1] == third[1]
    for key in ("headers", "asgi", "state"):
        assert len({id(scope[key]) for scope, _ in seen}) == 3, key


class Pool:
    """Something that a lifespan puts into the state."""


def test_lifespan_scope_and_state(serve: Serve, notes: Notes) -> None:
    pool = Pool()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            notes.put({**scope, "state": dict(scope["state"])})
            assert await receive() == {"type": "lifespan.startup"}
            scope["state"]["pool"] = pool
            scope["state"]["list"] = []
            await send({"type": "lifespan.startup.complete"})
            assert await receive() == {"type": "lifespan.shutdown"}
            notes.put(dict(scope["state"]))
            await send({"type": "lifespan.shutdown.complete"})
            return
        notes.put(dict(scope["state"]))
        scope["state"]["list"].append(1)
        scope["state"]["mine"] = True
        await respond(send)

    with serve(app, lifespan="on") as server:
        with server.connect() as client:
            assert client.ask().status == 200
            assert client.ask().status == 200
    assert notes.get() == {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": {},
    }
    first, second, at_end = notes.get(), notes.get(), notes.get()
    assert first["pool"] is pool and "mine" not in first
    assert second["pool"] is pool and "mine" not in second
    assert second["list"] is first["list"], "the copy is shallow"
    assert "mine" not in at_end and at_end["list"] == [1, 1]


def test_scope_is_an_ordinary_dict(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        copied: dict[str, Any] = dict(scope)
        copied["path"] = "/changed"
        del scope["state"]
        scope.pop("headers")
        scope.clear()
        await respond(send, copied["path"].encode())

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"/changed"
        assert client.ask().body == b"/changed"
