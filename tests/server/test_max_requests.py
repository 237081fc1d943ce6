# SPDX-License-Identifier: MIT
"""--limit-max-requests: the server stops by itself, and loses no request."""

from __future__ import annotations

import threading

import pytest

import cuvee
from tests.conftest import Serve
from tests.server import applications
from tests.support.asgi import WAIT, Notes, Receive, Scope, Send, hello, respond
from tests.support.raw import RawClient
from tests.support.server import LOOPS
from tests.support.server_process import serve_application

TEXT = "Maximum request limit of {} exceeded. Terminating process."
ON_EVERY_LOOP = pytest.mark.parametrize("loop_kind", LOOPS, indirect=True)


@ON_EVERY_LOOP
def test_it_ends_after_so_many(serve: Serve) -> None:
    with serve(hello, limit_max_requests=3) as server, server.connect() as client:
        for _ in range(2):
            assert client.ask().status == 200
        assert not server.server.should_exit
        assert client.ask().status == 200
        client.assert_closed()
        assert server.join() is None
        server.log.expect(TEXT.format(3))
        assert server.server.server_state.total_requests == 3
        assert not server.server.should_exit  # nobody has asked for it


def test_answers_of_the_server_count(serve: Serve) -> None:
    """A 500 that it gives for the application is one, a refused request is none."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    with serve(app, limit_max_requests=1) as server:
        with server.connect() as client:
            client.send(b"hello\r\n\r\n")
            assert client.read_response().status == 400
        assert server.server.server_state.total_requests == 0
        with server.connect() as client:
            assert client.ask().status == 500
        server.log.expect("Exception in ASGI application")
        assert server.join() is None
        server.log.expect(TEXT.format(1))


@ON_EVERY_LOOP
def test_what_is_under_way_is_finished(serve: Serve, notes: Notes) -> None:
    """Requests that came before the end are answered: those that run, and those that wait."""
    gate = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            import asyncio

            notes.put("called")
            await asyncio.to_thread(gate.wait, WAIT)
        await respond(send)

    with serve(app, limit_max_requests=1) as server:
        with server.connect() as slow, server.connect() as quick:
            slow.get("/slow")
            assert notes.get() == "called"
            quick.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 5)
            for _ in range(5):
                assert quick.read_response().status == 200
            quick.assert_closed()
            server.log.expect(TEXT.format(1))
            gate.set()
            answer = slow.read_response()
            assert (answer.status, answer.get(b"connection")) == (200, b"close")
        assert server.join() is None


def test_it_is_told_once(serve: Serve) -> None:
    with serve(hello, limit_max_requests=2) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 10)
        for _ in range(10):
            assert client.read_response().status == 200
        assert server.join() is None
        server.log.expect(TEXT.format(2))
        assert TEXT.format(2) not in server.log.lines()


@pytest.fixture
def jittered() -> list[int]:
    """The limits that many servers choose."""
    config = cuvee.Config(
        applications.hello, limit_max_requests=10, limit_max_requests_jitter=5, log_config=None
    )
    return [cuvee.Server(config).limit_max_requests or 0 for _ in range(500)]


def test_chance_decides_within_the_jitter(jittered: list[int]) -> None:
    assert set(jittered) == {10, 11, 12, 13, 14, 15}


def test_a_server_chooses_once() -> None:
    config = cuvee.Config(
        applications.hello,
        limit_max_requests=1,
        limit_max_requests_jitter=1 << 30,
        log_config=None,
    )
    server = cuvee.Server(config)
    assert server.limit_max_requests == server.limit_max_requests
    assert cuvee.Server(cuvee.Config(applications.hello)).limit_max_requests is None


def test_the_command_ends_well() -> None:
    options = ("--limit-max-requests", "2", "--limit-max-requests-jitter", "0")
    with serve_application("hello", *options) as server:
        with RawClient(("127.0.0.1", server.wait_until_running())) as client:
            assert client.ask().status == client.ask().status == 200
            client.assert_closed()
        assert server.wait() == 0
        lines = server.errors()
        assert f"INFO:     {TEXT.format(2)}" in lines
        assert "INFO:     Application shutdown complete." in lines


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit_max_requests": 0}, "limit_max_requests must be a whole number between 1 and"),
        ({"limit_max_requests_jitter": -1}, "limit_max_requests_jitter must be a whole number"),
        ({"limit_max_requests_jitter": None}, "limit_max_requests_jitter must be a whole number"),
    ],
)
def test_senseless_numbers(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cuvee.Config(applications.hello, **options)  # type: ignore[arg-type]
