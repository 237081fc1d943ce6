# SPDX-License-Identifier: MIT
"""What Starlette has for WebSockets beside the rooms of test_chat.py: denial responses, sessions, authentication,
endpoints that take JSON, mounts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.frameworks.chat_support import Served, heard, play, serve_module, stop_cleanly
from tests.support.asgi import WAIT


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    """The application; the two messages that are not JSON are errors to Starlette."""
    with serve_module("starlette_chat") as process:
        yield Served(process)
        stop_cleanly(process, errors=2)


def test_what_the_scope_says(chat: Served) -> None:
    async def scene() -> None:
        path = "/told/Zo%C3%AB?a=1&b=%26&a=2"
        async with chat.connect(path, headers={"user-agent": "me"}) as peer:
            assert await heard(peer) == {
                "url": f"ws://{chat.address}/told/Zoë?a=1&b=%26&a=2",
                "link": f"ws://{chat.address}/told/you",
                "name": "Zoë",
                "query": [["a", "1"], ["b", "&"], ["a", "2"]],
                "agent": "me",
                "client": "127.0.0.1",
                "version": "1.1",
                "started": "yes",
            }
            assert await peer.closed() == (1001, "")

    play(scene())


def test_a_denial_response(chat: Served) -> None:
    async def scene() -> None:
        refused = await chat.refusal("/denied")
        assert refused.status == 409
        assert refused.headers["retry-after"] == "3"
        assert refused.headers["set-cookie"].startswith("asked=yes;")
        assert refused.body == b'{"error":"no room"}'
        streamed = await chat.refusal("/denied?streamed=yes")
        assert (streamed.status, streamed.body) == (503, b"piece 0\npiece 1\npiece 2\n")

    play(scene())


def test_exceptions(chat: Served) -> None:
    async def scene() -> None:
        refused = await chat.refusal("/raising?when=before")
        assert (refused.status, refused.body) == (410, b"closed for ever")
        async with chat.connect("/raising?when=after") as peer:
            assert await peer.closed() == (4010, "closed for ever")

    play(scene())


def test_json_in_texts_and_in_bytes(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/json") as peer:
            for message in ('{"a": "é"}', '{"a": "é"}'.encode()):
                await peer.send(message)
                assert await peer.receive() == '{"got":{"a":"é"}}'.encode()

    play(scene())


@pytest.mark.parametrize("message", ["{", b"["])
def test_what_is_not_json_closes(chat: Served, message: str | bytes) -> None:
    """Starlette closes, then raises what the server logs."""

    async def scene() -> None:
        async with chat.connect("/json") as peer:
            await peer.send(message)
            assert await peer.closed() == (1003, "")

    play(scene())


def test_a_session_and_a_mounted_route(chat: Served) -> None:
    """The cookie comes from HTTP, on a connection of its own."""
    with httpx.Client(base_url=chat.url, timeout=WAIT, trust_env=False) as client:
        assert [client.get("/count").json() for _ in range(2)] == [1, 2]
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    async def scene() -> None:
        async with chat.connect("/sub/visits", headers={"cookie": cookie}) as peer:
            assert await heard(peer) == [2, "/sub/visits"]
            await peer.send("é")
            assert await peer.receive() == "É"
        await chat.said("no more text")

    play(scene())


def test_a_websocket_on_a_route_of_http_and_the_reverse(chat: Served) -> None:
    async def scene() -> None:
        assert (await chat.refusal("/count")).status == 403

    play(scene())
    with httpx.Client(base_url=chat.url, timeout=WAIT, trust_env=False) as client:
        assert client.get("/who").status_code == 404
        assert json.loads(client.get("/count").content) == 1
