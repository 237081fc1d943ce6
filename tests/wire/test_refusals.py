# SPDX-License-Identifier: MIT
"""Malformed and hostile requests: one answer, one log line that names the rule, a closed connection."""

from __future__ import annotations

import asyncio
import logging
import re
import threading

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, read_body, respond
from tests.support.raw import RawClient, Response
from tests.support.server import RunningServer

PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    505: b"HTTP Version Not Supported",
}
RULE = re.compile(r"Invalid HTTP request received\. \([A-Za-z].+\)")


def assert_refused(server: RunningServer, client: RawClient, *statuses: int) -> Response:
    """The next response refuses the request; then the connection ends; the log names the rule."""
    response = client.read_response()
    assert response.status in statuses, response
    assert response.reason == PHRASES[response.status]
    assert response.get(b"connection") == b"close"
    assert response.get(b"content-type") == b"text/plain; charset=utf-8"
    text = b"Invalid HTTP request received." if response.status == 400 else response.reason
    assert response.body == text
    client.assert_closed()
    record = server.log.expect("Invalid HTTP request received.")
    assert record.levelno == logging.WARNING
    assert RULE.fullmatch(record.getMessage()), record.getMessage()
    return response


def get(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    """Return a request with exactly these lines after the request line."""
    return b"\r\n".join([line, *fields, b"", b""])


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """Return a POST with a Host and these fields."""
    return get(b"Host: h", *fields, line=b"POST /echo HTTP/1.1") + body


CHUNKED = b"Transfer-Encoding: chunked"
HOST = b"Host: h"

REFUSED: dict[str, tuple[bytes, tuple[int, ...]]] = {
    # ---- request line ----
    "nonsense": (b"\x00\x01\x02\x03\r\n\r\n", (400,)),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50, (400,)),
    "no version": (b"GET /\r\n\r\n", (400,)),
    "no target": (get(HOST, line=b"GET  HTTP/1.1"), (400,)),
    "two spaces": (get(HOST, line=b"GET /  HTTP/1.1"), (400,)),
    "space in the target": (get(HOST, line=b"GET /a b HTTP/1.1"), (400, 505)),
    "tab for space": (get(HOST, line=b"GET\t/ HTTP/1.1"), (400,)),
    "space before the method": (get(HOST, line=b" GET / HTTP/1.1"), (400,)),
    "control in the target": (get(HOST, line=b"GET /\x01 HTTP/1.1"), (400,)),
    "NUL in the target": (get(HOST, line=b"GET /\x00 HTTP/1.1"), (400,)),
    "DEL in the target": (get(HOST, line=b"GET /\x7f HTTP/1.1"), (400,)),
    "raw UTF-8 in the target": (get(HOST, line=b"GET /\xc3\xa9 HTTP/1.1"), (400,)),
    "target without a slash": (get(HOST, line=b"GET a HTTP/1.1"), (400,)),
    "asterisk with GET": (get(HOST, line=b"GET * HTTP/1.1"), (400,)),
    "unknown method": (get(HOST, line=b"FOOBAR / HTTP/1.1"), (501,)),
    "method in small letters": (get(HOST, line=b"get / HTTP/1.1"), (400, 501)),
    "forbidden character in the method": (get(HOST, line=b"G@T / HTTP/1.1"), (400,)),
    "small http": (get(HOST, line=b"GET / http/1.1"), (400,)),
    "no HTTP": (get(HOST, line=b"GET / FTP/1.1"), (400,)),
    "version of letters": (get(HOST, line=b"GET / HTTP/x.y"), (400,)),
    "version without a dot": (get(HOST, line=b"GET / HTTP/11"), (400, 505)),
    "HTTP/2.0": (get(HOST, line=b"GET / HTTP/2.0"), (505,)),
    "HTTP/3.0": (get(HOST, line=b"GET / HTTP/3.0"), (505,)),
    "HTTP/1.2": (get(HOST, line=b"GET / HTTP/1.2"), (505,)),
    "HTTP/0.9": (get(HOST, line=b"GET / HTTP/0.9"), (505,)),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505,)),
    # ---- fields ----
    "no Host": (get(), (400,)),
    "two Hosts": (get(HOST, HOST), (400,)),
    "two different Hosts": (get(HOST, b"Host: other"), (400,)),
    "Host that is none": (get(b"Host: a b"), (400,)),
    "Host with a path": (get(b"Host: a/b"), (400,)),
    "space before the colon": (get(HOST, b"X : 1"), (400,)),
    "tab before the colon": (get(HOST, b"X\t: 1"), (400,)),
    "no name": (get(HOST, b": 1"), (400,)),
    "no colon": (get(HOST, b"X"), (400,)),
    "space in a name": (get(HOST, b"X Y: 1"), (400,)),
    "control in a name": (get(HOST, b"X\x01: 1"), (400,)),
    "non-ASCII name": (get(HOST, b"X\xe9: 1"), (400,)),
    "NUL in a value": (get(HOST, b"X: a\x00b"), (400,)),
    "control in a value": (get(HOST, b"X: a\x01b"), (400,)),
    "DEL in a value": (get(HOST, b"X: a\x7fb"), (400,)),
    "folded line": (get(HOST, b"X: a", b" b"), (400,)),
    "folded by tab": (get(HOST, b"X: a", b"\tb"), (400,)),
    "folded first line": (get(b" X: a", HOST), (400,)),
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: h\r\n\r\n", (400,)),
    "bare LF after a field": (b"GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n", (400,)),
    "bare LF at the end": (b"GET / HTTP/1.1\r\nHost: h\r\n\n", (400,)),
    "bare LFs only": (b"GET / HTTP/1.1\nHost: h\n\n", (400,)),
    "bare CR in a value": (get(HOST, b"X: a\rb"), (400,)),
    "bare CR after a field": (b"GET / HTTP/1.1\r\nHost: h\rX: 1\r\n\r\n", (400,)),
    "bare CR at the end": (b"GET / HTTP/1.1\r\nHost: h\r\n\rX", (400,)),
    # ---- framing, the shapes of request smuggling ----
    "CL and TE": (post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), (400,)),
    "TE and CL": (post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), (400,)),
    "CL of nothing and TE": (post(b"Content-Length: 0", CHUNKED, body=b"0\r\n\r\n"), (400,)),
    "two different CLs": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"abcdef"), (400,)),
    "two equal CLs": (post(b"Content-Length: 5", b"Content-Length: 5", body=b"abcde"), (400,)),
    "CL list": (post(b"Content-Length: 5, 5", body=b"abcde"), (400,)),
    "CL with a plus": (post(b"Content-Length: +5", body=b"abcde"), (400,)),
    "CL with a minus": (post(b"Content-Length: -5", body=b"abcde"), (400,)),
    "CL in hexadecimal": (post(b"Content-Length: 0x5", body=b"abcde"), (400,)),
    "CL with a space inside": (post(b"Content-Length: 5 5", body=b"abcde"), (400,)),
    "CL with an underscore": (post(b"Content-Length: 1_0", body=b"abcde"), (400,)),
    "CL empty": (post(b"Content-Length:", body=b"abcde"), (400,)),
    "CL of a word": (post(b"Content-Length: five", body=b"abcde"), (400,)),
    "CL over 64 bits": (post(b"Content-Length: 18446744073709551617", body=b"a"), (400,)),
    "CL of 30 digits": (post(b"Content-Length: " + b"9" * 30, body=b"a"), (400,)),
    "CL with a space before the colon": (post(b"Content-Length : 5", body=b"abcde"), (400,)),
    "TE with a space before the colon": (
        post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
        (400,),
    ),
    "TE in HTTP/1.0": (
        get(CHUNKED, line=b"POST /echo HTTP/1.0") + b"0\r\n\r\n",
        (400,),
    ),
    "TE twice": (post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), (400,)),
    "TE chunked, chunked": (
        post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        (400,),
    ),
    "TE chunked not last": (post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), (400,)),
    "TE chunked not last, in two fields": (
        post(CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n"),
        (400,),
    ),
    "TE gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), (501,)),
    "TE gzip": (post(b"Transfer-Encoding: gzip", body=b"0\r\n\r\n"), (400, 501)),
    "TE identity": (post(b"Transfer-Encoding: identity"), (400, 501)),
    "TE xchunked": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), (400, 501)),
    "TE empty": (post(b"Transfer-Encoding:"), (400, 501)),
    "TE with vertical tab": (post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), (400,)),
    "TE quoted": (post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), (400, 501)),
    # ---- limits ----
    "long target": (get(HOST, line=b"GET /" + b"a" * 100_000 + b" HTTP/1.1"), (414,)),
    "endless target": (b"GET /" + b"a" * 2_000_000, (414,)),
    "endless method": (b"A" * 100_000, (400, 414, 501)),
    "many fields": (get(HOST, *(b"X-%d: 1" % n for n in range(300))), (431,)),
    "large field": (get(HOST, b"X: " + b"a" * 1_000_000), (431,)),
    "endless field": (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 2_000_000, (431,)),
    "endless field name": (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a" * 2_000_000, (431,)),
    "large fields together": (
        get(HOST, *(b"X-%d: " % n + b"a" * 10_000 for n in range(50))),
        (431,),
    ),
}


