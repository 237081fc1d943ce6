# SPDX-License-Identifier: MIT
"""What an application receives, what it may send, and what becomes of its mistakes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Message, Notes, Receive, Scope, Send
from tests.support.server import LOOPS
from tests.support.web_socket import (
    BINARY,
    TEXT,
    Frame,
    close_frame,
    connect,
    fragments,
    frame,
    handshake,
    opened,
)
from tests.support.web_socket import CLOSE as CLOSE_FRAME
from tests.web_sockets.applications import (
    ACCEPT,
    CLOSE,
    CONNECT,
    accept,
    binary,
    echo,
    echo_all,
    ended,
    noted_echo,
    text,
)

pytestmark = pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)

WAYS = pytest.mark.parametrize("how", ["fin", "close", "rst"])


# ---- receive


def test_messages(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(await receive())
        await send(dict(ACCEPT))
        message: Message = CONNECT
        while message["type"] != "websocket.disconnect":
            message = await receive()
            notes.put(message)

    with serve(app) as server, opened(server) as client:
        assert notes.get() == CONNECT
        client.text("Grüße")
        client.binary(b"\0\xff")
        client.text("")
        client.binary(b"")
        client.send(*fragments(TEXT, [b"one", b"two"]))
        client.send(*fragments(BINARY, [b"one", b"two"]))
        expected: list[dict[str, Any]] = [
            {"text": "Grüße"},
            {"bytes": b"\0\xff"},
            {"text": ""},
            {"bytes": b""},
            {"text": "onetwo"},
            {"bytes": b"onetwo"},
        ]
        for content in expected:
            message = notes.get()
            assert message == {"type": "websocket.receive", **content}
            assert type(message.get("bytes", b"")) is bytes
        client.say_goodbye(4000)
        assert ended(notes.get()) == (4000, "")


def test_every_message_is_a_dict_of_its_own(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        first["mine"] = 1
        await send(dict(ACCEPT))
        for _ in range(2):
            message = await receive()
            notes.put(dict(message))
            message.clear()
        gone = [await receive() for _ in range(2)]
        notes.put([dict(message) for message in gone])
        gone[0].clear()
        notes.put(dict(await receive()))

    with serve(app) as server:
        for _ in range(2):
            with opened(server) as client:
                client.text("one")
                client.text("two")
                assert [notes.get()["text"] for _ in range(2)] == ["one", "two"]
                client.leave("close")
                assert [message["code"] for message in notes.get()] == [1006, 1006]
                assert notes.get()["code"] == 1006


def test_the_accept_may_come_before_the_first_receive(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(ACCEPT))
        notes.put([await receive(), await receive()])
        await send(text("bye"))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        client.text("hi")
        assert client.read_message() == "bye"
        assert notes.get() == [CONNECT, {"type": "websocket.receive", "text": "hi"}]
        client.say_goodbye()


def test_a_receive_that_is_given_up_loses_nothing(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        for _ in range(3):
            waiting = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await send(text("ready"))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert client.read_message() == "ready"
        client.text("one")
        client.text("two")
        assert [client.read_message() for _ in range(2)] == ["one", "two"]
        client.say_goodbye()


def test_receive_in_one_task_and_send_in_another(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)

        async def listen() -> None:
            notes.put(ended(await echo_all(receive, send)))

        async def talk() -> None:
            for number in range(100):
                await send(text(f"tick {number}"))

        await asyncio.gather(listen(), talk())

    with serve(app) as server, opened(server) as client:
        client.text("hi")
        seen = [client.read_message() for _ in range(101)]
        assert [one for one in seen if one != "hi"] == [f"tick {number}" for number in range(100)]
        client.say_goodbye()
        assert notes.get() == (1000, "")


# ---- send


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ({"text": "Grüße"}, Frame(TEXT, "Grüße".encode())),
        ({"text": ""}, Frame(TEXT, b"")),
        ({"text": "x" * 70_000}, Frame(TEXT, b"x" * 70_000)),
        ({"text": "\U0001d11e" * 50}, Frame(TEXT, "\U0001d11e".encode() * 50)),
        ({"bytes": b"b"}, Frame(BINARY, b"b")),
        ({"bytes": b""}, Frame(BINARY, b"")),
        ({"bytes": b"x" * 70_000}, Frame(BINARY, b"x" * 70_000)),
        ({"bytes": bytearray(b"array")}, Frame(BINARY, b"array")),
        ({"bytes": memoryview(b"view")}, Frame(BINARY, b"view")),
        ({"bytes": memoryview(b"0123456789")[2:5]}, Frame(BINARY, b"234")),
        ({"bytes": b"b", "text": None}, Frame(BINARY, b"b")),
        ({"bytes": None, "text": "t"}, Frame(TEXT, b"t")),
        ({"bytes": b"b", "text": "t"}, Frame(BINARY, b"b")),
        ({"bytes": b"", "text": "t"}, Frame(BINARY, b"")),
    ],
    ids=range(14),
)
def test_what_can_be_sent(serve: Serve, content: dict[str, Any], sent: Frame) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", **content})
        await send(text("behind it"))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert client.read_frame() == sent
        assert client.read_message() == "behind it"
        client.say_goodbye()


def test_a_buffer_that_changes_after_the_send(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        buffer = bytearray(b"a" * 100_000)
        await send(binary(buffer))
        buffer[:] = b"b" * 100_000
        buffer.clear()
        await send(binary(memoryview(b"end")))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert client.read_message() == b"a" * 100_000
        assert client.read_message() == b"end"
        client.say_goodbye()


@pytest.mark.parametrize("content", [{}, {"text": None}, {"bytes": None, "text": None}])
def test_a_message_without_content_sends_nothing(serve: Serve, content: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await send({"type": "websocket.send", **content})
        except (RuntimeError, TypeError, ValueError, KeyError):
            pass  # it may be called a mistake
        await send(text("behind it"))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert client.read_message() == "behind it"
        client.say_goodbye()


@pytest.mark.parametrize("content", [{"text": b"t"}, {"bytes": "b"}, {"text": 5}, {"bytes": 5}])
def test_content_of_a_wrong_type(serve: Serve, notes: Notes, content: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await send({"type": "websocket.send", **content})
        except (TypeError, AttributeError) as mistake:
            notes.put(mistake)
        await send(text("behind it"))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert isinstance(notes.get(), Exception)
        assert client.read_message() == "behind it"
        client.say_goodbye()


def test_sends_of_many_tasks_stay_whole(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        sizes = [1, 200, 70_000]
        await asyncio.gather(*(send(text(chr(97 + at % 26) * sizes[at % 3])) for at in range(60)))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        seen = sorted(str(client.read_message()) for _ in range(60))
        assert all(len(set(one)) == 1 for one in seen)
        assert sum(map(len, seen)) == 20 * (1 + 200 + 70_000)
        client.say_goodbye()


# ---- close


@pytest.mark.parametrize(
    ("content", "payload"),
    [
        ({}, b"\x03\xe8"),
        ({"code": 1000}, b"\x03\xe8"),
        ({"code": 1008, "reason": "no"}, b"\x03\xf0no"),
        ({"code": 4999, "reason": "Straße"}, b"\x13\x87" + "Straße".encode()),
        ({"code": 3000, "reason": None}, b"\x0b\xb8"),
        ({"code": 1001, "reason": ""}, b"\x03\xe9"),
        ({"code": 1000, "reason": "x" * 123}, b"\x03\xe8" + b"x" * 123),
    ],
    ids=range(7),
)
def test_a_close(serve: Serve, notes: Notes, content: dict[str, Any], payload: bytes) -> None:
    """The application is told its own code and reason, however often it asks."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({**CLOSE, **content})
        notes.put(ended(await receive()))

    with serve(app) as server, opened(server) as client:
        assert client.read_frame() == Frame(CLOSE_FRAME, payload)
        client.send(frame(CLOSE_FRAME, payload))
        assert client.read_to_end() == b""
        expected = content.get("code", 1000), content.get("reason") or ""
        assert notes.get() == expected


