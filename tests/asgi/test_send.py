# SPDX-License-Identifier: MIT
"""What send() accepts, in which order, and what it does with the rest."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond
from tests.support.server import RunningServer

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"ok"}
MORE: dict[str, Any] = {"type": "http.response.body", "body": b"ok", "more_body": True}


def ends_without_an_answer(server: RunningServer, raw: bytes) -> None:
    """A response that can't be sent is a 500, or a closed connection, never half of it."""
    server.log.expect("Exception in ASGI application")
    assert raw == b"" or raw.startswith(b"HTTP/1.1 500 Internal Server Error\r\n"), raw


@pytest.mark.parametrize(
    ("before", "message", "text"),
    [
        ([], BODY, "Expected ASGI message 'http.response.start', but got 'http.response.body'."),
        (
            [],
            {"type": "websocket.accept"},
            "Expected ASGI message 'http.response.start', but got 'websocket.accept'.",
        ),
        (
            [START],
            START,
            "Expected ASGI message 'http.response.body', but got 'http.response.start'.",
        ),
        (
            [START, MORE],
            {"type": "what"},
            "Expected ASGI message 'http.response.body', but got 'what'.",
        ),
        (
            [START, BODY],
            BODY,
            "Unexpected ASGI message 'http.response.body' sent, after response already completed.",
        ),
        (
            [START, BODY],
            START,
            "Unexpected ASGI message 'http.response.start' sent, after response already completed.",
        ),
    ],
)
def test_wrong_order(
    serve: Serve, notes: Notes, before: list[Any], message: Any, text: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for each in before:
            await send(dict(each))
        with pytest.raises(RuntimeError) as caught:
            await send(dict(message))
        notes.put(str(caught.value))
        if START not in before:
            await send(dict(START))
        if BODY not in before:
            await send(dict(BODY))

    with serve(app) as server, server.connect() as client:
        response = client.ask()
        assert response.status == 200
        assert response.body == b"ok" * (1 + (MORE in before))
        assert notes.get() == text


def test_the_error_comes_from_send_or_from_its_await(serve: Serve, notes: Notes) -> None:
    """Either way an `await send()` raises, and nothing is left un-awaited."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        results = await asyncio.gather(
            self_call(send, dict(BODY)), self_call(send, dict(START)), return_exceptions=True
        )
        notes.put(results)
        await send(dict(BODY))

    async def self_call(send: Send, message: dict[str, Any]) -> None:
        await send(message)

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"ok"
        first, second = notes.get()
        assert isinstance(first, RuntimeError)
        assert second is None


@pytest.mark.parametrize(
    "kind",
    [
        bytes,
        bytearray,
        memoryview,
        lambda b: memoryview(bytearray(b))[::1],
        lambda b: memoryview(b"__" + b + b"_")[2:-1],
        lambda b: memoryview(bytes(byte for each in b for byte in (each, 0)))[::2],
        lambda b: memoryview(b).cast("b"),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 5000, 300_000])
@pytest.mark.parametrize("streamed", [False, True])
def test_body_types(serve: Serve, kind: Callable[[bytes], Any], size: int, streamed: bool) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        if streamed:
            await send({"type": "http.response.body", "body": kind(body), "more_body": True})
        await send({"type": "http.response.body", "body": kind(body)})

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            assert client.ask().body == body * (1 + streamed)


def test_a_bytearray_may_change_after_send(serve: Serve) -> None:
    """`await send()` is done with the buffer, or keeps it from being resized meanwhile."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        buffer = bytearray(b"a" * 100_000)
        await send(dict(START))
        await send({"type": "http.response.body", "body": buffer, "more_body": True})
        buffer[:] = b"b" * 100_000
        await send({"type": "http.response.body", "body": buffer, "more_body": True})
        buffer[:] = b"c" * 100_000
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    with serve(app) as server, server.connect() as client:
        body = client.ask().body
    assert body == b"a" * 100_000 + b"b" * 100_000


def test_a_view_of_bytes_is_not_copied(serve: Serve, notes: Notes) -> None:
    """Nor is it when the view is let go of: the bytes are what is kept."""
    data = b"a" * 5_000_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        before = sys.getrefcount(data)
        await send(dict(START))
        with memoryview(data) as view:
            sending = asyncio.ensure_future(send(BODY | {"body": view[1:], "more_body": True}))  # type: ignore[arg-type]
            await asyncio.sleep(0)
        notes.put(sys.getrefcount(data) > before)
        await sending
        await send(dict(BODY))

    with serve(app) as server, server.connect(rcvbuf=4096) as client:
        client.get()
        assert notes.get() is True
        assert client.read_response().body == data[1:] + b"ok"


def test_a_view_that_was_let_go_of_is_an_error(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        view = memoryview(b"a" * 5000)
        view.release()
        with pytest.raises(ValueError):
            await send(BODY | {"body": view})
        await send(dict(BODY))

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"ok"


@pytest.mark.parametrize("body", ["text", 5, [b"a"], object()])
def test_a_body_that_is_not_bytes(serve: Serve, notes: Notes, body: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        try:
            await send({"type": "http.response.body", "body": body})
        except TypeError as error:
            notes.put(type(error))
            raise
        notes.put(None)

    with serve(app) as server, server.connect() as client:
        client.get()
        raw = client.read_to_end()
        assert notes.get() is TypeError
        server.log.expect("Exception in ASGI application")
        assert b"text" not in raw and b"object" not in raw


def test_body_message_defaults(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 204
        assert client.ask().status == 204


def test_unknown_keys_are_ignored(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "trailers": False, "x": 1})
        await send({**BODY, "x": 1})

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"ok"


PAIRS = [(b"x-one", b"1"), (b"x-two", b"2"), (b"x-one", b"3")]


def generator() -> Iterator[Any]:
    """Headers one by one."""
    yield from PAIRS


@pytest.mark.parametrize(
    "headers",
    [
        lambda: list(PAIRS),
        lambda: tuple(PAIRS),
        lambda: [list(pair) for pair in PAIRS],
        generator,
        lambda: iter(PAIRS),
        lambda: map(tuple, PAIRS),
        lambda: dict.fromkeys(PAIRS),
    ],
    ids=["list", "tuple", "lists", "generator", "iterator", "map", "dict keys"],
)
def test_headers_from_any_iterable(serve: Serve, headers: Callable[[], Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, headers=headers())

    with serve(app) as server, server.connect() as client:
        response = client.ask()
    assert [pair for pair in response.headers if pair[0].startswith(b"x-")] == PAIRS


def test_header_names_go_out_in_lower_case(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, headers=[(b"X-MiXed", b"VaLue"), (b"Content-LENGTH", b"5")])

    with serve(app) as server, server.connect() as client:
        response = client.ask()
        assert (b"x-mixed", b"VaLue") in response.headers
        assert response.get(b"content-length") == b"5"
        assert response.body == b"hello"


@pytest.mark.parametrize(
    "headers",
    [
        5,
        [b"x"],
        [(b"a",)],
        [(b"a", b"b", b"c")],
        [("a", b"b")],
        [(b"a", "b")],
        [(None, b"b")],
        [(b"a", 5)],
    ],
    ids=repr,
)
def test_headers_of_a_wrong_type(serve: Serve, notes: Notes, headers: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        except (TypeError, ValueError) as error:
            notes.put("refused")
            raise RuntimeError("as it should") from error
        notes.put("accepted")

    with serve(app) as server, server.connect() as client:
        client.get()
        ends_without_an_answer(server, client.read_to_end())
        assert notes.get() == "refused"


def test_headers_whose_iteration_fails(serve: Serve) -> None:
    def failing() -> Iterator[Any]:
        yield (b"a", b"b")
        raise LookupError("no more headers")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": failing()})

    with serve(app) as server, server.connect() as client:
        client.get()
        raw = client.read_to_end()
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info and isinstance(record.exc_info[1], LookupError)
        assert raw == b"" or raw.startswith(b"HTTP/1.1 500 ")


def test_a_refused_start_leaves_nothing_behind(serve: Serve) -> None:
    """An app that catches the error may answer anew."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for headers in ([(b"x-first", b"1"), (b"bad name", b"2")], [(b"x-second", b"1"), (1, 2)]):
            with pytest.raises((RuntimeError, TypeError)):
                await respond(send, b"", 201, headers)
        await respond(send, b"mended", 202)

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            response = client.ask()
            assert (response.status, response.body) == (202, b"mended")
            assert not [name for name, _ in response.headers if name.startswith(b"x-")]
            assert len(response.all(b"date")) == 1


BAD_NAMES = [
    b"",
    b"a b",
    b"a:",
    b"a\r\n",
    b"a\n",
    b"a\0",
    b"a(",
    b"a\x7f",
    b"\tx",
    b"{",
    b'"',
    b"a/b",
    b"?",
    b"\xe9",
]
BAD_VALUES = [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b", b"\x01", b"\x7f", b"a\n"]


@pytest.mark.parametrize(
    "pair",
    [(name, b"v") for name in BAD_NAMES] + [(b"x", value) for value in BAD_VALUES],
    ids=repr,
)
def test_invalid_header_bytes(serve: Serve, notes: Notes, pair: tuple[bytes, bytes]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/good":
            return await respond(send)
        try:
            await respond(send, headers=[(b"x-before", b"1"), pair])
        except RuntimeError:
            notes.put("refused")
            raise
        notes.put("accepted")

    with serve(app) as server, server.connect() as client:
        client.get("/bad")
        raw = client.read_to_end()
        assert notes.get() == "refused"
        ends_without_an_answer(server, raw)
        assert b"x-before" not in raw
        with server.connect() as other:
            other.assert_open("/good")


@pytest.mark.parametrize("value", [b"", b"a\tb", b"caf\xe9", b"\xff", b'!"#$%&()*,/:;<=>?@[]{}~'])
def test_valid_header_values(serve: Serve, value: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, headers=[(b"x-value", value)])

    with serve(app) as server, server.connect() as client:
        assert client.ask().get(b"x-value") == value


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (201, b"HTTP/1.1 201 Created\r\n"),
        (404, b"HTTP/1.1 404 Not Found\r\n"),
        (418, None),
        (299, b"HTTP/1.1 299 \r\n"),
        (599, b"HTTP/1.1 599 \r\n"),
        (503, b"HTTP/1.1 503 Service Unavailable\r\n"),
    ],
)
def test_status_line(serve: Serve, status: int, line: bytes | None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, status=status)

    with serve(app) as server, server.connect() as client:
        response = client.ask()
        assert response.status == status
        if line is not None:
            assert response.head.startswith(line)


@pytest.mark.parametrize("status", [0, 99, 1000, -200, "200", None, 200.5, 10**30])
def test_a_status_that_is_none(serve: Serve, status: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send(dict(BODY))

    with serve(app) as server, server.connect() as client:
        client.get()
        ends_without_an_answer(server, client.read_to_end())


def test_an_http_status_member_is_a_status(serve: Serve) -> None:
    import http

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, status=http.HTTPStatus.ACCEPTED)

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 202


@pytest.mark.parametrize("message", [{}, {"type": 5}, {"type": "http.response.start"}, None, 7, []])
def test_a_message_that_is_none(serve: Serve, message: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message)
        await respond(send)

    with serve(app) as server, server.connect() as client:
        client.get()
        ends_without_an_answer(server, client.read_to_end())


def test_a_message_may_be_any_mapping(serve: Serve) -> None:
    """The specification says dict; subclasses of it are dicts."""

    class Typed(dict[str, Any]):
        pass

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(Typed(START))
        await send(Typed(BODY))

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"ok"


def test_gathered_sends_keep_their_order(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await asyncio.gather(
            *(
                send({"type": "http.response.body", "body": b"%04d" % n, "more_body": n < 199})
                for n in range(200)
            )
        )

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            assert client.ask().body == b"".join(b"%04d" % n for n in range(200))


def test_gathered_large_sends_keep_their_order(serve: Serve) -> None:
    """They suspend: the client reads nothing before all of them wait."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await asyncio.gather(
            *(
                send(
                    {"type": "http.response.body", "body": bytes([n]) * 200_000, "more_body": True}
                )
                for n in range(64)
            )
        )
        await send({"type": "http.response.body", "body": b"end"})

    with serve(app) as server, server.connect(rcvbuf=8192) as client:
        response = client.ask()
    assert len(response.body) == 64 * 200_000 + 3
    assert response.body == b"".join(bytes([n]) * 200_000 for n in range(64)) + b"end"


def test_sends_from_create_task(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.create_task(send(dict(START)))  # type: ignore[arg-type]
        await asyncio.create_task(send(dict(MORE)))  # type: ignore[arg-type]
        await asyncio.wait_for(send(dict(BODY)), 10)

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"okok"


def test_a_long_stream_lets_others_through(serve: Serve, notes: Notes) -> None:
    """An app that sends without end, never awaiting anything else, must not hold up the loop."""
    stop = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/stop":
            stop.set()
            return await respond(send)
        await send(dict(START))
        while not stop.is_set():
            await send({"type": "http.response.body", "body": b"x" * 1024, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        notes.put("stopped")

    with serve(app) as server, server.connect() as client, server.connect() as other:
        client.get("/")
        assert client.read_head().status == 200
        other.get("/stop")
        while notes.empty():
            client.read_until(b"\r\n")
        assert other.read_response().status == 200
        assert notes.get() == "stopped"


def test_what_a_cancelled_send_leaves_is_whole(serve: Serve, notes: Notes) -> None:
    """A send that was cancelled while it waited was sent whole or not at all."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        number = 0
        try:
            async with asyncio.timeout(0.2):
                while True:
                    piece = b"%015d\n" % number * 4096
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    number += 1
        except TimeoutError:
            notes.put(number)
        await send({"type": "http.response.body", "body": b"end"})

    with serve(app) as server, server.connect(rcvbuf=8192) as client:
        client.get()
        sent = notes.get()
        assert sent < 1024, "send() never waited"
        body = client.read_response().body
    assert body.endswith(b"end")
    lines = [int(line) for line in body[:-3].splitlines()]
    assert len(lines) in (sent * 4096, (sent + 1) * 4096)
    assert lines == [n // 4096 for n in range(len(lines))]
