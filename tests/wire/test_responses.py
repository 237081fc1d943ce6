# SPDX-License-Identifier: MIT
"""Requests in, bytes out: framing, default fields and what becomes of the connection."""

from __future__ import annotations

import datetime
import email.utils
import re
from dataclasses import dataclass

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond
from tests.support.server import RunningServer

DEFAULT = {b"date", b"server"}
OPEN, CLOSED = "open", "closed"


@dataclass
class Case:
    """Bytes in, and what must come out: status line, fields beside date and server, the raw body."""

    name: str
    send: bytes
    status: int
    fields: dict[bytes, bytes]
    body: bytes
    after: str = OPEN


def request(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return the bytes of a request without a body."""
    lines = [f"{method} /{path} HTTP/{version}", "Host: h", *fields, "", ""]
    return "\r\n".join(lines).encode()


PLAIN = {b"content-type": b"text/plain", b"content-length": b"5"}
COUNTED = {b"content-length": b"5"}
CHUNKED = {b"transfer-encoding": b"chunked"}
CLOSE = {b"connection": b"close"}
KEEP = {b"connection": b"keep-alive"}
TWO_CHUNKS = b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"

CASES = [
    # ---- framing ----
    Case("counted by the app", request("counted"), 200, PLAIN, b"hello"),
    Case("one piece is counted", request("whole"), 200, COUNTED, b"hello"),
    Case("empty is counted", request("empty"), 200, {b"content-length": b"0"}, b""),
    Case("pieces are chunked", request("stream"), 200, CHUNKED, TWO_CHUNKS),
    Case(
        "a piece and an empty end",
        request("stream-late-end"),
        200,
        CHUNKED,
        b"5\r\nhello\r\n0\r\n\r\n",
    ),
    Case(
        "counted pieces", request("counted-stream"), 200, {b"content-length": b"10"}, b"helloworld"
    ),
    Case("chunks as the app asked", request("own-chunked"), 200, CHUNKED, TWO_CHUNKS),
    # ---- no body ----
    Case("HEAD, counted", request("counted", method="HEAD"), 200, PLAIN, b""),
    Case("204", request("no-content"), 204, {}, b""),
    Case("204 with a body", request("no-content-with-body"), 204, {}, b""),
    Case(
        "304 with a length",
        request("not-modified"),
        304,
        {b"content-length": b"500", b"etag": b'"x"'},
        b"",
    ),
    # ---- connection ----
    Case(
        "client closes",
        request("counted", "Connection: close"),
        200,
        PLAIN | CLOSE,
        b"hello",
        CLOSED,
    ),
    Case(
        "close in a list",
        request("counted", "Connection: x, Close"),
        200,
        PLAIN | CLOSE,
        b"hello",
        CLOSED,
    ),
    Case(
        "client closes a stream",
        request("stream", "Connection: close"),
        200,
        CHUNKED | CLOSE,
        TWO_CHUNKS,
        CLOSED,
    ),
    Case("app closes", request("closing"), 200, COUNTED | CLOSE, b"hello", CLOSED),
    Case(
        "keep-alive spelt out", request("counted", "Connection: keep-alive"), 200, PLAIN, b"hello"
    ),
    Case("1.0", request("counted", version="1.0"), 200, PLAIN | CLOSE, b"hello", CLOSED),
    Case(
        "1.0 keeps alive when asked",
        request("counted", "Connection: keep-alive", version="1.0"),
        200,
        PLAIN | KEEP,
        b"hello",
    ),
    Case(
        "1.0 gets no chunks",
        request("stream", version="1.0"),
        200,
        CLOSE,
        b"helloworld",
        CLOSED,
    ),
    Case(
        "1.0 with keep-alive gets no chunks",
        request("stream", "Connection: keep-alive", version="1.0"),
        200,
        CLOSE,
        b"helloworld",
        CLOSED,
    ),
    Case(
        "1.0 gets no chunks though the app asks",
        request("own-chunked", version="1.0"),
        200,
        CLOSE,
        b"helloworld",
        CLOSED,
    ),
    Case(
        "1.0 in one piece is counted",
        request("whole", "Connection: keep-alive", version="1.0"),
        200,
        COUNTED | KEEP,
        b"hello",
    ),
    Case(
        "1.0 without Host", b"GET /counted HTTP/1.0\r\n\r\n", 200, PLAIN | CLOSE, b"hello", CLOSED
    ),
    # ---- requests ----
    Case("leading CRLF", b"\r\n\r\n" + request("counted"), 200, PLAIN, b"hello"),
    Case(
        "absolute form",
        b"GET http://other/counted HTTP/1.1\r\nHost: h\r\n\r\n",
        200,
        PLAIN,
        b"hello",
    ),
    Case(
        "upgrade is ignored",
        request("counted", "Connection: upgrade", "Upgrade: h2c"),
        200,
        PLAIN,
        b"hello",
    ),
    Case(
        "chunked body",
        request("echo", "Transfer-Encoding: chunked", method="POST")
        + b"3\r\nabc\r\n02\r\nde\r\n0\r\n\r\n",
        200,
        PLAIN,
        b"abcde",
    ),
    Case(
        "chunked in capitals, with extensions and trailers",
        request("echo", "Transfer-Encoding: CHUNKED", method="POST")
        + b'3;a=b;c="d"\r\nabc\r\n2 \r\nde\r\n0\r\nX-Late: 1\r\n\r\n'.replace(b"2 ", b"2"),
        200,
        PLAIN,
        b"abcde",
    ),
    Case(
        "counted body",
        request("echo", "Content-Length: 5", method="POST") + b"abcde",
        200,
        PLAIN,
        b"abcde",
    ),
    Case(
        "a length of nothing",
        request("echo", "Content-Length: 0", method="POST"),
        200,
        {b"content-type": b"text/plain", b"content-length": b"0"},
        b"",
    ),
    Case(
        "a length with zeros in front",
        request("echo", "Content-Length: 0005", method="POST") + b"abcde",
        200,
        PLAIN,
        b"abcde",
    ),
    Case(
        "a body in a GET",
        request("echo", "Content-Length: 5") + b"abcde",
        200,
        PLAIN,
        b"abcde",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_table(wire: RunningServer, case: Case) -> None:
    with wire.connect() as client:
        client.send(case.send)
        head = client.read_head()
        assert head.status == case.status
        assert len(head.all(b"date")) == len(head.all(b"server")) == 1
        fields = [pair for pair in head.headers if pair[0] not in DEFAULT]
        assert sorted(fields) == sorted(case.fields.items())
        assert client.read(len(case.body)) == case.body
        if case.after == OPEN:
            client.assert_open("/counted")
        else:
            client.assert_closed()


@pytest.mark.parametrize("path", ["stream", "whole", "own-chunked"])
def test_head_of_an_uncounted_answer(wire: RunningServer, path: str) -> None:
    with wire.connect() as client:
        client.send(request(path, method="HEAD"))
        head = client.read_head()
        assert head.status == 200
        assert head.get(b"content-length") is None or head.get(b"transfer-encoding") is None
        assert client.ask("/counted").body == b"hello"


def test_a_304_drops_a_body(wire: RunningServer) -> None:
    with wire.connect() as client:
        client.send(request("not-modified-with-body"))
        assert client.read_head().status == 304
        client.assert_open("/counted")


def test_two_framings_become_one(wire: RunningServer) -> None:
    with wire.connect() as client:
        response = client.ask("/length-and-chunked")
        assert response.body == b"hello"
        assert (response.get(b"content-length") is None) is response.chunked


def test_fields_of_the_app_are_not_doubled(wire: RunningServer) -> None:
    with wire.connect() as client:
        response = client.ask("/own-fields")
        assert response.all(b"date") == [b"today"]
        assert response.all(b"server") == [b"mine"]


def test_default_fields(wire: RunningServer) -> None:
    with wire.connect() as client:
        response = client.ask("/counted")
    assert response.get(b"server") == b"cuvee"
    date = response.get(b"date")
    assert date is not None
    assert re.fullmatch(
        rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date
    )
    said = email.utils.parsedate_to_datetime(date.decode())
    age = datetime.datetime.now(datetime.UTC) - said
    assert abs(age) < datetime.timedelta(minutes=1)


@pytest.mark.parametrize("option", ["date_header", "server_header"])
def test_default_fields_can_be_left_out(serve: Serve, option: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    with serve(app, **{option: False}) as server, server.connect() as client:
        names = [name for name, _ in client.ask().headers]
        assert option.removesuffix("_header").encode() not in names
        assert len(names) == 3


def test_too_much_body_is_cut(wire: RunningServer) -> None:
    with wire.connect() as client:
        response = client.ask("/too-long")
        assert response.body == b"hello"
        client.assert_closed()
        record = wire.log.expect("Exception in ASGI application")
        assert record.exc_info and isinstance(record.exc_info[1], RuntimeError)
        assert str(record.exc_info[1]) == "Response content longer than Content-Length"


def test_too_little_body_closes(wire: RunningServer) -> None:
    with wire.connect() as client:
        client.get("/too-short")
        assert client.read_head().get(b"content-length") == b"5"
        assert client.read_to_end() in (b"hell", b"")
        record = wire.log.expect("Exception in ASGI application")
        assert record.exc_info and isinstance(record.exc_info[1], RuntimeError)
        assert str(record.exc_info[1]) == "Response content shorter than Content-Length"


def test_nothing_is_served_behind_a_close(wire: RunningServer) -> None:
    with wire.connect() as client:
        client.send(request("a", "Connection: close") + request("b"))
        assert client.read_response().body == b"/a?"
        client.assert_closed()


def test_pipelining(wire: RunningServer) -> None:
    with wire.connect() as client:
        client.send(b"".join(request(f"n?{number}") for number in range(20)))
        for number in range(20):
            assert client.read_response().body == b"/n?%d" % number
        client.assert_open()


def test_pipelining_of_all_kinds(wire: RunningServer) -> None:
    """Bodies in, streams out, answers without a body: each stays in its place."""
    chunked = request("echo", "Transfer-Encoding: chunked", method="POST")
    counted = request("echo", "Content-Length: 5", method="POST")
    group: list[tuple[bytes, str, bytes]] = [
        (request("a"), "GET", b"/a?"),
        (counted + b"abcde", "POST", b"abcde"),
        (request("counted", method="HEAD"), "HEAD", b""),
        (chunked + b"2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n", "POST", b"xyz"),
        (request("stream"), "GET", b"helloworld"),
        (request("no-content"), "GET", b""),
        (request("b", "Content-Length: 7", method="POST") + b"ignored", "POST", b"/b?"),
    ]
    with wire.connect() as client:
        for _ in range(3):
            client.send(b"".join(sent for sent, _, _ in group) * 4)
            for _, method, body in group * 4:
                assert client.read_response(method).body == body


def test_pipelining_of_more_than_fits(wire: RunningServer) -> None:
    """The client sends requests without reading, until nobody takes any more; then it reads."""
    one = request("n?" + "x" * 1000)
    with wire.connect() as client:
        sent = client.send_until_stuck(one, 64 << 20, patience=0.3)
        assert sent < 64 << 20
        whole, part = divmod(sent, len(one))
        for _ in range(whole):
            assert client.read_response().body == b"/n?" + b"x" * 1000
        if part:
            client.send(one[part:])
            assert client.read_response().body == b"/n?" + b"x" * 1000
        client.assert_open()


SPLIT = (
    request("echo", "Transfer-Encoding: chunked", "X-A: b", method="POST")
    + b"3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
    + request("counted")
)


@pytest.mark.parametrize("at", range(1, len(SPLIT)))
def test_split_in_two(split_server: RunningServer, at: int) -> None:
    with split_server.connect() as client:
        client.send(SPLIT[:at])
        split_server.settle()
        client.send(SPLIT[at:])
        assert client.read_response().body == b"abcde"
        assert client.read_response().body == b"hello"


def test_split_at_every_byte(split_server: RunningServer) -> None:
    with split_server.connect() as client:
        for at in range(len(SPLIT)):
            client.send(SPLIT[at : at + 1])
            split_server.settle()
        assert client.read_response().body == b"abcde"
        assert client.read_response().body == b"hello"


def test_a_continue_is_sent_when_the_body_is_asked_for(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("in")
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        await respond(send, body)

    with serve(app) as server, server.connect() as client:
        for expect in ("100-continue", "100-Continue"):
            client.send(request("", f"Expect: {expect}", "Content-Length: 5", method="PUT"))
            assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"ab", b"cde")
            assert client.read_response().body == b"abcde"


def test_no_continue_when_the_app_answers_at_once(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"no", 413)

    with serve(app) as server, server.connect() as client:
        client.send(request("", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        assert client.read_response().status == 413


def test_no_continue_after_the_answer_began(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        body = (await receive())["body"]
        await send({"type": "http.response.body", "body": body})

    with serve(app) as server, server.connect() as client:
        client.send(request("", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
        assert client.read_head().status == 200
        client.send(b"body")
        assert client.read_until(b"0\r\n\r\n").startswith(b"5\r\nfirst\r\n")


def test_no_continue_when_the_body_is_there(wire: RunningServer) -> None:
    with wire.connect() as client:
        client.send(
            request("echo", "Expect: 100-continue", "Content-Length: 5", method="PUT") + b"abcde"
        )
        text = client.read_until(b"abcde")
        assert text.count(b"HTTP/1.1 ") == 1 + text.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.assert_open()


def test_no_continue_for_http_1_0(wire: RunningServer) -> None:
    with wire.connect() as client:
        client.send(
            request(
                "echo", "Expect: 100-continue", "Content-Length: 2", method="PUT", version="1.0"
            )
        )
        client.send(b"ok")
        assert client.read_response().body == b"ok"


def test_the_rest_of_a_body_is_dropped(wire: RunningServer) -> None:
    """The answer came before the body was there; the connection then goes on."""
    with wire.connect() as client:
        client.send(request("early", "Content-Length: 10", method="POST") + b"12345")
        assert client.read_response().body == b"/early?"
        client.send(b"67890", request("next"))
        assert client.read_response().body == b"/next?"


def test_the_rest_of_a_chunked_body_is_dropped(wire: RunningServer) -> None:
    with wire.connect() as client:
        client.send(request("early", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhel")
        assert client.read_response().body == b"/early?"
        client.send(b"lo\r\n", b"0\r\n", b"\r\n" + request("next"))
        assert client.read_response().body == b"/next?"


def test_a_large_rest_of_a_body_is_dropped(wire: RunningServer) -> None:
    size = 4 << 20
    with wire.connect() as client:
        client.send(request("early", f"Content-Length: {size}", method="POST"))
        assert client.read_response().body == b"/early?"
        client.send(b"x" * size, request("next"))
        assert client.read_response().body == b"/next?"


def test_an_unread_upload_ends_with_an_answer_that_can_be_read(serve: Serve) -> None:
    """The server closes, but no RST may destroy the answer while the client still sends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"enough", 413, [(b"connection", b"close")])

    with serve(app) as server:
        for _ in range(5):
            with server.connect() as client:
                client.send(request("", "Content-Length: 1000000", method="POST") + b"x" * 200_000)
                response = client.read_response()
                assert (response.status, response.body) == (413, b"enough")


def test_keep_alive_ends(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    with serve(app, timeout_keep_alive=0.2) as server, server.connect() as client:
        client.assert_open()
        client.assert_closed()


def test_keep_alive_does_not_end_a_request(serve: Serve, notes: Notes) -> None:
    """A request that takes longer than the keep-alive time is left in peace."""
    import asyncio

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.5 if scope["path"] == "/slow" else 0)
        await respond(send)

    with serve(app, timeout_keep_alive=1) as server, server.connect() as client:
        client.assert_open()
        client.assert_open("/slow")
        client.assert_closed()


def test_many_connections(wire: RunningServer) -> None:
    clients = [wire.connect() for _ in range(200)]
    for _ in range(2):
        for number, client in enumerate(clients):
            client.get(f"/{number}")
        for number, client in enumerate(clients):
            assert client.read_response().body == b"/%d?" % number
    for client in clients:
        client.close()
