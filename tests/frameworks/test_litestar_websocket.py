# SPDX-License-Identifier: MIT
"""What Litestar has for WebSockets beside the rooms of test_chat.py: listeners with data that is checked, dependencies,
hooks, a stream, guards, controllers, and its channels from a handler of HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.frameworks.chat_support import Served, heard, play, serve_module, stop_cleanly, tell
from tests.support.asgi import WAIT

pytestmark = pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount"),
    reason="multidict's C extension, which Litestar uses, crashes in a debug interpreter",
)


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    """The application."""
    with serve_module("litestar_chat") as process:
        yield Served(process)
        stop_cleanly(process)


def test_a_listener_checks_what_comes(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/lines?name=ann") as peer:
            await tell(peer, text="é", number=3)
            assert await heard(peer) == {"name": "ann", "text": "É", "number": 4}
            await peer.close()
        await chat.said("lease closed")

    play(scene())


def test_a_listener_for_bytes(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/raw") as peer:
            await peer.send(b"\x00\x01\xff")
            assert await peer.receive() == b"\xff\x01\x00"

    play(scene())


def test_a_listener_with_hooks(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/greeter/hello") as peer:
            assert await peer.receive() == "hello"
            await peer.send("you")
            assert await peer.receive() == "you!"
            await peer.send("enough")
            assert await peer.closed() == (4008, "that was enough")
        await chat.said("greeted")

    play(scene())


def test_a_listener_with_a_life_of_its_own(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/managed") as peer:
            assert peer.headers["x-life"] == "managed"
            await peer.send("hears")
            assert await peer.receive() == "/managed hears"
            await peer.close(3001)
        await chat.said("managed end 3001")

    play(scene())


def test_a_stream(chat: Served) -> None:
    """It ends, or it is cancelled when its client goes."""

    async def scene() -> None:
        async with chat.connect("/numbers?upto=3") as peer:
            assert [await heard(peer) for _ in range(3)] == [0, 1, 2]
            assert await peer.closed() == (1000, "")
        async with chat.connect("/numbers?upto=-1") as peer:
            assert await heard(peer) == 0
            peer.abort()
        await chat.said("numbers over", nth=2)

    play(scene())


def test_a_guard_and_a_controller(chat: Served) -> None:
    async def scene() -> None:
        assert (await chat.refusal("/private/1")).status == 403
        headers = {"cookie": "user=ann"}
        async with chat.connect("/private/7?q=a&q=b", headers=headers) as peer:
            assert await heard(peer) == [7, ["a", "b"]]
            await tell(peer, a=1)
            assert await heard(peer) == {"a": 1}
            assert await peer.closed() == (4001, "done")

    play(scene())


@pytest.mark.parametrize("path", ["/nowhere", "/broken", "/private/x", "/numbers?upto=x"])
def test_errors_before_accept(chat: Served, path: str) -> None:
    """Litestar closes with a code, which before `accept` is 403 to the client."""

    async def scene() -> None:
        refused = await chat.refusal(path, headers={"cookie": "user=ann"})
        assert refused.status == 403

    play(scene())


def test_a_room_that_is_spoken_to_by_http(chat: Served) -> None:
    async def scene() -> None:
        async with chat.join("ann") as ann:
            async with httpx.AsyncClient(base_url=chat.url, timeout=WAIT, trust_env=False) as http:
                assert (await http.get("/say/lobby")).text == "said"
            assert await heard(ann) == {"from": "http", "said": "hello"}

    play(scene())
