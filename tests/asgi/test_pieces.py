# SPDX-License-Identifier: MIT
"""When the pieces of a streamed body leave: together within a step, at once when they are alone."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, Notes, Receive, Scope, Send, respond
from tests.support.raw import RawClient

HEADS = {
    "chunked": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "counted": b"GET /counted HTTP/1.1\r\nHost: h\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\n\r\n",
    "old-counted": b"GET /counted HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
}


async def start(send: Send, scope: Scope, length: int) -> None:
    headers = [(b"content-length", b"%d" % length)] if scope["path"] == "/counted" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def piece(send: Send, data: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


def numbered(size: int, count: int) -> list[bytes]:
    return [(b"%d," % number * size)[:size] for number in range(count)]


@pytest.mark.parametrize("last", ["empty", "full"])
@pytest.mark.parametrize(("size", "count"), [(1, 2), (10, 50), (4096, 3), (5000, 40), (65536, 12)])
@pytest.mark.parametrize("kind", HEADS)
def test_pieces_of_one_step_are_complete_and_in_order(
    serve: Serve, kind: str, size: int, count: int, last: str
) -> None:
    pieces = numbered(size, count)
    whole = b"".join(pieces)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, len(whole))
        for each in pieces[:-1]:
            await piece(send, each)
        if last == "empty":
            await piece(send, pieces[-1])
            await piece(send, b"", more=False)
        else:
            await piece(send, pieces[-1], more=False)

    with serve(app) as server, server.connect() as client:
        for _ in range(1 if kind == "old" else 3):
            client.send(HEADS[kind])
            response = client.read_response("HEAD" if kind == "head" else "GET")
            assert response.status == 200
            assert response.body == (b"" if kind == "head" else whole)
            if kind == "chunked":
                assert response.chunks == pieces
        if kind == "old":
            client.assert_closed()
        else:
            assert client.quiet()


@pytest.mark.parametrize("steps", [1, 3])
def test_many_streams_at_once(serve: Serve, steps: int) -> None:
    """While others are due, all pieces wait for the end of the turn, and none is lost."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 0)
        for step in range(steps):
            for number in range(10):
                await piece(send, b"%s:%d:%d;" % (scope["path"].encode(), step, number))
            await asyncio.sleep(0)
        await piece(send, b"", more=False)

    with serve(app) as server:
        clients = [server.connect() for _ in range(40)]
        for at, client in enumerate(clients):
            client.get(f"/{at}")
        for at, client in enumerate(clients):
            parts = [b"/%d:%d:%d;" % (at, s, n) for s in range(steps) for n in range(10)]
            assert client.read_response().chunks == parts
            client.close()


@pytest.mark.parametrize("kind", ["chunked", "counted", "old", "old-counted"])
def test_a_first_piece_is_out_before_the_application_blocks(
    serve: Serve, notes: Notes, kind: str
) -> None:
    """The client has it while the loop's thread stands still."""
    received = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 10)
        await piece(send, b"first")
        notes.put(received.wait(WAIT))
        await piece(send, b"later", more=False)

    with serve(app) as server:
        for _ in range(3):
            with server.connect() as client:
                client.send(HEADS[kind])
                head = client.read_head()
                assert client.read(10 if head.chunked else 5).strip().endswith(b"first")
                received.set()
                assert notes.get() is True
                received.clear()
                assert b"later" in client.read(15 if head.chunked else 5)


@pytest.mark.parametrize("body", ["whole", "streamed", "empty-last"])
@pytest.mark.parametrize("kind", ["chunked", "counted", "old"])
def test_a_final_body_is_out_before_the_application_blocks(
    serve: Serve, notes: Notes, kind: str, body: str
) -> None:
    received = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 10)
        if body != "whole":
            await piece(send, b"01234")
            await asyncio.sleep(0)
        if body == "empty-last":
            await piece(send, b"56789")
            await asyncio.sleep(0)
        await piece(send, {"whole": b"0123456789", "streamed": b"56789"}.get(body, b""), more=False)
        notes.put(received.wait(WAIT))

    with serve(app) as server:
        for _ in range(3):
            with server.connect() as client:
                client.send(HEADS[kind])
                assert client.read_response().body == b"0123456789"
                received.set()
                assert notes.get() is True
                received.clear()


def read_chunk(client: RawClient) -> bytes:
    size = int(client.read_until(b"\r\n"), 16)
    data = client.read(size + 2)
    assert data.endswith(b"\r\n")
    return data[:-2]


