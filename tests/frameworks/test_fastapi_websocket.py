# SPDX-License-Identifier: MIT
"""What FastAPI adds to a WebSocket: parameters, dependencies, its exceptions before and after `accept`.

The rooms are in test_chat.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.frameworks.chat_support import Served, heard, play, serve_module, stop_cleanly


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    """The application; one of its handlers fails once, and one ends without a close."""
    with serve_module("fastapi_chat") as process:
        yield Served(process)
        stop_cleanly(process, errors=1)


def test_parameters_and_a_dependency(chat: Served) -> None:
    """The dependency is closed when the WebSocket is, whoever closed it."""

    async def scene() -> None:
        path = "/items/7?q=a&q=b%20c"
        async with chat.connect(path, headers={"user-agent": "me"}) as peer:
            assert await heard(peer) == {
                "number": 7,
                "q": ["a", "b c"],
                "agent": "me",
                "lease": "leased",
            }
            assert not any("lease" in line for line in output)
            await peer.close(1001)
        await chat.said("lease closed")

    assert chat.process.stdout is not None
    output = chat.process.stdout.lines
    play(scene())


def test_an_exception_of_fastapis_behind_accept(chat: Served) -> None:
    async def scene() -> None:
        async with chat.connect("/items/1") as peer:
            await peer.receive()
            await peer.send("enough")
            assert await peer.closed() == (4008, "that was enough")

    play(scene())


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/items/0", ("path", "number")),
        ("/items/seven", ("path", "number")),
        ("/strict", ("query", "token")),
        ("/strict?token=x", ("query", "token")),
    ],
)
def test_bad_parameters_are_refused(chat: Served, path: str, where: tuple[str, str]) -> None:
    """With 403, which is what a close before `accept` is to the client; the handler of the error is told why."""

    async def scene() -> None:
        assert (await chat.refusal(path)).status == 403
        await chat.said(f"invalid: {where}")

    play(scene())


def test_an_exception_in_a_dependency_refuses(chat: Served) -> None:
    async def scene() -> None:
        refused = await chat.refusal("/who")
        assert (refused.status, refused.body) == (403, b"")

    play(scene())


def test_an_http_exception_is_the_answer(chat: Served) -> None:
    """Its status, its fields and its body, in place of a WebSocket."""

    async def scene() -> None:
        refused = await chat.refusal("/paying")
        assert refused.status == 402
        assert refused.headers["x-price"] == "1"
        assert refused.headers["content-type"] == "application/json"
        assert refused.body is not None
        assert json.loads(refused.body) == {"detail": "pay first"}

    play(scene())


def test_a_path_that_is_nowhere(chat: Served) -> None:
    async def scene() -> None:
        assert (await chat.refusal("/nowhere")).status == 403

    play(scene())


def test_a_handler_that_fails_before_accept(chat: Served) -> None:
    async def scene() -> None:
        assert (await chat.refusal("/broken")).status == 500

    play(scene())
    chat.process.stderr.expect("LookupError: before accept")


def test_a_handler_that_ends_and_has_not_closed(chat: Served) -> None:
    """The connection is closed for it."""

    async def scene() -> None:
        async with chat.connect("/forgotten") as peer:
            await peer.closed()

    play(scene())
