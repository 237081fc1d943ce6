# SPDX-License-Identifier: MIT
"""Messages that are not what frameworks write: keys, types and values that run code of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond

Pairs = list[tuple[bytes, bytes]]


def fresh(text: str) -> str:
    """An equal string that is not the interned one."""
    copy = "".join(list(text))
    assert copy is not text
    return copy


class Text(str):
    """A string that is not exactly one."""

    __slots__ = ()


class Dict(dict[str, Any]):
    """A dict that is not exactly one."""


def rewritten(message: dict[str, Any], key: Callable[[str], str]) -> dict[str, Any]:
    """The message with other objects for keys and type."""
    return {key(name): key(v) if name == "type" else v for name, v in message.items()}


def start(headers: Any = ()) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 201, "headers": headers}


def body(data: bytes, more: Any = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


VARIANTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "built": lambda message: rewritten(message, fresh),
    "subclass": lambda message: rewritten(message, Text),
    "reversed": lambda message: dict(reversed(message.items())),
    "dict-subclass": Dict,
    "unknown-first": lambda message: {"trailers": False, **message},
    "unknown-last": lambda message: {**message, fresh("more"): 1, "": 2},
    "unknown-not-text": lambda message: {1: 2, None: 3, **message, (4,): 5},  # type: ignore[dict-item]
    "emptied-before": lambda message: {**dict.fromkeys(map(str, range(20))), **message},
    "mixed": lambda message: {Text("x"): 1, **rewritten(message, fresh), "y": 2},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_messages_that_are_written_otherwise(serve: Serve, variant: str) -> None:
    change = VARIANTS[variant]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(change(start([(b"x-a", b"1")])))
        await send(change(body(b"one,", True)))
        await send(change(body(b"two,", True)))
        await send(change(body(b"three")))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            response = client.ask()
            assert response.status == 201
            assert response.get(b"x-a") == b"1"
            assert response.body == b"one,two,three"


def test_types_are_told_apart_after_any_number_of_them(serve: Serve, notes: Notes) -> None:
    """A text that was seen as one type must not pass for the other, nor an unknown one for either."""
    kept = [fresh("http.response.start"), fresh("http.response.body")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for wrong in (kept[1], fresh("http.response.body"), Text("http.response.body"), "x", 1):
            with pytest.raises(RuntimeError, match="but got"):
                await send({"type": wrong, "body": b"no"})
        await send({"type": kept[0], "status": 200})
        for other in (kept[0], fresh("http.response.start"), "http.response.bodY", None):
            with pytest.raises(RuntimeError, match="but got"):
                await send({"type": other, "status": 200})
        await send({"type": Text("http.response.body"), "body": b"a", "more_body": True})
        await send({"type": fresh("http.response.body"), "body": b"b", "more_body": True})
        await send({"type": kept[1], "body": b"c"})
        notes.put("done")

    with serve(app) as server, server.connect() as client:
        for _ in range(4):
            assert client.ask().body == b"abc"
            assert notes.get() == "done"


@pytest.mark.parametrize("build", [dict, Dict, lambda message: {"x": 1, **message}])
def test_missing_keys(serve: Serve, notes: Notes, build: Callable[[Any], dict[str, Any]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in ({}, {"status": 200}, {"body": b"x"}):
            with pytest.raises(KeyError) as caught:
                await send(build(message))
            notes.put(caught.value.args)
        with pytest.raises(KeyError) as caught:
            await send(build({"type": "http.response.start", "headers": []}))
        notes.put(caught.value.args)
        await send(build({"type": "http.response.start", "status": 200}))
        with pytest.raises(KeyError) as caught:
            await send(build({"body": b"x"}))
        notes.put(caught.value.args)
        await send(build({"type": "http.response.body"}))

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b""
        keys = [notes.get() for _ in range(5)]
    assert keys == [("type",), ("type",), ("type",), ("status",), ("type",)]


class Truth:
    """Runs something when it is asked whether it is true."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action = action

    def __bool__(self) -> bool:
        return bool(self.action())


