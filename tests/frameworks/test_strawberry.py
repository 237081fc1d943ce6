# SPDX-License-Identifier: MIT
"""GraphQL subscriptions by strawberry, in both protocols that clients speak, and its queries by HTTP beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.frameworks.chat_support import (
    CLIENTS,
    Peer,
    Served,
    heard,
    play,
    serve_module,
    stop_cleanly,
    tell,
)
from tests.support.asgi import WAIT

NEW, OLD = "graphql-transport-ws", "graphql-ws"

START = {NEW: "subscribe", OLD: "start"}
STOP = {NEW: "complete", OLD: "stop"}
RESULT = {NEW: "next", OLD: "data"}

LISTEN = "subscription($room: String!) { said(room: $room) { name text } }"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The application; a resolver fails once in each protocol, which strawberry logs."""
    with serve_module("strawberry_chat") as process:
        yield Served(process)
        stop_cleanly(process, errors=2 * len(CLIENTS))


@pytest.fixture(params=list(CLIENTS))
def chat(served: Served, request: pytest.FixtureRequest) -> Served:
    """It, with each client."""
    served.client = request.param
    return served


@pytest.fixture(params=[NEW, OLD])
def protocol(request: pytest.FixtureRequest) -> str:
    """The subprotocol."""
    name: str = request.param
    return name


@asynccontextmanager
async def connected(chat: Served, protocol: str, **params: Any) -> AsyncIterator[Peer]:
    """Connect, and say hello."""
    async with chat.connect("/graphql", protocol) as peer:
        assert peer.subprotocol == protocol
        await tell(peer, type="connection_init", payload=params)
        assert (await heard(peer))["type"] == "connection_ack"
        yield peer


async def subscribe(peer: Peer, number: str, query: str, **variables: Any) -> None:
    """Start an operation."""
    assert peer.subprotocol is not None
    payload = {"query": query, "variables": variables}
    await tell(peer, type=START[peer.subprotocol], id=number, payload=payload)


async def result(peer: Peer, number: str) -> Any:
    """Wait for the next result of an operation."""
    assert peer.subprotocol is not None
    message = await heard(peer)
    assert (message["type"], message["id"]) == (RESULT[peer.subprotocol], number), message
    return message["payload"]


def ask(chat: Served, query: str) -> Any:
    """Ask by HTTP."""
    with httpx.Client(base_url=chat.url, timeout=WAIT, trust_env=False) as client:
        return client.post("/graphql", json={"query": query}).json()["data"]


def test_rooms(chat: Served, protocol: str) -> None:
    """Two connections, three subscriptions, and one who speaks by HTTP."""

    async def scene() -> None:
        async with (
            connected(chat, protocol, name="ann") as ann,
            connected(chat, protocol, name="bob") as bob,
        ):
            await subscribe(ann, "1", LISTEN, room="lobby")
            assert await result(ann, "1") == {"data": {"said": {"name": "ann", "text": "listens"}}}
            await subscribe(ann, "2", LISTEN, room="attic")
            await result(ann, "2")
            await subscribe(bob, "1", LISTEN, room="lobby")
            await result(bob, "1")
            said = ask(chat, 'mutation { say(room: "lobby", name: "cid", text: "é€😀") }')
            assert said == {"say": 2}
            for each in (ann, bob):
                expected = {"data": {"said": {"name": "cid", "text": "é€😀"}}}
                assert await result(each, "1") == expected
            ask(chat, 'mutation { say(room: "attic", name: "cid", text: "up here") }')
            assert (await result(ann, "2"))["data"]["said"]["text"] == "up here"

    play(scene())


def test_a_subscription_that_ends(chat: Served, protocol: str) -> None:
    async def scene() -> None:
        async with connected(chat, protocol) as peer:
            await subscribe(peer, "7", "subscription { countdown(start: 2) }")
            assert [await result(peer, "7") for _ in range(2)] == [
                {"data": {"countdown": 2}},
                {"data": {"countdown": 1}},
            ]
            assert await heard(peer) == {"type": "complete", "id": "7"}

    play(scene())


def test_a_subscription_that_fails(chat: Served, protocol: str) -> None:
    async def scene() -> None:
        async with connected(chat, protocol) as peer:
            await subscribe(peer, "7", "subscription { countdown(start: -1) }")
            assert (await result(peer, "7"))["data"] == {"countdown": 1}
            failed = await result(peer, "7")
            assert failed["errors"][0]["message"] == "below zero"

    play(scene())


def test_a_subscription_is_cancelled(chat: Served, protocol: str) -> None:
    """By its client, which stays; and when the client goes."""

    async def scene() -> None:
        name = f"{protocol}-{chat.client}"
        async with connected(chat, protocol, name=name) as peer:
            await subscribe(peer, "1", LISTEN, room="closet")
            await result(peer, "1")
            await tell(peer, type=STOP[protocol], id="1")
            await chat.said(f"{name} listens no more")
            await subscribe(peer, "2", LISTEN, room="closet")
            message = await heard(peer)
            while message["type"] == "complete":
                message = await heard(peer)
            assert message["id"] == "2"
            peer.abort()
            await chat.said(f"{name} listens no more", nth=2)

    play(scene())
    assert ask(chat, '{ listening(room: "closet") }') == {"listening": 0}


def test_a_query_by_websocket(chat: Served) -> None:
    async def scene() -> None:
        async with connected(chat, NEW) as peer:
            await subscribe(peer, "1", '{ listening(room: "nowhere") }')
            assert await result(peer, "1") == {"data": {"listening": 0}}
            assert (await heard(peer))["type"] == "complete"

    play(scene())


def test_what_the_new_protocol_closes_with(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/graphql", NEW) as peer:
            await tell(peer, type="connection_init", payload={"key": "wrong"})
            assert await peer.closed() == (4403, "Forbidden")
        async with chat.connect("/graphql", NEW) as peer:
            await subscribe(peer, "1", LISTEN, room="lobby")
            assert await peer.closed() == (4401, "Unauthorized")
        async with connected(chat, NEW) as peer:
            await tell(peer, type="connection_init")
            assert (await peer.closed())[0] == 4429
        async with connected(chat, NEW) as peer:
            for _ in range(2):
                await subscribe(peer, "1", "subscription { silence }")
            assert (await peer.closed())[0] == 4409
        for nonsense in ("{", '{"type": "nonsense"}', b"{}"):
            async with connected(chat, NEW) as peer:
                await peer.send(nonsense)
                assert (await peer.closed())[0] == 4400

    play(scene())


def test_the_newer_protocol_is_preferred_and_another_is_refused(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/graphql", OLD, NEW) as peer:
            assert peer.subprotocol in (OLD, NEW)
        async with chat.connect("/graphql", "nonsense") as peer:
            assert peer.subprotocol is None
            assert await peer.closed() == (4406, "Subprotocol not acceptable")

    play(scene())
