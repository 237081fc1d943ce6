# SPDX-License-Identifier: MIT
"""Code of the application's that runs inside a send or a receive, and what fails there for want of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Message, Notes, Receive, Scope, Send
from tests.support.collection import collection_at
from tests.support.server import LOOPS
from tests.support.web_socket import (
    BINARY,
    TEXT,
    close_frame,
    connect,
    frame,
    handshake,
    opened,
)
from tests.web_sockets.applications import ACCEPT, CLOSE, accept, binary, echo_all, text

pytestmark = pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)

DENY: dict[str, Any] = {"type": "websocket.http.response.start", "status": 401}
BODY: dict[str, Any] = {"type": "websocket.http.response.body", "body": b"no"}
LATE = "Unexpected ASGI message '{}', after sending 'websocket.close'."


def outcome(send: Send, message: Message) -> str:
    """Send within another send, and return what is said about it."""
    try:
        send(message)
    except Exception as mistake:
        return f"{type(mistake).__name__}: {mistake}"
    return "sent"


def fields_that(do: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
    """Give two fields, and do something between them."""
    yield b"x-first", b"1"
    do()
    yield b"x-second", b"2"


@pytest.mark.parametrize("outer", [ACCEPT, DENY], ids=["accept", "deny"])
def test_a_close_among_the_fields(serve: Serve, notes: Notes, outer: Message) -> None:
    """The client is answered by what was complete first, and what was to be sent is not."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        fields = fields_that(lambda: notes.put(outcome(send, dict(CLOSE))))
        notes.put(outcome(send, {**outer, "headers": fields}))
        notes.put(outcome(send, text("late")))
        notes.put((await receive())["code"])

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        assert client.read_response().status == 403
        assert client.read_to_end() == b""
        assert notes.get() == "sent"
        assert notes.get() == "RuntimeError: " + LATE.format(outer["type"])
        assert notes.get() == "RuntimeError: " + LATE.format("websocket.send")
        assert notes.get() == 1006


@pytest.mark.parametrize("inner", [ACCEPT, DENY], ids=["accept", "deny"])
@pytest.mark.parametrize("outer", [ACCEPT, DENY], ids=["accept", "deny"])
def test_an_answer_among_the_fields(
    serve: Serve, notes: Notes, outer: Message, inner: Message
) -> None:
    """There is one already: it fails, and the one that began is complete."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        fields = fields_that(lambda: notes.put(outcome(send, dict(inner))))
        await send({**outer, "headers": fields})
        if outer is DENY:
            await send(dict(BODY))
        else:
            await echo_all(receive, send)

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        head = client.read_head()
        assert head.status == (101 if outer is ACCEPT else 401)
        assert (head.get(b"x-first"), head.get(b"x-second")) == (b"1", b"2")
        assert notes.get() != "sent"
        if outer is ACCEPT:
            client.text("open")
            assert client.read_message() == "open"
            client.say_goodbye()


class Truth:
    """Does something when it is asked whether it is true, which it is not."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.do = do

    def __bool__(self) -> bool:
        self.do()
        return False


