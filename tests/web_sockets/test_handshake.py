# SPDX-License-Identifier: MIT
"""The opening handshake (RFC 6455 section 4.2), and everything that an application may answer to it."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import threading
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, Notes, Receive, Scope, Send, hello, respond
from tests.support.server import RunningServer
from tests.support.web_socket import (
    TEXT,
    accept_key,
    close_frame,
    connect,
    frame,
    handshake,
    opened,
)
from tests.web_sockets.applications import (
    ACCEPT,
    CLOSE,
    CONNECT,
    accept,
    echo,
    echo_all,
    noted_echo,
    text,
)

START = "websocket.http.response.start"
BODY = "websocket.http.response.body"


def answer_to(server: RunningServer, *pieces: bytes) -> Any:
    """Return the answer to an opening that is no handshake."""
    with connect(server) as client:
        client.send(*pieces)
        return client.read_response()


# ---- a good handshake


def test_the_head_of_the_answer(serve: Serve) -> None:
    with serve(echo) as server, connect(server) as client:
        client.send(handshake())
        head = client.accepted()
        assert head.get(b"sec-websocket-accept") == accept_key() == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert head.get(b"sec-websocket-protocol") is None
        assert head.get(b"sec-websocket-extensions") is None
        assert head.get(b"date") and head.get(b"server")
        client.say_goodbye()


def test_fields_that_every_answer_has_can_be_left_out(serve: Serve) -> None:
    options: dict[str, Any] = {"server_header": False, "date_header": False}
    with serve(echo, headers=[("x-every", "1")], **options) as server, opened(server) as client:
        client.say_goodbye()
    with serve(echo, headers=[("x-every", "1")], **options) as server, connect(server) as client:
        client.send(handshake())
        head = client.accepted()
        assert head.get(b"date") is None and head.get(b"server") is None
        assert head.get(b"x-every") == b"1"
        client.say_goodbye()


def test_the_key_is_answered(serve: Serve) -> None:
    with serve(echo) as server:
        for _ in range(20):
            key = base64.b64encode(os.urandom(16)).decode()
            with connect(server) as client:
                client.send(handshake(sec_websocket_key=key))
                assert client.accepted().get(b"sec-websocket-accept") == accept_key(key)
                client.say_goodbye()


@pytest.mark.parametrize(
    "opening",
    [
        handshake(upgrade="WebSocket"),
        handshake(upgrade="WEBSOCKET"),
        handshake(connection="keep-alive, Upgrade"),
        handshake(connection="upgrade,close"),
        handshake(connection="UPGRADE"),
        handshake("/", "Connection: Upgrade", connection="keep-alive"),
        handshake(sec_websocket_key=" \t dGhlIHNhbXBsZSBub25jZQ== \t "),
        handshake(sec_websocket_version=" 13 "),
        handshake().replace(b"host:", b"HOST:").replace(b"sec-websocket-key", b"Sec-WEBSOCKET-kEY"),
        handshake("/", "Origin: https://example.org", "Cookie: a=b"),
        handshake("http://test/"),
    ],
)
def test_fields_in_every_spelling(serve: Serve, opening: bytes) -> None:
    with serve(echo) as server, connect(server) as client:
        client.send(opening)
        client.accepted()
        client.text("hi")
        assert client.read_message() == "hi"
        client.say_goodbye()


def test_a_request_before_it(serve: Serve) -> None:
    with serve(echo) as server, connect(server) as client:
        client.assert_open()
        client.request("POST", "/", body=b"x" * 1000)
        assert client.read_response().body == b"hello"
        client.open()
        client.text("hi")
        assert client.read_message() == "hi"
        client.say_goodbye()


def test_a_request_before_it_in_the_same_packet(serve: Serve) -> None:
    with serve(echo) as server, connect(server) as client:
        client.send(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n" + handshake() + frame(TEXT, b"hi"))
        assert client.read_response().body == b"hello"
        client.accepted()
        assert client.read_message() == "hi"
        client.say_goodbye()


# ---- how it arrives


def test_bytes_of_the_same_packet_are_kept(serve: Serve) -> None:
    with serve(echo) as server, connect(server) as client:
        client.send(handshake() + frame(TEXT, b"one") + frame(TEXT, b"two"))
        client.accepted()
        assert [client.read_message() for _ in range(2)] == ["one", "two"]
        client.say_goodbye(4000)


def test_a_close_of_the_same_packet_is_kept(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes)) as server, connect(server) as client:
        client.send(handshake() + close_frame(4000, b"at once"))
        client.accepted()
        assert client.read_close().code == 4000
        assert notes.get() == (4000, "at once")


def test_bytes_before_the_accept_are_kept(serve: Serve, notes: Notes) -> None:
    go = threading.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == CONNECT
        notes.put("connected")
        await asyncio.to_thread(go.wait, WAIT)
        await send(dict(ACCEPT))
        await echo_all(receive, send)

    with serve(late) as server, connect(server) as client:
        client.send(handshake() + frame(TEXT, b"one"))
        assert notes.get() == "connected"
        client.text("two")
        server.settle()
        go.set()
        client.accepted()
        assert [client.read_message() for _ in range(2)] == ["one", "two"]
        client.say_goodbye()


def test_byte_by_byte(serve: Serve) -> None:
    opening = handshake("/path?query", "Sec-WebSocket-Protocol: chat") + frame(TEXT, b"hi")
    with serve(echo) as server, connect(server) as client:
        client.send(*(opening[at : at + 1] for at in range(len(opening))))
        client.accepted()
        assert client.read_message() == "hi"
        client.say_goodbye()


def test_split_at_every_byte(serve: Serve) -> None:
    opening = handshake("/path?query", "Sec-WebSocket-Protocol: chat") + frame(TEXT, b"hi")
    with serve(echo) as server:
        for at in range(1, len(opening)):
            with connect(server) as client:
                client.send(opening[:at])
                server.settle()
                client.send(opening[at:])
                client.accepted()
                assert client.read_message() == "hi", at
                client.say_goodbye()


# ---- a bad handshake (RFC 6455 section 4.2.1)

MALFORMED: dict[str, tuple[bytes, set[int]]] = {
    "no key": (handshake(sec_websocket_key=None), {400}),
    "an empty key": (handshake(sec_websocket_key=""), {400}),
    "a key of 15 bytes": (handshake(sec_websocket_key=base64.b64encode(b"x" * 15).decode()), {400}),
    "a key of 17 bytes": (handshake(sec_websocket_key=base64.b64encode(b"x" * 17).decode()), {400}),
    "a key that is no base64": (handshake(sec_websocket_key="dGhlIHNhbXBsZSBub25j_Q=="), {400}),
    "a key without its end": (handshake(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ"), {400}),
    "a key with more behind it": (handshake(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==x"), {400}),
    "two keys": (handshake("/", "Sec-WebSocket-Key: AGhlIHNhbXBsZSBub25jZQ=="), {400}),
    "the same key twice": (handshake("/", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), {400}),
    "no version": (handshake(sec_websocket_version=None), {400, 426}),
    "an empty version": (handshake(sec_websocket_version=""), {400, 426}),
    "version 8": (handshake(sec_websocket_version="8"), {426}),
    "version 0": (handshake(sec_websocket_version="0"), {426}),
    "version 14": (handshake(sec_websocket_version="14"), {426}),
    "version 130": (handshake(sec_websocket_version="130"), {426}),
    "version 013": (handshake(sec_websocket_version="013"), {400, 426}),
    "two versions": (handshake("/", "Sec-WebSocket-Version: 8"), {400, 426}),
    "a list of versions": (handshake(sec_websocket_version="13, 8"), {400, 426}),
    "no host": (handshake(host=None), {400}),
    "two hosts": (handshake("/", "Host: other"), {400}),
}


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail: nothing may come here."""
    raise AssertionError(scope)


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(serve: Serve, case: str) -> None:
    opening, statuses = MALFORMED[case]
    with serve(never) as server, connect(server) as client:
        server.settle()
        before = server.log.lines()
        client.send(opening + frame(TEXT, b"GET / HTTP/1.1\r\n\r\n"))
        response = client.read_response()
        assert response.status in statuses, response
        connection = b"close"
        if response.status == 426:
            assert response.get(b"sec-websocket-version") == b"13"
            connection = b"close, upgrade"
        assert response.get(b"connection") == connection
        client.assert_closed()
        assert server.log.lines() != before


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS"])
def test_another_method_opens_nothing(serve: Serve, notes: Notes, method: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope["type"])
        await respond(send)

    with serve(app) as server, connect(server) as client:
        client.send(handshake(method=method))
        assert client.read_response(method).status in (200, 400, 405)
    assert notes.empty() or notes.get() == "http"


