# SPDX-License-Identifier: MIT
"""What clients do in the leak scenarios: each function does it `count` times."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tests.support.measured import MeasuredServer
from tests.support.raw import RawClient

Scenario = Callable[[MeasuredServer, int], None]

BROWSER = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,fr;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: https://example.org/wines?year=2019",
    "Connection: keep-alive",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=all",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-User: ?1",
    "Sec-GPC: 1",
    "DNT: 1",
    "Priority: u=0, i",
    "If-None-Match: W/5-abc",
    "Cache-Control: max-age=0",
    "X-Forwarded-For: 192.0.2.7",
    "X-Forwarded-Proto: https",
]


def get(name: str) -> bytes:
    """Return a GET."""
    return b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % name.encode()


def post(name: str, fields: bytes) -> bytes:
    """Return a POST's head."""
    return b"POST /%s HTTP/1.1\r\nHost: h\r\n%s\r\n" % (name.encode(), fields)


def keep_alive(path: str, *fields: str, method: str = "GET", body: bytes | None = None) -> Scenario:
    """All requests on one connection."""

    def run(server: MeasuredServer, count: int) -> None:
        with server.connect() as client:
            for _ in range(count):
                client.request(method, path, *fields, body=body)
                assert client.read_response(method).status == 200

    return run


def each(what: Callable[[RawClient], None], *, rcvbuf: int | None = None) -> Scenario:
    """Each time on a connection of its own."""

    def run(server: MeasuredServer, count: int) -> None:
        for _ in range(count):
            with server.connect(rcvbuf=rcvbuf) as client:
                what(client)

    return run


def answered(path: str, *fields: str, status: int = 200, body: bytes | None = None) -> Scenario:
    """One request; the server closes."""

    def what(client: RawClient) -> None:
        client.request("GET" if body is None else "POST", path, *fields, body=body)
        assert client.read_response().status == status
        client.read_to_end()

    return each(what)


def answered_then(path: str, how: str) -> Scenario:
    """One request; the client ends the connection."""

    def what(client: RawClient) -> None:
        client.assert_open(path)
        client.leave(how)

    return each(what)


def sent_then(data: bytes, how: str, till: bytes = b"", rcvbuf: int | None = None) -> Scenario:
    """The client goes in the middle, after it has read `till`."""

    def what(client: RawClient) -> None:
        if data:
            client.send(data)
        if till:
            client.read_until(till)
        client.leave(how)

    return each(what, rcvbuf=rcvbuf)


def refused(data: bytes, status: int) -> Scenario:
    """A request that is answered with an error by the server."""

    def what(client: RawClient) -> None:
        client.send(data)
        assert client.read_response().status == status
        client.read_to_end()

    return each(what)


def pipelined(server: MeasuredServer, count: int) -> None:
    """Ten requests in one piece."""
    names = ("hello", "stream", "tasks", "ignore", "background") * 2
    data = b"".join(map(get, names))
    with server.connect() as client:
        for _ in range(count):
            client.send(data)
            for _ in names:
                assert client.read_response().status == 200


def pipelined_and_gone(client: RawClient) -> None:
    """Requests wait behind one that never ends, and the client goes."""
    client.send(get("endless") + get("hello") * 20)
    client.read_until(b"tick")
    client.rst()


numbers = itertools.count()


def unlike(server: MeasuredServer, count: int) -> None:
    """No two requests have a path, a query, a field or a value in common: no cache may keep them."""
    with server.connect() as client:
        for _ in range(count):
            unique = f"unique-{next(numbers)}"
            fields = (f"X-{unique}: a", f"X-Value: {unique}")
            assert client.ask(f"/hello/{unique}?q={unique}", *fields).status == 200


def head_in_pieces(server: MeasuredServer, count: int) -> None:
    """A head that arrives in three pieces."""
    with server.connect() as client:
        for _ in range(count):
            client.send(b"GET /hello HT", b"TP/1.1\r\nHost: h\r\nX-Lo", b"ng: value\r\n\r\n")
            assert client.read_response().status == 200


def expect_continue(server: MeasuredServer, count: int) -> None:
    """The body comes after 100 Continue."""
    with server.connect() as client:
        for _ in range(count):
            client.send(post("echo", b"Expect: 100-continue\r\nContent-Length: 5\r\n"))
            assert client.read_head().status == 100
            client.send(b"hello")
            assert client.read_response().body == b"hello"