def test_a_truth_that_empties_its_message(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def empty() -> bool:
            message.clear()
            message.update({str(n): bytes(50) for n in range(50)})
            return True

        message: dict[str, Any] = {"type": fresh("http.response.body"), "body": bytes([65]) * 9000}
        message["more_body"] = Truth(empty)
        await send(start())
        await send(message)
        await send(body(b"end"))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            assert client.ask().body == b"A" * 9000 + b"end"


def test_a_truth_that_raises(serve: Serve, notes: Notes) -> None:
    """Nothing of the message is sent, and the answer can go on."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        with pytest.raises(ZeroDivisionError):
            await send(body(b"never", Truth(lambda: 1 / 0)))
        await send(body(b"one", True))
        with pytest.raises(ZeroDivisionError):
            await send(body(b"never", Truth(lambda: 1 / 0)))
        await send(body(b"two"))

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            assert client.ask().body == b"onetwo"


@pytest.mark.parametrize("answer", [True, False])
def test_a_truth_that_sends_the_end(serve: Serve, answer: bool) -> None:
    """The inner message ends the answer; the outer one comes too late, and says nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def finish() -> bool:
            sent.append(send(body(b"inner")))
            return answer

        sent: list[Any] = []
        await send(start())
        await send(body(b"outer", Truth(finish)))
        await sent[0]

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            assert client.ask().body == b"inner"


def test_a_truth_that_sends_a_piece(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def interject() -> bool:
            sent.append(send(body(b"inner,", True)))
            return False

        sent: list[Any] = []
        await send(start())
        await send(body(b"outer", Truth(interject)))
        await sent[0]

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            assert client.ask().body == b"inner,outer"


class Meddler(str):
    """A key with the hash of another one, which runs something when it is compared."""

    of: str
    action: Callable[[], Any]

    def __new__(cls, of: str, action: Callable[[], Any]) -> Meddler:
        self = super().__new__(cls, "another " + of)
        self.of = of
        self.action = action
        return self

    def __hash__(self) -> int:
        return hash(self.of)

    def __eq__(self, other: object) -> bool:
        self.action()
        return False


@pytest.mark.parametrize("of", ["status", "headers", "body", "more_body"])
def test_a_key_that_empties_its_message(serve: Serve, notes: Notes, of: str) -> None:
    """What was read of it before is not freed while it is looked at: it is a start, or lacks a key."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def empty() -> None:
            if armed:
                message.clear()
                spare.extend("".join(["http.response.", str(n)]) for n in range(200))

        armed: list[bool] = []
        spare: list[str] = []
        message: dict[Any, Any] = {Meddler(of, empty): 1}
        message["type"] = "".join(["http.response", ".start"])
        message["status"] = 200
        message["headers"] = [(b"x-a", b"%d" % 100)]
        armed.append(True)
        try:
            result = send(message)
        except Exception as error:
            notes.put(type(error))
            return await respond(send, b"", headers=[])
        notes.put(None)
        await result
        await send(body(b""))

    with serve(app) as server, server.connect() as client:
        for _ in range(20):
            assert client.ask().status == 200
            assert notes.get() in (None, KeyError)


@pytest.mark.parametrize("of", ["type", "status", "headers", "body", "more_body"])
def test_a_key_whose_comparison_fails(serve: Serve, of: str) -> None:
    """It is an unknown key, or send says what failed; the answer can start either way."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        armed: list[bool] = []  # building the dict compares, too
        message: dict[Any, Any] = {Meddler(of, lambda: armed and 1 / 0): 1, **start()}
        armed.append(True)
        try:
            await send(message)
        except ZeroDivisionError:
            await send(start())
        await send(body(b"ok"))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            response = client.ask()
            assert response.status == 201
            assert response.body == b"ok"


class Changing(tuple[bytes, bytes]):
    """A pair that runs something when it is read."""

    action: Callable[[], Any]

    def __iter__(self) -> Iterator[bytes]:
        self.action()
        return super().__iter__()


def changing(pair: tuple[bytes, bytes], action: Callable[[], Any]) -> Changing:
    made = Changing(pair)
    made.action = action
    return made


class Sequence:
    """Not a list nor a tuple, only a sequence."""

    def __init__(self, items: tuple[Any, ...], action: Callable[[], Any]) -> None:
        self.items = items
        self.action = action

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> Any:
        self.action()
        return self.items[at]


def headers_of(response: Any) -> Pairs:
    return [pair for pair in response.headers if pair[0].startswith(b"x-")]


@pytest.mark.parametrize("pair", ["sequence", "generator"])
def test_a_list_that_its_own_pairs_change(serve: Serve, pair: str) -> None:
    """Shrunk, the list ends; grown, it goes on; what was in it is not freed under the reader."""

    def run(action: Callable[[], Any], name: bytes) -> Any:
        if pair == "sequence":
            return Sequence((name, b"1"), action)

        def parts() -> Iterator[bytes]:
            yield name
            action()
            yield b"1"

        return parts()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[Any] = []
        if scope["path"] == "/shrink":
            headers += [run(headers.clear, b"x-a"), (b"x-never", b"1"), (b"x-never", b"2")]
        elif scope["path"] == "/grow":

            def grow() -> None:
                if len(headers) < 100:
                    headers.append((b"x-more", b"%d" % len(headers)))

            headers += [run(grow, b"x-a"), (b"x-b", b"1")]
        else:

            def replace() -> None:
                headers[:] = [[bytes(100)] for _ in range(1)] + [(b"x-new", b"1")]

            headers += [run(replace, b"x-a"), (b"x-old", b"1")]
        await send(start(headers))
        await send(body(b"ok"))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            assert headers_of(client.ask("/shrink")) == [(b"x-a", b"1")]
            grown = headers_of(client.ask("/grow"))
            assert grown[:2] == [(b"x-a", b"1"), (b"x-b", b"1")]
            assert {name for name, _ in grown[2:]} == {b"x-more"}
            assert headers_of(client.ask("/replace")) == [(b"x-a", b"1"), (b"x-new", b"1")]


def test_pairs_that_are_subclasses_of_tuple(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[Any] = [changing((b"x-a", b"1"), lambda: None), [b"x-b", b"2"]]
        headers += [iter([b"x-c", b"3"]), (b"x-d", b"4")]
        await send(start(headers))
        await send(body(b"ok"))

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            assert headers_of(client.ask()) == [
                (b"x-a", b"1"),
                (b"x-b", b"2"),
                (b"x-c", b"3"),
                (b"x-d", b"4"),
            ]


def test_headers_that_take_themselves_out_of_the_message(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def generate() -> Iterator[tuple[bytes, bytes]]:
            yield (b"x-a", b"1")
            message.clear()
            message.update({str(n): bytes(50) for n in range(50)})
            yield (b"x-b", b"2")

        message = start()
        message["headers"] = generate()
        await send(message)
        await send(body(b"ok"))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            assert headers_of(client.ask()) == [(b"x-a", b"1"), (b"x-b", b"2")]


def test_headers_that_send_a_start_of_their_own(serve: Serve, notes: Notes) -> None:
    """An answer has one start; the second is refused, whoever asks for it, and the first stands."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def generate() -> Iterator[tuple[bytes, bytes]]:
            yield (b"x-a", b"1")
            for message in (start([(b"x-inner", b"1")]), body(b"inner")):
                try:
                    send(message)
                except (RuntimeError, OSError) as error:
                    notes.put(error)
            yield (b"x-b", b"2")

        await send(start(generate()))
        await send(body(b"ok"))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            response = client.ask()
            assert headers_of(response) == [(b"x-a", b"1"), (b"x-b", b"2")]
            assert response.body == b"ok"
            notes.get()
            notes.get()
    assert notes.empty()


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_headers_that_fail_half_way_are_not_sent(serve: Serve, kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def generate() -> Iterator[tuple[bytes, bytes]]:
            yield (b"x-gone", b"1")
            raise KeyError("half-way")

        empty: dict[str, str] = {}
        bad = Sequence((b"x", b"1"), lambda: empty["half-way"])
        headers = [(b"x-gone", b"1"), bad] if kind == "list" else generate()
        with pytest.raises(KeyError):
            await send(start(headers))
        await send(start([(b"x-sent", b"1")]))
        await send(body(b"ok"))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            assert headers_of(client.ask()) == [(b"x-sent", b"1")]


@pytest.mark.parametrize("how", ["bool", "headers"])
def test_a_message_that_stops_the_server(serve: Serve, how: str) -> None:
    """Code within a message may do what code elsewhere may: the answer is whole, then all ends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def stop() -> bool:
            server.server.should_exit = True
            return True

        def generate() -> Iterator[tuple[bytes, bytes]]:
            yield (b"x-a", b"1")
            stop()
            yield (b"x-b", b"2")

        await send(start(generate() if how == "headers" else [(b"x-a", b"1"), (b"x-b", b"2")]))
        await send(body(b"one", Truth(stop) if how == "bool" else True))
        await asyncio.sleep(0)
        await send(body(b"two"))

    with serve(app) as server:
        with server.connect() as client:
            response = client.ask()
            assert headers_of(response) == [(b"x-a", b"1"), (b"x-b", b"2")]
            assert response.body == b"onetwo"
            client.assert_closed()
        assert server.join() is None


def test_a_truth_that_lets_the_client_go(serve: Serve, notes: Notes) -> None:
    """The client leaves while its message is looked at: nothing is sent, nothing breaks."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def wait() -> bool:
            notes.put("asked")
            return True

        await send(start())
        for _ in range(3):
            await send(body(b"x" * 100_000, Truth(wait)))
        while (await receive())["type"] != "http.disconnect":
            pass
        await send(body(b"late", Truth(wait)))
        notes.put("done")

    with serve(app) as server:
        client = server.connect()
        client.get()
        assert notes.get() == "asked"
        client.rst()
        while notes.get() != "done":
            pass
