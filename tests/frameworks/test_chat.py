# SPDX-License-Identifier: MIT
"""One chat in each framework, in a process of its own, and several people in it by real clients."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.frameworks.chat_support import (
    CLIENTS,
    Peer,
    Served,
    heard,
    logged_errors,
    play,
    serve_module,
    stop_cleanly,
    tell,
)

APPLICATIONS = ["fastapi", "starlette", "channels", "litestar", "quart"]

UNTOLD = {"quart"}
"""A handler is cancelled when its client goes, and is not told the code."""

AFTER_AN_ERROR = {"litestar": (4500, "Internal Server Error"), "quart": (1000, "")}
"""What these close with when a handler fails; with the others it is the server who closes."""

LOGGED = {"litestar": 0}
"""How many errors of a failing handler are in the log, if not one: Litestar's log is off here."""

pytestmark = pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount"),
    reason="multidict's C extension, which aiohttp and Litestar use, crashes in a debug interpreter",
)


@pytest.fixture(scope="module", params=APPLICATIONS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Each application, served once; it must stop without an error."""
    with serve_module(f"{request.param}_chat") as process:
        yield Served(process)
        stop_cleanly(process)


@pytest.fixture(params=list(CLIENTS))
def chat(served: Served, request: pytest.FixtureRequest) -> Served:
    """It, with each client."""
    served.client = request.param
    return served


@pytest.fixture
def framework(request: pytest.FixtureRequest) -> str:
    """The name of the framework under test."""
    name: str = request.node.callspec.params["served"]
    return name


async def talk(chat: Served) -> None:
    """Two in one room, a third in another."""
    async with (
        chat.join("ann") as ann,
        chat.join("bob", ann) as bob,
        chat.join("cid", room="attic") as cid,
    ):
        await tell(ann, say="hello, é€😀")
        for each in (ann, bob):
            assert await heard(each) == {"from": "ann", "said": "hello, é€😀"}
        await bob.send(b"\x00\xff")
        for each in (ann, bob):
            assert await each.receive() == b"\x00\xff"
        await tell(cid, say="anyone?")
        assert await heard(cid) == {"from": "cid", "said": "anyone?"}


def test_rooms(chat: Served) -> None:
    play(talk(chat))


def test_what_was_negotiated(chat: Served) -> None:
    """The application chooses among the subprotocols, and adds fields to the answer."""

    async def scene() -> None:
        path = "/chat/hall?name=ann"
        async with chat.connect(path, "chat.v1", "chat.v2") as peer:
            assert peer.subprotocol == "chat.v2"
            assert peer.headers["x-room"] == "hall"
            assert peer.headers.get("date")
        async with chat.connect(path, "chat.v1") as peer:
            assert peer.subprotocol is None

    play(scene())


def test_a_name_with_strange_characters(chat: Served) -> None:
    """In the path and in the query, as they are escaped there."""

    async def scene() -> None:
        async with chat.connect("/chat/caf%C3%A9?name=Zo%C3%AB+%26%20co") as peer:
            assert await heard(peer) == {"joined": "Zoë & co"}

    play(scene())


def test_who_may_not_come_in(chat: Served) -> None:
    async def scene() -> None:
        for path in ("/chat/lobby", "/who"):
            assert (await chat.refusal(path)).status == 403
        async with chat.connect("/who", headers={"cookie": "theme=dark; user=ann"}) as peer:
            assert await peer.receive() == "ann"
            assert await peer.closed() == (1000, "")

    play(scene())


def test_a_client_that_closes(chat: Served, framework: str) -> None:
    """The others are told its code."""

    async def scene() -> None:
        async with chat.join("ann") as ann:
            for code in (1000, 1001, 3000, 4999):
                async with chat.join("bob", ann) as bob:
                    await bob.close(code, "bye")
                told = None if framework in UNTOLD else code
                assert await heard(ann) == {"left": "bob", "code": told}

    play(scene())


def test_a_client_that_is_cut_off(chat: Served, framework: str) -> None:
    async def scene() -> None:
        async with chat.join("ann") as ann:
            async with chat.join("bob", ann) as bob:
                bob.abort()
                told = None if framework in UNTOLD else 1006
                assert await heard(ann) == {"left": "bob", "code": told}

    play(scene())


def test_a_server_that_closes(chat: Served) -> None:
    async def scene() -> None:
        async with chat.join("ann") as ann:
            for code, reason in ((1000, ""), (3000, "é" * 61), (4001, "go")):
                async with chat.join("bob", ann) as bob:
                    await tell(bob, leave=code, reason=reason)
                    assert await bob.closed() == (code, reason)
                assert await heard(ann) == {"left": "bob", "code": code}

    play(scene())


def test_large_messages(chat: Served) -> None:
    """Past every buffer, one that compresses and one that does not, to a client that reads them later."""

    async def scene() -> None:
        async with chat.join("ann") as ann, chat.join("bob", ann) as bob:
            text, data = "wörd " * 200_000, os.urandom(3_000_000)
            await tell(ann, say=text)
            await ann.send(data)
            for each in (ann, bob):
                assert await heard(each) == {"from": "ann", "said": text}
                assert await each.receive() == data

    play(scene())


def test_many_in_a_room(chat: Served) -> None:
    """All hear all, and each in the order in which it was said."""
    people, words = 12, 8

    async def scene() -> None:
        async with AsyncExitStack() as stack:
            peers: list[Peer] = []
            for number in range(people):
                joined = await stack.enter_async_context(chat.join(str(number), *peers, room="big"))
                peers.append(joined)

            async def speak(peer: Peer) -> None:
                for word in range(words):
                    await tell(peer, say=str(word))

            async def listen(peer: Peer) -> dict[str, list[str]]:
                said: dict[str, list[str]] = {}
                for _ in range(people * words):
                    message = await heard(peer)
                    said.setdefault(message["from"], []).append(message["said"])
                return said

            heard_by_all, _ = await asyncio.gather(
                asyncio.gather(*map(listen, peers)), asyncio.gather(*map(speak, peers))
            )
            expected = {str(n): [str(word) for word in range(words)] for n in range(people)}
            assert heard_by_all == [expected] * people

    play(scene())


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop"])
@pytest.mark.parametrize("framework", APPLICATIONS)
def test_an_error_and_a_stop(framework: str, loop: str) -> None:
    """An error in a handler ends its own connection only; a stop ends all of them, and nobody is forgotten."""

    async def scene(chat: Served) -> None:
        async with chat.join("ann") as ann:
            async with chat.join("bob", ann) as bob:
                await tell(bob, fail=True)
                assert await bob.closed() == AFTER_AN_ERROR.get(framework, (1011, ""))
                assert (await heard(ann))["left"] == "bob"
            await talk_in_another_room(chat)
            process.signal(2)
            code, _ = await ann.closed()
            assert code == 1012
        if framework not in UNTOLD:
            await chat.said("ann left with 1012")

    async def talk_in_another_room(chat: Served) -> None:
        async with chat.join("cid", room="attic") as cid:
            await tell(cid, say="still here?")
            assert await heard(cid) == {"from": "cid", "said": "still here?"}

    if loop == "uvloop":
        pytest.importorskip("uvloop")
    with serve_module(f"{framework}_chat", "--loop", loop) as process:
        play(scene(Served(process)))
        assert process.wait() == 0
        errors = process.errors()
        assert logged_errors(errors) == LOGGED.get(framework, 1), "\n".join(errors)
        assert any("Application shutdown complete." in line for line in errors) or framework == (
            "channels"
        )