def chunked(server: MeasuredServer, count: int) -> None:
    """A chunked body, echoed."""
    data = post("echo", b"Transfer-Encoding: chunked\r\n")
    data += b"5\r\nhello\r\n" * 5 + b"2710\r\n" + b"x" * 10_000 + b"\r\n0\r\nX-Trailer: t\r\n\r\n"
    with server.connect() as client:
        for _ in range(count):
            client.send(data)
            assert len(client.read_response().body) == 10_025


def http_1_0(client: RawClient) -> None:
    """A response that ends with the connection."""
    client.send(b"GET /stream HTTP/1.0\r\n\r\n")
    client.read_until(b"\r\n\r\n")
    assert len(client.read_to_end()) == 60_015


def failed_within(client: RawClient, path: str = "/error_later") -> None:
    """An answer that breaks off."""
    client.get(path)
    client.read_until(b"part")
    client.read_to_end()


def wsgi_failed_within(client: RawClient) -> None:
    """The same of a WSGI application."""
    failed_within(client, "/wsgi/error_later")


def hint_and_file(server: MeasuredServer, count: int) -> None:
    """An interim response, then a file."""
    with server.connect() as client:
        for _ in range(count):
            client.get("/file")
            assert client.read_head().status == 103
            assert client.read_response().status == 200


def parts_and_trailers(server: MeasuredServer, count: int) -> None:
    """Parts of a file in chunks, and a trailer section."""
    with server.connect() as client:
        for _ in range(count):
            client.get("/parts", "TE: trailers")
            client.read_until(b"\r\n\r\n")
            assert client.read_until(b"\r\n\r\n").endswith(b"\r\n0\r\nsum: 1\r\n\r\n")


HALF_BODY = b"Content-Length: 100000\r\n"