@pytest.mark.parametrize(
    "opening",
    [
        handshake(version="HTTP/1.0"),
        handshake(connection=None),
        handshake(connection="keep-alive"),
        handshake(connection="upgraded"),
        handshake(upgrade=None),
        handshake(upgrade="websockets"),
        handshake(upgrade="h2c"),
    ],
)
def test_what_asks_for_no_web_socket_is_a_request(
    serve: Serve, notes: Notes, opening: bytes
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope["type"])
        await respond(send)

    with serve(app) as server:
        response = answer_to(server, opening)
        assert response.status == 200 and response.body == b"hello"
        assert notes.get() == "http"


def test_web_sockets_switched_off(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put((scope["type"], dict(scope["headers"])[b"upgrade"]))
        await respond(send)

    with serve(app, ws="none") as server, connect(server) as client:
        client.send(handshake())
        response = client.read_response()
        assert response.status == 200 and response.body == b"hello"
        assert notes.get() == ("http", b"websocket")


def test_a_body_does_not_hold_it_up(serve: Serve) -> None:
    with serve(echo) as server:
        with connect(server) as client:
            client.send(handshake("/", "Content-Length: 3") + b"abc")
            assert client.read_head().status in (101, 200, 400)


def test_limits_of_the_head(serve: Serve) -> None:
    limits = {"limit_request_line": 1000, "limit_request_head": 2000, "limit_request_fields": 20}
    with serve(echo, **limits) as server:
        with opened(server, "/" + "x" * 900) as client:
            client.say_goodbye()
        assert answer_to(server, handshake("/" + "x" * 1000)).status == 414
        assert answer_to(server, handshake("/", "X-Large: " + "x" * 2000)).status == 431
        fields = [f"X-{number}: x" for number in range(20)]
        assert answer_to(server, handshake("/", *fields)).status == 431


# ---- what the application answers


def test_the_scope(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(dict(scope))
        await accept(receive, send)

    with serve(app, root_path="/root") as server, connect(server) as client:
        client.send(handshake("/a%20b?q=%20", "X-One: 1", "x-one:  2 "))
        client.accepted()
        host, port = client.sock.getsockname()
        scope = notes.get()
        assert scope["type"] == "websocket"
        assert scope["asgi"]["version"] == "3.0" and scope["asgi"]["spec_version"] >= "2.4"
        assert (scope["http_version"], scope["scheme"]) == ("1.1", "ws")
        assert scope["server"] == server.address and scope["client"] == (host, port)
        assert scope["root_path"] == "/root"
        assert (scope["path"], scope["raw_path"]) == ("/root/a b", b"/root/a%20b")
        assert scope["query_string"] == b"q=%20"
        assert scope["subprotocols"] == [] and "method" not in scope
        assert "websocket.http.response" in scope["extensions"]
        assert scope["headers"] == [
            (b"host", b"test"),
            (b"connection", b"Upgrade"),
            (b"upgrade", b"websocket"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"sec-websocket-version", b"13"),
            (b"x-one", b"1"),
            (b"x-one", b"2"),
        ]


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        (["Sec-WebSocket-Protocol: chat"], ["chat"]),
        (["Sec-WebSocket-Protocol: chat, super.chat"], ["chat", "super.chat"]),
        (["Sec-WebSocket-Protocol:chat,  b ,c"], ["chat", "b", "c"]),
        (["Sec-WebSocket-Protocol: chat, b", "sec-websocket-protocol: c"], ["chat", "b", "c"]),
    ],
)
def test_subprotocols(serve: Serve, notes: Notes, fields: list[str], offered: list[str]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope["subprotocols"])
        await accept(receive, send, subprotocol=scope["subprotocols"][-1])
        await echo_all(receive, send)

    with serve(app) as server, connect(server) as client:
        client.send(handshake("/", *fields))
        assert client.accepted().get(b"sec-websocket-protocol") == offered[-1].encode()
        assert notes.get() == offered
        client.say_goodbye()


