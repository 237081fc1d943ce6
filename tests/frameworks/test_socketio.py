# SPDX-License-Identifier: MIT
"""python-socketio's server with its own client: by long polling, by WebSocket, and by the one made into the other."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import socketio
from socketio.exceptions import ConnectionError as RefusedError

from tests.frameworks.chat_support import Served, logged_errors, play, serve_module, stop_cleanly
from tests.support.asgi import WAIT

pytestmark = pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount"),
    reason="multidict's C extension, which aiohttp uses, crashes in a debug interpreter",
)

EVENTS = ("entered", "said", "data", "answered", "announced", "connect_error")

TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": None,
}
"""What a client asks for; without a wish it polls first."""


class Member:
    """A client, and what it has heard."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self.heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        for event in EVENTS:
            self.client.on(event, self._keep(event))
        self.client.on("question", self._answer)
        self.client.on("disconnect", self._gone)

    def _keep(self, event: str) -> Any:
        async def keep(what: Any) -> None:
            if event == "connect_error":
                what = what["message"]
            self.heard.put_nowait((event, what))

        return keep

    async def _answer(self, question: str) -> str:
        return f"{question} {self.client.sid is not None}"

    async def _gone(self, reason: str) -> None:
        self.heard.put_nowait(("gone", reason))

    async def leave(self) -> None:
        """Leave; a client that polls waits until its open poll is answered, so the server has to send it away."""
        if self.client.connected and self.client.transport() == "polling":
            await self.client.emit("leave")
            while (await self.heard.get())[0] != "gone":
                pass
        await self.client.disconnect()


@asynccontextmanager
async def entered(
    chat: Served, name: str, how: str, *others: Member, room: str = "lobby"
) -> AsyncIterator[Member]:
    """Connect, and enter a room."""
    member = Member()
    options: dict[str, Any] = {"transports": TRANSPORTS[how], "namespaces": ["/", "/admin"]}
    await member.client.connect(chat.url, auth={"name": name}, wait_timeout=WAIT, **options)
    assert await member.client.call("enter", room) == f"welcome to {room}"
    for each in (member, *others):
        assert await each.heard.get() == ("entered", name)
    yield member
    await member.leave()  # not after a failure, which it could hide by waiting


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    """The application."""
    with serve_module("socketio_chat") as process:
        yield Served(process)
        stop_cleanly(process)


@pytest.fixture(params=list(TRANSPORTS))
def how(request: pytest.FixtureRequest) -> str:
    """How a client connects."""
    kind: str = request.param
    return kind


def test_the_transport_is_the_one_that_was_asked_for(chat: Served, how: str) -> None:
    async def scene() -> None:
        async with entered(chat, "ann", how) as ann:
            expected = "polling" if how == "polling" else "websocket"
            assert ann.client.transport() == expected
            assert await ann.client.call("how") == expected

    play(scene())


def test_rooms(chat: Served, how: str) -> None:
    """The three ways meet in one room; what is said in another is not heard.

    Engine.IO refuses more than 16 packets in one POST, and python-socketio's client does not heed that.
    """

    async def scene() -> None:
        async with (
            entered(chat, "ann", "polling") as ann,
            entered(chat, "bob", how, ann) as bob,
            entered(chat, "cid", "websocket", room="attic") as cid,
        ):
            await cid.client.emit("say", ("attic", "anyone?"))
            assert await cid.heard.get() == ("said", {"from": "cid", "text": "anyone?"})
            for number in range(8):
                await bob.client.emit("say", ("lobby", f"é€😀 {number}"))
            for each in (ann, bob):
                for number in range(8):
                    said = {"from": "bob", "text": f"é€😀 {number}"}
                    assert await each.heard.get() == ("said", said)
            assert cid.heard.empty()

    play(scene())


def test_bytes(chat: Served, how: str) -> None:
    async def scene() -> None:
        async with entered(chat, "ann", how) as ann, entered(chat, "bob", how, ann) as bob:
            for size in (0, 1, 70_000, 700_000):  # aiohttp warns of a POST from 1 MiB on
                part = os.urandom(size)
                answer = await ann.client.call("data", ("lobby", {"bytes": part}))
                assert answer == part[::-1]
                assert await bob.heard.get() == ("data", {"part": part})

    play(scene())


def test_a_question_of_the_server(chat: Served, how: str) -> None:
    async def scene() -> None:
        async with entered(chat, "ann", how) as ann:
            await ann.client.emit("ask_me")
            assert await ann.heard.get() == ("answered", "name? True")

    play(scene())


def test_two_namespaces_on_one_connection(chat: Served, how: str) -> None:
    async def scene() -> None:
        async with entered(chat, "ann", how) as ann:
            await ann.client.emit("announce", "hear ye", namespace="/admin")
            assert await ann.heard.get() == ("announced", "hear ye")

    play(scene())


def test_who_may_not_come_in(chat: Served) -> None:
    """The connection stands, and what is refused is the namespace, with a reason."""

    async def scene() -> None:
        member = Member()
        with pytest.raises(RefusedError, match="namespaces failed to connect"):
            await member.client.connect(chat.url, transports=["websocket"], wait_timeout=WAIT)
        assert await member.heard.get() == ("connect_error", "a name, please")

    play(scene())


def test_both_ends_can_leave(chat: Served, how: str) -> None:
    """The server is told which of them it was, where the client says so before it goes."""

    async def scene() -> None:
        if how != "polling":  # see Member.leave
            async with entered(chat, f"ann-{how}", how) as ann:
                await ann.client.disconnect()
            await chat.said(f"ann-{how} left: ")
        async with entered(chat, f"bob-{how}", how) as bob:
            await bob.client.emit("leave")
            assert (await bob.heard.get())[0] == "gone"
        await chat.said(f"bob-{how} left: server disconnect")

    play(scene())


def test_what_is_not_engine_io(chat: Served) -> None:
    """A WebSocket without the version of the protocol, with a session that is nobody's, and elsewhere."""

    async def scene() -> None:
        for query in ("", "?transport=websocket", "?EIO=4&transport=websocket&sid=nobody"):
            assert (await chat.refusal(f"/socket.io/{query}")).status in (400, 403)
        async with aiohttp.ClientSession() as session, session.get(f"{chat.url}/else") as answer:
            assert answer.status == 404

    play(scene())


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop"])
def test_a_failing_handler_and_a_stop(loop: str) -> None:
    """A connected WebSocket does not hold up a stop. A poll that waits does, until its time is up."""

    async def scene(chat: Served) -> None:
        async with (
            entered(chat, "ann", "upgrade") as ann,
            entered(chat, "bob", "websocket", ann) as bob,
        ):
            await bob.client.emit("fail")
            await asyncio.to_thread(process.stderr.expect, "LookupError: in a handler")
            await bob.client.emit("say", ("lobby", "still here"))
            for each in (ann, bob):
                assert (await each.heard.get())[0] == "said"
            process.signal(2)
            for each in (ann, bob):
                assert (await each.heard.get())[0] == "gone"

    if loop == "uvloop":
        pytest.importorskip("uvloop")
    with serve_module("socketio_chat", "--loop", loop) as process:
        play(scene(Served(process)))
        assert process.wait() == 0
        assert process.stdout is not None
        assert "stopped" in process.output()
        assert logged_errors(process.errors()) == 1