def test_a_denial_that_ends_within_its_end(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(dict(DENY))
        more = Truth(lambda: notes.put(outcome(send, dict(BODY))))
        notes.put(outcome(send, {**BODY, "body": b"never", "more_body": more}))

    with serve(app) as server, connect(server) as client:
        client.send(handshake())
        assert client.read_response().body == b"no"
        assert client.read_to_end() == b""
        assert notes.get() == "sent"
        assert notes.get() == "RuntimeError: " + LATE.format(BODY["type"])
        rejected = [line for line in server.log.lines() if "rejected" in line]
        assert rejected == ["connection rejected (401 Unauthorized)"]


class Number:
    """A number that does something when it is asked which."""

    def __index__(self) -> int:
        raise AssertionError("it was asked")


@pytest.mark.parametrize(
    "message",
    [{**CLOSE, "code": Number()}, {**CLOSE, "code": "1000"}],
    ids=["a number", "a str"],
)
def test_a_code_is_an_int(serve: Serve, notes: Notes, message: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        notes.put(outcome(send, message))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert notes.get().startswith("TypeError: the code of a close must be an int, not ")
        client.say_goodbye()


@pytest.mark.parametrize("status", [Number(), "401"], ids=["a number", "a str"])
def test_the_status_of_a_denial_is_an_int(serve: Serve, notes: Notes, status: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        notes.put(outcome(send, {**DENY, "status": status}))
        await send(dict(ACCEPT))
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        assert notes.get().startswith("TypeError: the response status must be an int, not ")
        client.say_goodbye()


def step(awaitable: Any) -> Message | None:
    """Take one step, and stop; return what was there already."""
    try:
        awaitable.send(None)
    except StopIteration as done:
        message: Message = done.value
        return message
    finally:
        awaitable.close()
    return None


@pytest.mark.parametrize("allocation", range(1, 9))
def test_a_finalizer_that_receives_within_a_receive(
    serve: Serve, notes: Notes, allocation: int
) -> None:
    """One of the two gets the message; the other one has to wait."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        assert (await receive())["text"] == "first"
        seen: list[Message | None] = []
        with collection_at(allocation, lambda: seen.append(step(receive()))):
            seen.append(step(receive()))
        notes.put([message["text"] for message in seen if message is not None])
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        client.send(frame(TEXT, b"first") + frame(TEXT, b"second"))
        assert notes.get() == ["second"]
        client.text("third")
        assert client.read_message() == "third"
        client.say_goodbye()


@pytest.mark.parametrize("allocation", range(1, 9))
@pytest.mark.parametrize("waits", [False, True], ids=["has", "waits"])
def test_a_finalizer_that_stops_the_receive(
    serve: Serve, notes: Notes, allocation: int, waits: bool
) -> None:
    """It is over, with its message or without one, which is not lost then."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        assert (await receive())["text"] == "first"
        awaitable: Any = receive()
        message = None
        with collection_at(allocation, awaitable.close), contextlib.suppress(RuntimeError):
            message = step(awaitable)
        with pytest.raises(RuntimeError):
            awaitable.send(None)
        notes.put(message or await receive())
        await echo_all(receive, send)

    with serve(app) as server, opened(server) as client:
        client.send(frame(TEXT, b"first") + (b"" if waits else frame(TEXT, b"second")))
        if waits:
            client.text("second")
        assert notes.get() == {"type": "websocket.receive", "text": "second"}
        client.text("third")
        assert client.read_message() == "third"
        client.say_goodbye()


# ---- no memory


def without_memory(do: Callable[[], Any]) -> tuple[int, Any]:
    """Do it again and again, and let another allocation fail each time until none does."""
    testcapi = pytest.importorskip("_testcapi")
    for fails_at in range(200):
        testcapi.set_nomemory(fails_at, fails_at + 1)
        try:
            result = do()
        except MemoryError:
            continue
        finally:
            testcapi.remove_mem_hooks()
        return fails_at, result
    raise AssertionError("there is never enough memory")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", ["accept", "deny", "send", "close"])
def test_no_memory(serve: Serve, notes: Notes, what: str) -> None:
    """A message that can't be taken is not sent, and can be sent again."""
    pytest.importorskip("_testcapi")
    headers = [(b"x-field", b"value")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if what == "accept":
            message = {**ACCEPT, "subprotocol": "one", "headers": headers}
            notes.put(without_memory(lambda: send(message))[0])
        elif what == "deny":
            notes.put(without_memory(lambda: send({**DENY, "headers": headers}))[0])
            notes.put(without_memory(lambda: send(dict(BODY)))[0])
            return
        else:
            await send(dict(ACCEPT))
        if what == "send":
            data = memoryview(bytearray(b"second"))
            notes.put(without_memory(lambda: send(binary(data)))[0])
        elif what == "close":
            message = {**CLOSE, "code": 4000, "reason": "Grüße"}
            notes.put(without_memory(lambda: send(message))[0])
        await echo_all(receive, send)

    with serve(app) as server, connect(server) as client:
        client.send(handshake(sec_websocket_protocol="one"))
        if what == "deny":
            assert client.read_response().body == b"no"
            assert client.read_to_end() == b""
            return
        assert client.read_head().status == 101
        client.send(frame(TEXT, b"first") + frame(BINARY, b"second"))
        if what == "close":
            assert client.read_frame().code == 4000
            client.send(close_frame(4000))
            assert client.read_to_end() == b""
            return
        if what == "accept":
            assert client.read_message() == "first"
        elif what == "send":
            assert client.read_message() == b"second"
            assert client.read_message() == "first"
        assert client.read_message() == b"second"
        client.say_goodbye()
        if what == "send":
            assert notes.get() > 0