def test_a_piece_alone_in_its_turn_is_out_before_the_application_blocks(
    serve: Serve, notes: Notes
) -> None:
    """Not only the first one: what an earlier turn sent is gone already."""
    received = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 0)
        for number in range(5):
            await asyncio.sleep(0)
            await piece(send, b"%d" % number)
        notes.put(received.wait(WAIT))
        await piece(send, b"", more=False)

    with serve(app) as server:
        for _ in range(5):
            with server.connect() as client:
                client.get()
                client.read_head()
                assert [read_chunk(client) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
                received.set()
                assert notes.get() is True
                received.clear()
                assert client.read(5) == b"0\r\n\r\n"


def test_who_blocks_after_a_held_piece_is_seen(serve: Serve, notes: Notes) -> None:
    """From then on its pieces leave at once, wherever in the step they are sent."""
    received = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 0)
        await piece(send, b"one")
        await piece(send, b"two")  # waits for the turn's end, behind the first
        if scope["query_string"] == b"compute":
            until = time.perf_counter() + 0.03
            while time.perf_counter() < until:
                pass
        else:
            notes.put(received.wait(WAIT))
            received.clear()
            await piece(send, b"three")
            await piece(send, b"four")
            notes.put(received.wait(WAIT))
            received.clear()
        await piece(send, b"", more=False)

    with serve(app) as server, server.connect() as client:
        assert client.ask("/items/1?compute").body == b"onetwo"
        for number in range(5):
            client.get(f"/items/{number}")
            client.read_head()
            assert [read_chunk(client), read_chunk(client)] == [b"one", b"two"]
            received.set()
            assert notes.get() is True
            assert [read_chunk(client), read_chunk(client)] == [b"three", b"four"]
            received.set()
            assert notes.get() is True
            assert client.read(5) == b"0\r\n\r\n"


def test_quick_requests_do_not_wear_out_what_was_seen(serve: Serve, notes: Notes) -> None:
    """A route that blocks is known by itself: what others hold leaves before it does."""
    received = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/gate":
            notes.put("in the gate")
            assert received.wait(WAIT)
            received.clear()
        await respond(send)
        if scope["query_string"] == b"compute":
            until = time.perf_counter() + 0.03
            while time.perf_counter() < until:
                pass
        elif scope["path"] == "/slow":
            notes.put(received.wait(WAIT))
            received.clear()

    with (
        serve(app) as server,
        server.connect() as gate,
        server.connect() as quick,
        server.connect() as slow,
    ):
        assert slow.ask("/slow?compute").status == 200
        for _ in range(60):
            quick.send(b"GET /quick HTTP/1.1\r\nHost: h\r\n\r\n" * 100)
            for _ in range(100):
                assert quick.read_response().status == 200
        # All three are due in one turn, or else are alone in theirs.
        gate.get("/gate")
        assert notes.get() == "in the gate"
        quick.get("/quick")
        slow.get("/slow")
        received.set()
        assert gate.read_response().status == 200
        assert slow.read_response().status == 200
        assert quick.read_response().status == 200
        received.set()
        assert notes.get() is True


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 steps among the loop's callbacks")
def test_a_slow_step_has_the_next_ones_write_at_once(serve: Serve, notes: Notes) -> None:
    """Of what arrived meanwhile, one more may be slow: the answers before it do not wait for it."""
    received = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/gate":
            notes.put("in the gate")
            assert received.wait(WAIT)
            received.clear()
            until = time.perf_counter() + 0.02
            while time.perf_counter() < until:
                pass
        elif scope["path"] == "/slow":
            notes.put(received.wait(WAIT))
        await respond(send)

    with (
        serve(app) as server,
        server.connect() as gate,
        server.connect() as quick,
        server.connect() as slow,
    ):
        gate.get("/gate")
        assert notes.get() == "in the gate"
        quick.get("/quick")
        slow.get("/slow")
        received.set()
        assert gate.read_response().status == 200
        assert quick.read_response().status == 200
        received.set()
        assert notes.get() is True
        assert slow.read_response().status == 200


@pytest.mark.parametrize("size", [1000, 20_000])
def test_what_waits_is_bounded(serve: Serve, notes: Notes, size: int) -> None:
    """Once 64 KiB wait they leave, while the step goes on."""
    received = threading.Event()
    total = 140_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 0)
        for _ in range(total // size):
            # Not awaited, since that might end the step. The message is taken all the same.
            send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        notes.put(received.wait(WAIT))
        await piece(send, b"", more=False)

    with serve(app) as server, server.connect() as client:
        client.get()
        assert client.read_head().chunked
        got = 0
        while got < total - 65536 - size:
            got += len(read_chunk(client))
        received.set()
        assert notes.get() is True
        while got < total:
            got += len(read_chunk(client))
        assert client.read(5) == b"0\r\n\r\n"


class CuttingMiddleware:
    """Cuts an answer as many middlewares do: a start, a piece, an empty last piece."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def cut(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await send({**message, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await send(message)

        await self.app(scope, receive, cut)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", HEADS)
def test_an_empty_last_piece_completes_the_answer(serve: Serve, kind: str, layers: int) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 5)
        await send({"type": "http.response.body", "body": b"hello"})

    app: Any = inner
    for _ in range(layers):
        app = CuttingMiddleware(app)
    with serve(app) as server, server.connect() as client:
        for _ in range(1 if kind == "old" else 5):
            client.send(HEADS[kind])
            response = client.read_response("HEAD" if kind == "head" else "GET")
            assert response.body == (b"" if kind == "head" else b"hello")
        assert kind == "old" or client.quiet()


def test_pieces_to_a_client_that_goes(serve: Serve, notes: Notes) -> None:
    """Held pieces of a connection that is reset are let go, and the application hears of it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, scope, 0)
        await piece(send, b"first")
        while (await receive())["type"] != "http.disconnect":
            pass
        for each in numbered(5000, 40):
            await piece(send, each)
        await piece(send, b"", more=False)
        notes.put("done")

    with serve(app) as server:
        for _ in range(3):
            client = server.connect()
            client.get()
            client.read_head()
            client.rst()
            assert notes.get() == "done"
