# SPDX-License-Identifier: MIT
"""receive, send and what they belong to, kept by an application for longer than their request."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond

DISCONNECT = {"type": "http.disconnect"}
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
REQUESTS = 200


async def assert_over(receive: Receive, send: Send) -> None:
    """These two are those of a request that was answered."""
    assert await receive() == DISCONNECT
    for message in (START, {"type": "http.response.body", "body": b"late"}):
        with pytest.raises(RuntimeError, match="after response already completed"):
            await send(dict(message))
    assert await receive() == DISCONNECT


@pytest.mark.parametrize("turns", [0, 1])
def test_kept_objects_stay_what_they_are(serve: Serve, notes: Notes, turns: int) -> None:
    """The requests behind theirs are given memory of others, never theirs."""
    kept: list[tuple[Any, Any, Any]] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        for old_receive, old_send, old_cycle in kept:
            assert receive is not old_receive
            assert send is not old_send
            assert send.__self__ is not old_cycle
            assert old_receive.__self__ is old_send.__self__ is old_cycle
            assert old_cycle.disconnected is False
        for old_receive, old_send, _ in kept:
            await assert_over(old_receive, old_send)
        if scope["path"] == "/keep":
            kept.append((receive, send, send.__self__))
        await respond(send, scope["path"].encode())

    with serve(app) as server, server.connect() as client, server.connect() as other:
        for _ in range(5):
            assert client.ask("/keep").body == b"/keep"
        for number in range(REQUESTS):
            each = (client, other)[number % 2]
            assert each.ask(f"/{number}").body == f"/{number}".encode()
    kept.clear()


def test_memory_goes_round_while_some_is_kept(serve: Serve, notes: Notes) -> None:
    """Every third request is kept, and let go some requests later, in any order."""
    kept: list[tuple[str, Any, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        number = int(path[1:])
        if number % 3 == 0:
            kept.append((path, receive, send))
        if number % 7 == 0 and kept:
            _, old_receive, old_send = kept.pop(number % len(kept))
            if old_send is not send:
                await assert_over(old_receive, old_send)
            del old_receive, old_send
        if number % 50 == 0:
            gc.collect()
        assert len({id(send) for _, _, send in kept}) == len(kept)
        await respond(send, path.encode())

    with serve(app) as server, server.connect() as client:
        for at in range(0, REQUESTS, 20):
            numbers = range(at, at + 20)
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in numbers))
            for number in numbers:
                assert client.read_response().body == b"/%d" % number
    kept.clear()


def test_kept_objects_of_a_request_whose_client_left(serve: Serve, notes: Notes) -> None:
    """send does nothing then, in this request and long after it."""
    kept: list[tuple[Any, Any]] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        for old_receive, old_send in kept:
            assert await old_receive() == DISCONNECT
            await old_send(dict(START))
            await old_send({"type": "http.response.body", "body": b"nobody sees it"})
            assert old_send.__self__.disconnected is True
        if scope["path"] == "/leave":
            notes.put("there")
            while (await receive())["type"] != "http.disconnect":
                pass
            kept.append((receive, send))
            notes.put("gone")
            return
        await respond(send, scope["path"].encode())

    with serve(app) as server:
        for _ in range(3):
            with server.connect() as client:
                client.get("/leave")
                assert notes.get() == "there"
                client.rst()
            assert notes.get() == "gone"
        with server.connect() as client:
            for number in range(REQUESTS):
                assert client.ask(f"/{number}").body == f"/{number}".encode()
    kept.clear()


@pytest.mark.parametrize("what", ["receive", "send"])
def test_an_awaitable_that_was_kept(serve: Serve, notes: Notes, what: str) -> None:
    """What receive() or send() returned is awaited by a later request: nobody's memory is touched."""
    kept: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while len(kept) > 3:
            result = await kept.pop(0)
            assert result == (DISCONNECT if what == "receive" else None)
        if what == "receive":
            assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
            kept.append(receive())
        await send(dict(START))
        final = send({"type": "http.response.body", "body": scope["path"].encode()})
        if what == "send":
            kept.append(final)
        else:
            await final

    with serve(app) as server, server.connect() as client:
        for number in range(REQUESTS):
            assert client.ask(f"/{number}").body == f"/{number}".encode()
    kept.clear()


def test_objects_outlive_their_server(serve: Serve) -> None:
    kept: list[tuple[Any, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append((receive, send))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        for _ in range(REQUESTS):
            client.assert_open()
    for old_receive, old_send in kept:
        asyncio.run(assert_over(old_receive, old_send))
    assert len({id(old_send) for _, old_send in kept}) == REQUESTS
    kept.clear()


CHANGES: list[Callable[[dict[str, Any]], Any]] = [
    dict.clear,
    dict.popitem,
    lambda given: given.update(added=1),
    lambda given: given.update({next(iter(given)): "changed"}),
    lambda given: given.update({next(iter(given)): given.pop(next(iter(given)))}),
]


@pytest.mark.parametrize("key", ["asgi", "extensions"])
@pytest.mark.parametrize("change", CHANGES)
def test_dicts_are_given_again_only_as_they_were(
    serve: Serve, notes: Notes, key: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    """Some requests change what they are given, some keep it; all others see what the first one saw."""
    kept: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        given = scope[key]
        assert not any(given is old for old in kept)
        notes.put(list(given.items()))
        if scope["path"] == "/change":
            change(given)
        if scope["path"] == "/keep":
            kept.append(given)
        await respond(send)

    with serve(app) as server, server.connect() as client:
        for number in range(REQUESTS):
            client.assert_open(("/change", "/", "/keep", "/")[number % 4])
        first = notes.get()
        assert first and all(notes.get() == first for _ in range(REQUESTS - 1))