SCENARIOS: dict[str, Scenario] = {
    "hello": keep_alive("/hello"),
    "browser": keep_alive("/hello?year=2019&colour=red%20wine", *BROWSER),
    "unlike": unlike,
    "head in pieces": head_in_pieces,
    "HEAD": keep_alive("/hello", method="HEAD"),
    "HTTP/1.0": each(http_1_0),
    "echo": keep_alive("/echo", method="POST", body=b"x" * 10_000),
    "echo of 200 kB": keep_alive("/echo", method="POST", body=b"x" * 200_000),
    "chunked": chunked,
    "expect": expect_continue,
    "stream": keep_alive("/stream"),
    "pipelined": pipelined,
    "connected only": sent_then(b"", "close"),
    "closed by the server": answered("/hello", "Connection: close"),
    "closed by the client": answered_then("/hello", "close"),
    "reset by the client": answered_then("/hello", "rst"),
    "upload unread": answered("/ignore", "Connection: close", body=b"x" * 100_000),
    "gone in the head, FIN": sent_then(b"GET /hello HTTP/1.1\r\nHo", "close"),
    "gone in the head, RST": sent_then(b"GET /hello HTTP/1.1\r\nHo", "rst"),
    "gone in the body, FIN": sent_then(post("wait", HALF_BODY) + b"x" * 500, "close"),
    "gone in the body, RST": sent_then(post("wait", HALF_BODY) + b"x" * 500, "rst"),
    "gone before the response, FIN": sent_then(get("wait"), "close"),
    "gone before the response, RST": sent_then(get("wait"), "rst"),
    "gone in the stream, FIN": sent_then(get("endless"), "close", b"tick"),
    "gone in the stream, RST": sent_then(get("endless"), "rst", b"tick"),
    "gone in the stream, pipelined": each(pipelined_and_gone),
    "gone while send waits": sent_then(get("stuck"), "rst", b"\r\n\r\n", 8192),
    "cancelled while send waits": sent_then(get("stuck_and_cancelled"), "rst", b"\r\n\r\n", 8192),
    "error": answered("/error", "Connection: close", status=500),
    "error within": each(failed_within),
    "no answer": answered("/nothing", "Connection: close", status=500),
    "cancelled": answered("/cancelled", "Connection: close", status=500),
    "wrong messages": keep_alive("/wrong_messages"),
    "create_task(receive()) cancelled": keep_alive("/receive_cancelled"),
    "wait_for(receive()) timed out": keep_alive("/receive_timeout"),
    "never awaited": keep_alive("/never_awaited"),
    "task group": keep_alive("/tasks"),
    "background": keep_alive("/background"),
    "context variables": keep_alive("/context"),
    "cycles in the scope": keep_alive("/kept_scope"),
    "hint and file": hint_and_file,
    "file not there": keep_alive("/no_file"),
    "parts of a file, trailers": parts_and_trailers,
    "gone before the file": sent_then(get("file"), "rst"),
    "many tasks send, then gone": sent_then(get("crowd"), "rst", b"\r\n\r\n", 8192),
    "wsgi": keep_alive("/wsgi/hello", *BROWSER),
    "wsgi echo": keep_alive("/wsgi/echo", method="POST", body=b"x" * 10_000),
    "wsgi echo of 200 kB": keep_alive("/wsgi/echo", method="POST", body=b"x" * 200_000),
    "wsgi written": keep_alive("/wsgi/written"),
    "wsgi file": keep_alive("/wsgi/file"),
    "wsgi error": answered("/wsgi/error", "Connection: close", status=500),
    "wsgi error within": each(wsgi_failed_within),
    "wsgi gone in the body": sent_then(post("wsgi/echo", HALF_BODY) + b"x" * 500, "rst"),
    "wsgi gone in the stream": sent_then(get("wsgi/endless"), "rst", b"tick"),
    "malformed": refused(b"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n", 400),
    "no such version": refused(b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
    "line too long": refused(b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
    "too many fields": refused(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: x\r\n" * 101 + b"\r\n", 431),
    "client told by proxies": keep_alive("/hello", "X-Forwarded-For: [2001:db8::1]:99, junk, ::1"),
    "bad chunk": refused(post("echo", b"Transfer-Encoding: chunked\r\n") + b"xyz\r\n", 400),
}

PREAMBLE = b"PROXY TCP4 192.0.2.7 192.0.2.9 4711 80\r\n"


PROXY = "127.0.0.2"


def from_proxy(data: bytes, what: Callable[[RawClient], None]) -> Scenario:
    """A connection of the proxy, which begins with `data`."""

    def run(server: MeasuredServer, count: int) -> None:
        for _ in range(count):
            with server.connect(source=PROXY) as client:
                client.send(data)
                what(client)

    return run


def ask_behind_a_preamble(client: RawClient) -> None:
    """Send requests, one of them with other fields of a proxy."""
    client.assert_open("/hello")
    client.ask("/hello", "X-Forwarded-For: 198.51.100.7:99", "X-Forwarded-Proto: https")


PROXY_SCENARIOS: dict[str, Scenario] = {
    "preamble": from_proxy(PREAMBLE, ask_behind_a_preamble),
    "preamble, then gone": from_proxy(PREAMBLE, RawClient.rst),
    "half a preamble, FIN": from_proxy(PREAMBLE[:20], RawClient.close),
    "half a preamble, RST": from_proxy(PREAMBLE[:20], RawClient.rst),
    "malformed preamble": from_proxy(b"PROXY TCP4 192.0.2.7\r\n", RawClient.assert_closed),
    "no preamble": from_proxy(get("hello"), RawClient.assert_closed),
}
"""Under --proxy-protocol, with PROXY as the one that is trusted."""

CANCELLED_SCENARIOS: dict[str, Scenario] = {
    "hello": keep_alive("/hello"),
    "gone in the body, FIN": sent_then(post("wait_cancelled", HALF_BODY) + b"x" * 500, "close"),
    "gone before the response, RST": sent_then(get("wait_cancelled"), "rst"),
    "gone in the stream, FIN": sent_then(get("endless"), "close", b"tick"),
    "gone in the stream, pipelined": each(pipelined_and_gone),
    "gone while send waits": sent_then(get("stuck"), "rst", b"\r\n\r\n", 8192),
    "stubborn": sent_then(get("stubborn"), "rst"),
    "shielded": sent_then(get("shielded"), "rst"),
}
"""Under --on-disconnect cancel, at once or a little later."""