@pytest.mark.parametrize("chosen", [None, ""])
def test_no_subprotocol_is_chosen_by_the_server(serve: Serve, chosen: str | None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send, subprotocol=chosen)
        await echo_all(receive, send)

    with serve(app) as server, connect(server) as client:
        client.send(handshake("/", "Sec-WebSocket-Protocol: chat"))
        assert client.accepted().get(b"sec-websocket-protocol") is None
        client.say_goodbye()


@pytest.mark.parametrize("kind", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_fields_of_the_accept(serve: Serve, kind: Any) -> None:
    fields = [(b"x-one", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=\xe9"), (b"x-e", b"")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send, headers=kind(fields))
        await echo_all(receive, send)

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        head = client.accepted()
        assert [pair for pair in head.headers if pair in fields] == fields
        client.say_goodbye()


@pytest.mark.parametrize(
    "field", [(b"x-split", b"a\r\nb: c"), (b"x y", b"a"), (b"", b"a"), (b"x-nul", b"\0")]
)
def test_fields_that_would_not_be_one_line(serve: Serve, field: tuple[bytes, bytes]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send, headers=[field])

    with serve(app) as server:
        response = answer_to(server, handshake())
        assert response.status == 500 and response.get(b"b") is None
        server.log.expect("Exception in ASGI application", logging.ERROR)


@pytest.mark.parametrize("more", [{}, {"code": 4000, "reason": "no"}])
def test_a_close_before_the_accept(serve: Serve, notes: Notes, more: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == CONNECT
        await send({**CLOSE, **more})
        notes.put(await receive())

    with serve(app) as server:
        response = answer_to(server, handshake())
        assert (response.status, response.body) == (403, b"")
        message = notes.get()
        assert message["type"] == "websocket.disconnect" and message["code"] == 1006
        server.log.expect('"WebSocket /" 403', logging.INFO)


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise LookupError("before the accept")


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def returns_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def sends_first(scope: Scope, receive: Receive, send: Send) -> None:
    await send(text("too early"))


@pytest.mark.parametrize(
    ("app", "line"),
    [
        (raises, "Exception in ASGI application"),
        (returns, "ASGI callable returned without completing handshake."),
        (returns_at_once, "ASGI callable returned without completing handshake."),
        (sends_first, "Exception in ASGI application"),
    ],
)
def test_no_answer(serve: Serve, app: Any, line: str) -> None:
    with serve(app) as server, connect(server) as client:
        client.send(handshake() + frame(TEXT, b"hi"))
        response = client.read_response()
        assert (response.status, response.body) == (500, b"Internal Server Error")
        client.assert_closed()
        server.log.expect(line, logging.ERROR)


def denial(*messages: dict[str, Any], notes: Notes | None = None) -> Any:
    """An application that answers with HTTP, and notes what it receives behind that."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == CONNECT
        for message in messages:
            await send(dict(message))
        if notes is not None:
            notes.put(await receive())

    return app


def test_a_denial(serve: Serve, notes: Notes) -> None:
    fields = [(b"www-authenticate", b"Basic"), (b"x-one", b"1"), (b"content-length", b"2")]
    app = denial(
        {"type": START, "status": 401, "headers": fields},
        {"type": BODY, "body": b"no"},
        notes=notes,
    )
    with serve(app) as server:
        response = answer_to(server, handshake("/private?a=b"))
        assert (response.status, response.body) == (401, b"no")
        assert [pair for pair in response.headers if pair in fields] == fields
        message = notes.get()
        assert message["type"] == "websocket.disconnect" and message["code"] == 1006
        server.log.expect('"WebSocket /private?a=b" 401', logging.INFO)


@pytest.mark.parametrize("status", [200, 302, 404, 503, 599])
def test_denials_with_every_kind_of_status(serve: Serve, status: int) -> None:
    app = denial({"type": START, "status": status, "headers": []}, {"type": BODY, "body": b"x"})
    with serve(app) as server:
        response = answer_to(server, handshake())
        assert (response.status, response.body) == (status, b"x")


def test_a_denial_with_what_is_optional_left_out(serve: Serve) -> None:
    with serve(denial({"type": START, "status": 404}, {"type": BODY})) as server:
        response = answer_to(server, handshake())
        assert (response.status, response.body) == (404, b"")


def test_a_denial_in_pieces(serve: Serve) -> None:
    """A piece is there before the next one is sent."""
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": START, "status": 503, "headers": [(b"content-length", b"9")]})
        await send({"type": BODY, "body": b"one", "more_body": True})
        await asyncio.to_thread(go.wait, WAIT)
        await send({"type": BODY, "body": b"two", "more_body": True})
        await send({"type": BODY, "body": b"end", "more_body": False})

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        assert client.read_head().status == 503
        assert client.read(3) == b"one"
        go.set()
        assert client.read(6) == b"twoend"


def test_a_large_denial_without_a_length(serve: Serve) -> None:
    pieces = [bytes([number]) * 50_000 for number in range(40)]
    messages = [{"type": BODY, "body": piece, "more_body": True} for piece in pieces]
    app = denial({"type": START, "status": 403, "headers": []}, *messages, {"type": BODY})
    with serve(app) as server:
        assert answer_to(server, handshake()).body == b"".join(pieces)


@pytest.mark.parametrize("how", ["raises", "returns", "accepts"])
def test_half_a_denial(serve: Serve, how: str) -> None:
    """Its end is missing, which the client sees."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": START, "status": 401, "headers": [(b"content-length", b"9")]})
        await send({"type": BODY, "body": b"one", "more_body": True})
        if how == "raises":
            raise LookupError("in the denial")
        if how == "accepts":
            await send(dict(ACCEPT))

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        received = client.read_to_end()
        assert received.partition(b"\r\n\r\n")[2] in (b"", b"one")
        assert b" 101 " not in received
        line = {
            "raises": "Exception in ASGI application",
            "returns": "ASGI callable returned without completing",
            "accepts": "Exception in ASGI application",
        }[how]
        record = server.log.expect(line, logging.ERROR)
        if how == "accepts":
            assert record.exc_info and str(record.exc_info[1]) == (
                "Expected ASGI message 'websocket.http.response.body' but got 'websocket.accept'."
            )


@pytest.mark.parametrize("status", [99, 600, 700])
def test_a_denial_whose_status_is_none(serve: Serve, status: int) -> None:
    with serve(denial({"type": START, "status": status, "headers": []})) as server:
        assert answer_to(server, handshake()).status == 500
        server.log.expect("Exception in ASGI application", logging.ERROR)


def test_a_client_that_leaves_before_the_accept(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == CONNECT
        notes.put("in")
        message = await receive()
        notes.put((message["type"], message["code"]))
        try:
            await send(dict(ACCEPT))
        except OSError:
            notes.put("gone")

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        assert notes.get() == "in"
        client.close()
        assert notes.get() == ("websocket.disconnect", 1006)
        assert notes.get() == "gone"


def test_http_is_served_beside(serve: Serve) -> None:
    with serve(echo) as server, opened(server) as one, connect(server) as two:
        two.assert_open()
        one.text("hi")
        assert one.read_message() == "hi"
        two.assert_open()
        one.say_goodbye()
    with serve(hello) as server, connect(server) as client:
        client.assert_open()
