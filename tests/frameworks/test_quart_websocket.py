# SPDX-License-Identifier: MIT
"""What Quart has for WebSockets beside the rooms of test_chat.py: answers in place of one, `before_websocket`, JSON,
the session, and the cancellation of a handler whose client goes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.frameworks.chat_support import Served, heard, play, serve_module, stop_cleanly, tell
from tests.support.asgi import WAIT


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    """The application; one of its handlers fails once, which Quart logs."""
    with serve_module("quart_chat") as process:
        yield Served(process)
        stop_cleanly(process, errors=1)


def test_an_answer_in_place_of_a_websocket(chat: Served) -> None:
    async def scene() -> None:
        refused = await chat.refusal("/private/1")
        assert (refused.status, refused.body) == (401, b'{"error": "no key"}')
        assert refused.headers["www-authenticate"] == "Key"
        returned = await chat.refusal("/returns")
        assert (returned.status, returned.body) == (418, b"not here")
        assert (await chat.refusal("/nowhere")).status == 404
        assert (await chat.refusal("/count")).status == 405

    play(scene())


def test_json_and_the_session(chat: Served) -> None:
    with httpx.Client(base_url=chat.url, timeout=WAIT, trust_env=False) as client:
        assert client.post("/count", json=7).status_code == 200
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    async def scene() -> None:
        headers = {"x-key": "k", "cookie": cookie}
        async with chat.connect("/private/3?q=a&q=b", headers=headers) as peer:
            assert await heard(peer) == [3, ["a", "b"], 7]
            await tell(peer, text="é")
            assert await heard(peer) == {"got": {"text": "é"}}

    play(scene())


def test_a_handler_is_cancelled_when_its_client_goes(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/waiting") as peer:
            assert await peer.receive() == "waits"
            peer.abort()
            await chat.said("cancelled")

    play(scene())


def test_a_handler_that_fails_before_accept(chat: Served) -> None:
    async def scene() -> None:
        assert (await chat.refusal("/broken")).status == 500

    play(scene())
    chat.process.stderr.expect("LookupError: before accept")


def test_a_handler_that_ends_and_has_not_closed(chat: Served) -> None:
    """Quart closes for it."""

    async def scene() -> None:
        async with chat.connect("/forgotten") as peer:
            assert await peer.closed() == (1000, "")

    play(scene())