def quietly_send(client: RawClient, data: bytes) -> None:
    """Send what the server may refuse before it has all of it."""
    try:
        client.send(data)
    except ConnectionError:
        client.reset = True


@pytest.mark.parametrize("name", REFUSED)
def test_refused(wire: RunningServer, name: str) -> None:
    data, statuses = REFUSED[name]
    with wire.connect() as client:
        quietly_send(client, data)
        assert_refused(wire, client, *statuses)
    with wire.connect() as other:
        other.assert_open()


@pytest.mark.parametrize("name", [n for n, (data, _) in REFUSED.items() if len(data) < 1000])
def test_refused_byte_by_byte(split_server: RunningServer, name: str) -> None:
    """How the bytes arrive changes nothing."""
    data, statuses = REFUSED[name]
    with split_server.connect() as client:
        for at in range(len(data)):
            quietly_send(client, data[at : at + 1])
            split_server.settle()
        assert_refused(split_server, client, *statuses)


@pytest.mark.parametrize(
    "name", ["CL and TE", "no Host", "nonsense", "unknown method", "folded line"]
)
def test_refused_behind_a_good_request(wire: RunningServer, name: str) -> None:
    """The good one is answered, then the bad one; what follows never counts."""
    data, statuses = REFUSED[name]
    with wire.connect() as client:
        client.send(
            get(HOST, line=b"GET /good HTTP/1.1") + data + get(HOST, line=b"GET /x HTTP/1.1")
        )
        assert client.read_response().body == b"/good?"
        assert_refused(wire, client, *statuses)


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\nabc\r\n",
        b"-1\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n",
        b"\r\n",
        b"3\nabc\r\n",
        b"3\rabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcX\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nabc",
        b"3;a=\x01\r\nabc\r\n",
        b"3;a\nabc\r\n",
        b"3;" + b"a" * 1_000_000,
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\nX: 1\n\r\n",
        b"0\r\n" + b"X: 1\r\n" * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bad_chunks(serve: Serve, notes: Notes, body: bytes) -> None:
    """The app sees a disconnect, never a complete body; the client sees a refusal and the end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            return await respond(send)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect" or not message["more_body"]:
                notes.put(message)
                return

    with serve(app) as server:
        with server.connect() as client:
            client.send(post(CHUNKED))
            quietly_send(client, body)
            assert notes.get() == {"type": "http.disconnect"}
            raw = client.read_to_end()
            assert re.match(rb"HTTP/1.1 (400|431) ", raw), raw
            assert raw.count(b"HTTP/1.1 ") == 1
            assert RULE.fullmatch(server.log.expect("Invalid HTTP").getMessage())
        with server.connect() as other:
            other.assert_open()


def test_bad_chunks_within_a_response(serve: Serve, notes: Notes) -> None:
    """A response that has begun is not mixed with a refusal."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        while (message := await receive())["type"] != "http.disconnect":
            assert message["more_body"]
        notes.put(message)
        await send({"type": "http.response.body", "body": b"rest"})

    with serve(app) as server, server.connect() as client:
        client.send(post(CHUNKED))
        assert client.read_head().status == 200
        client.send(b"zz\r\n")
        assert notes.get() == {"type": "http.disconnect"}
        assert client.read_to_end() == b"4\r\npart\r\n"
        server.log.expect("Invalid HTTP request received.")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: h",
        b"G",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n",
    ],
)
def test_half_a_head_times_out(serve: Serve, data: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    server = serve(app, timeout_head=0.2)
    fresh, kept = server.connect(), server.connect()
    fresh.send(data)  # is there before the server is
    kept.get()
    with server, fresh, kept:
        assert_refused(server, fresh, 408)
        assert kept.read_response().status == 200
        kept.send(data)
        assert_refused(server, kept, 408)


def test_a_head_that_drips_times_out(serve: Serve) -> None:
    """Each byte resets nothing: the head as a whole has its time."""
    stop = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    def drip(client: RawClient) -> None:
        while not stop.wait(0.02):
            quietly_send(client, b"X")
            if client.reset:
                return

    server = serve(app, timeout_head=0.3)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n")  # is there before the server is
    with server, client:
        dripping = threading.Thread(target=drip, args=(client,))
        dripping.start()
        try:
            assert client.read_until(b"\r\n").startswith(b"HTTP/1.1 408 ")
        finally:
            stop.set()
            dripping.join()
        server.log.expect("Invalid HTTP request received.")


def test_a_silent_connection_is_closed_without_an_answer(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)

    with serve(app, timeout_head=0.2) as server, server.connect() as client:
        client.assert_closed()
    assert not [line for line in server.log.lines() if "Invalid" in line]


def test_a_slow_body_is_not_a_slow_head(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.5)
        await respond(send, await read_body(receive))

    server = serve(app, timeout_head=0.1)
    client = server.connect()
    client.send(post(b"Content-Length: 2", body=b"a"))  # is there before the server is
    with server, client:
        client.send(b"b")
        assert client.read_response().body == b"ab"


def test_refusals_do_not_hold_the_others_up(wire: RunningServer) -> None:
    with wire.connect() as good:
        for data, _ in list(REFUSED.values())[:60]:
            with wire.connect() as bad:
                quietly_send(bad, data)
                good.assert_open()
                bad.read_to_end()


def test_what_is_within_the_limits_is_served(wire: RunningServer) -> None:
    fields = [b"X-%d: " % n + b"a" * 500 for n in range(90)]
    with wire.connect() as client:
        for _ in range(3):
            client.send(get(HOST, *fields, line=b"GET /counted?" + b"q" * 8000 + b" HTTP/1.1"))
            assert client.read_response().body == b"hello"


@pytest.mark.parametrize(
    "method",
    [b"CONNECT h:80", b"OPTIONS *", b"TRACE /"],
)
def test_rare_methods_get_one_answer(wire: RunningServer, method: bytes) -> None:
    """Served or refused, but answered once, and never as a tunnel."""
    with wire.connect() as client:
        client.send(get(b"Host: h:80", b"Connection: close", line=method + b" HTTP/1.1"))
        raw = client.read_to_end()
        assert raw.count(b"HTTP/1.1 ") == 1
        assert not re.match(rb"HTTP/1.1 [25]0[0-9]", raw) or b"connection: close" in raw