def test_what_comes_behind_an_own_close_is_dropped(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({**CLOSE, "code": 4001, "reason": "bye"})
        notes.put(ended(await receive()))

    with serve(app) as server, opened(server) as client:
        assert client.read_frame().code == 4001
        client.text("late")
        client.send(*fragments(BINARY, [b"x" * 100_000] * 10))
        client.send(close_frame(4001))
        assert client.read_to_end() == b""
        assert notes.get() == (4001, "bye")


@pytest.mark.parametrize(
    "content",
    [{"code": 1005}, {"code": 1006}, {"code": 999}, {"code": 5000}, {"reason": "x" * 124}],
)
def test_a_close_that_cannot_be_sent(serve: Serve, notes: Notes, content: dict[str, Any]) -> None:
    """It is a mistake of the application's, and no such frame goes out."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await send({**CLOSE, **content})
        except Exception as mistake:
            notes.put(mistake)
            raise

    with serve(app) as server, opened(server) as client:
        mistake = notes.get()
        assert not isinstance(mistake, OSError), mistake
        assert client.read_frame().code == 1011
        client.send(close_frame(1011))
        assert client.read_to_end() == b""
        server.log.expect("Exception in ASGI application", logging.ERROR)


# ---- the end of a connection


@pytest.mark.parametrize("busy", [False, True], ids=["waits", "comes later"])
@WAYS
def test_a_drop(serve: Serve, notes: Notes, how: str, busy: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put("in")
        if busy:
            await send_until_it_fails(send)
        notes.put([ended(await receive()) for _ in range(3)])

    with serve(app) as server, opened(server) as client:
        assert notes.get() == "in"
        client.leave(how)
        if how == "fin":
            client.discard_to_end()
        assert notes.get() == [(1006, "")] * 3


async def send_until_it_fails(send: Send) -> OSError:
    """Send on and on; the loop turns meanwhile."""
    while True:
        try:
            await send(text("x" * 1000))
        except OSError as gone:
            return gone
        await asyncio.sleep(0)


@WAYS
def test_messages_before_a_drop_are_received(serve: Serve, notes: Notes, how: str) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await go.wait()
        notes.put([await receive() for _ in range(3)])
        notes.put(ended(await receive()))

    if how == "rst":
        pytest.skip("a reset takes what was not read with it")
    with serve(app) as server, opened(server) as client:
        for number in range(3):
            client.text(str(number))
        client.leave(how)
        server.settle(3)
        assert server.loop is not None
        server.loop.call_soon_threadsafe(go.set)
        assert [message["text"] for message in notes.get()] == ["0", "1", "2"]
        assert notes.get() == (1006, "")


def test_the_end_of_a_close_is_told_again(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put([ended(await receive()) for _ in range(2)])

    with serve(app) as server, opened(server) as client:
        client.send(close_frame(4002, b"why"))
        assert client.read_close().code == 4002
        first, second = notes.get()
        assert first == (4002, "why") and second[0] in (4002, 1006)


@pytest.mark.parametrize("how", ["fin", "close", "rst", "closing"])
def test_a_send_after_the_end(serve: Serve, notes: Notes, how: str) -> None:
    """It raises an OSError, and nobody is bothered when that leaves the application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put(ended(await receive()))
        for message in (text("x"), binary(b"x")):
            try:
                await send(message)
            except OSError as gone:
                notes.put(gone)
            else:
                notes.put(None)
        with contextlib.suppress(OSError):
            await send(dict(CLOSE))
        notes.put("closed")
        await send(text("x"))
        notes.put("not reached")

    with serve(app) as server, opened(server) as client:
        if how == "closing":
            client.say_goodbye()
        else:
            client.leave(how)
        assert notes.get()[0] == (1000 if how == "closing" else 1006)
        for _ in range(2):
            assert isinstance(notes.get(), OSError)
        assert notes.get() == "closed"
    assert notes.empty()


@WAYS
def test_a_send_that_waits_when_the_client_goes(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put("in")
        notes.put(await send_until_it_fails(send))

    with serve(app) as server, opened(server, rcvbuf=4096) as client:
        assert notes.get() == "in"
        assert client.read_message() == "x" * 1000
        client.leave("close" if how == "fin" else how)
        assert isinstance(notes.get(), OSError)


def test_a_stop_of_the_server(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put("in")
        notes.put(ended(await receive()))

    with serve(app) as server, opened(server) as client:
        assert notes.get() == "in"
        server.server.should_exit = True
        assert client.read_frame().code == 1012
        client.send(close_frame(1012))
        assert client.read_to_end() == b""
        assert notes.get()[0] == 1012


def test_a_stop_of_the_server_before_the_accept(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == CONNECT
        notes.put("in")
        notes.put(ended(await receive())[0])

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        assert notes.get() == "in"
        server.server.should_exit = True
        assert client.read_response().status in (500, 503)
        assert notes.get() in (1006, 1012)


# ---- mistakes


async def attempt(send: Send, message: Message) -> str:
    """Send what must not be sent now, and return what is said about it."""
    try:
        await send(message)
    except RuntimeError as mistake:
        return str(mistake)
    return "sent"


@pytest.mark.parametrize(
    "wrong",
    ["websocket.send", "http.response.start", "websocket.http.response.body", "websocket.receive"],
)
def test_out_of_order_before_the_accept(serve: Serve, notes: Notes, wrong: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        notes.put(await attempt(send, {"type": wrong, "text": "x", "body": b""}))
        await send(dict(ACCEPT))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert notes.get() == (
            "Expected ASGI message 'websocket.accept', 'websocket.close' or "
            f"'websocket.http.response.start' but got '{wrong}'."
        )
        client.say_goodbye()


@pytest.mark.parametrize(
    "wrong",
    [
        "websocket.accept",
        "websocket.http.response.start",
        "http.response.body",
        "websocket.connect",
    ],
)
def test_out_of_order_after_the_accept(serve: Serve, notes: Notes, wrong: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put(await attempt(send, {"type": wrong}))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert notes.get() == (
            f"Expected ASGI message 'websocket.send' or 'websocket.close', but got '{wrong}'."
        )
        client.text("goes on")
        assert client.read_message() == "goes on"
        client.say_goodbye()


@pytest.mark.parametrize("wrong", ["websocket.accept", "websocket.send", "websocket.close"])
@pytest.mark.parametrize("accepted", [False, True], ids=["refused", "accepted"])
def test_out_of_order_after_a_close(serve: Serve, notes: Notes, wrong: str, accepted: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if accepted:
            await send(dict(ACCEPT))
        await send(dict(CLOSE))
        notes.put(await attempt(send, {"type": wrong, "text": "x"}))

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        assert client.read_head().status == (101 if accepted else 403)
        assert notes.get() == f"Unexpected ASGI message '{wrong}', after sending 'websocket.close'."
        if accepted:
            assert client.read_frame().code == 1000
            client.send(close_frame())
            assert client.read_to_end() == b""


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    await send(text("hi"))
    raise LookupError("after the accept")


async def is_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    await send(text("hi"))
    raise asyncio.CancelledError


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    await send(text("hi"))


async def returns_something(scope: Scope, receive: Receive, send: Send) -> Any:
    await accept(receive, send)
    await send(text("hi"))
    return "something"


@pytest.mark.parametrize(
    ("app", "line"),
    [
        (raises, "Exception in ASGI application"),
        (is_cancelled, "Exception in ASGI application"),
        (returns, None),
        (returns_something, "ASGI callable should return None, but returned 'something'."),
    ],
)
def test_an_application_that_ends_without_a_close(serve: Serve, app: Any, line: str | None) -> None:
    """The client is told 1011, where uvicorn drops the connection."""
    with serve(app) as server, opened(server) as client:
        assert client.read_message() == "hi"
        close = client.read_frame()
        assert (close.opcode, close.code) == (CLOSE_FRAME, 1011)
        client.send(close_frame(1011))
        assert client.read_to_end() == b""
        if line is not None:
            server.log.expect(line, logging.ERROR)


def test_an_error_behind_a_close_is_logged(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send(dict(CLOSE))
        raise LookupError("behind the close")

    with serve(app) as server, opened(server) as client:
        assert client.read_frame().code == 1000
        client.send(close_frame())
        assert client.read_to_end() == b""
        server.log.expect("Exception in ASGI application", logging.ERROR)


def test_one_connection_knows_nothing_of_another(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes)) as server:
        clients = [opened(server, f"/{number}") for number in range(50)]
        for round_ in range(3):
            for number, client in enumerate(clients):
                client.text(f"{number} in {round_}")
            for number, client in enumerate(clients):
                assert client.read_message() == f"{number} in {round_}"
        for number, client in enumerate(clients):
            client.say_goodbye(4000 + number)
        assert sorted(notes.get()[0] for _ in clients) == [4000 + n for n in range(50)]
        for client in clients:
            client.close()


def test_lines_of_the_log(serve: Serve) -> None:
    with serve(echo) as server, opened(server, "/path?a=b") as client:
        host, port = client.sock.getsockname()
        server.log.expect(f'{host}:{port} - "WebSocket /path?a=b" [accepted]', logging.INFO)
        server.log.expect("connection open", logging.INFO)
        client.say_goodbye()
