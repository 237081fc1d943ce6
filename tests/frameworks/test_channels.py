# SPDX-License-Identifier: MIT
"""Django Channels beside the rooms of test_chat.py: its middleware, a sync consumer, both channel layers."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.frameworks.chat_support import Served, heard, play, serve_module, stop_cleanly, tell
from tests.support.asgi import WAIT
from tests.support.services import MissingError, Redis


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    """The application; a path that is nowhere, and a consumer that fails, are errors in the log."""
    with serve_module("channels_chat") as process:
        yield Served(process)
        stop_cleanly(process, errors=2)


def cookies(client: httpx.Client) -> dict[str, str]:
    """The cookies of a client, as a field."""
    return {"cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


def test_the_session_and_the_user(chat: Served) -> None:
    with httpx.Client(base_url=chat.url, timeout=WAIT, trust_env=False) as client:
        assert [client.get("/count/").json() for _ in range(2)] == [1, 2]
        headers = cookies(client)

    async def scene() -> None:
        async with chat.connect("/visits", headers=headers) as peer:
            assert await heard(peer) == [2, True]
            await tell(peer, a="é")
            assert await heard(peer) == {"got": {"a": "é"}}

    play(scene())


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
def test_another_origin_is_refused(chat: Served, origin: str | None) -> None:
    async def scene() -> None:
        assert (await chat.refusal("/visits", origin=origin)).status == 403

    play(scene())


def test_a_sync_consumer(chat: Served) -> None:
    """It works in a thread, and two of them hear each other."""

    async def scene() -> None:
        async with chat.connect("/thread") as ann, chat.connect("/thread") as bob:
            await tell(ann, n=1)
            for each in (ann, bob):
                assert await heard(each) == {"n": 1}
            await bob.send('"enough"')
            for each in (ann, bob):
                assert await heard(each) == "enough"
                assert await each.closed() == (4008, "that was enough")
        await chat.said("thread left with 4008", nth=2)

    play(scene())


def test_a_group_that_is_spoken_to_by_a_view(chat: Served) -> None:
    async def scene() -> None:
        async with chat.join("ann") as ann:
            async with httpx.AsyncClient(base_url=chat.url, timeout=WAIT, trust_env=False) as http:
                assert (await http.get("/say/")).json() == "said"
            assert await heard(ann) == {"from": "http", "said": "hello"}

    play(scene())


@pytest.mark.parametrize(
    ("path", "error"),
    [("/nowhere", "ValueError: No route found"), ("/broken", "LookupError: before accept")],
)
def test_errors_before_accept(chat: Served, path: str, error: str) -> None:
    """Channels leaves both to the server; a path without a route is an error as well."""

    async def scene() -> None:
        assert (await chat.refusal(path)).status == 500

    play(scene())
    chat.process.stderr.expect(error)


def test_two_processes_by_way_of_redis() -> None:
    """A room in two servers; the layer holds a connection to Redis in each, which their stop must not wait for."""
    try:
        redis = Redis()
    except MissingError as missing:
        pytest.skip(str(missing))

    async def scene(one: Served, other: Served) -> None:
        async with one.join("ann") as ann, other.join("bob", ann) as bob:
            await tell(ann, say="é")
            for each in (ann, bob):
                assert await heard(each) == {"from": "ann", "said": "é"}
            await bob.send(b"\x00\xff")
            for each in (ann, bob):
                assert await each.receive() == b"\x00\xff"
            await bob.close(3000)
            assert await heard(ann) == {"left": "bob", "code": 3000}

    with redis:
        env = {"CHAT_REDIS": f"redis://{redis.host}:{redis.port}"}
        first = serve_module("channels_chat", env=env)
        second = serve_module("channels_chat", "--loop", "asyncio", env=env)
        with first, second:
            play(scene(Served(first), Served(second)))
            for process in (first, second):
                stop_cleanly(process)
