# SPDX-License-Identifier: MIT
"""Applications that fail, return too early or return too much."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import traceback
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import App, Notes, Receive, Scope, Send, respond
from tests.support.collection import collection_at
from tests.support.raw import Response
from tests.support.server import LOGGER, RunningServer, traceback_text

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


class Deliberate(Exception):
    """What the applications here fail with."""


def assert_internal_server_error(response: Response) -> None:
    """The 500 that stands in for a response that never began."""
    assert response.status == 500
    assert response.reason == b"Internal Server Error"
    assert response.body == b"Internal Server Error"
    assert response.get(b"content-type") == b"text/plain; charset=utf-8"
    assert response.get(b"content-length") == b"21"
    assert response.get(b"connection") == b"close"
    assert response.get(b"date") is not None
    assert response.get(b"server") is not None
    assert len(response.headers) == 5


async def fail_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before anything else."""
    raise Deliberate("at once")


async def fail_after_a_turn(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail in a later turn of the loop."""
    await asyncio.sleep(0)
    raise Deliberate("a turn later")


async def fail_after_receive(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail with the body taken."""
    await receive()
    raise Deliberate("after receive")


class FailInCall:
    """Fails in the call itself, before there is a coroutine."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Fail."""
        raise Deliberate("in the call")


async def run_in_task(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail through a TaskGroup."""
    async with asyncio.TaskGroup() as group:
        group.create_task(fail_at_once(scope, receive, send))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "app",
    [fail_at_once, fail_after_a_turn, fail_after_receive, run_in_task],
    ids=lambda a: a.__name__,
)
def test_failure_before_the_start(serve: Serve, app: App) -> None:
    with serve(app) as server:
        for method in ("GET", "POST"):
            with server.connect() as client:
                client.request(method, "/", body=b"abc" if method == "POST" else None)
                assert_internal_server_error(client.read_response())
                client.assert_closed()
            record = server.log.expect("Exception in ASGI application", logging.ERROR)
            assert record.getMessage() == "Exception in ASGI application\n"
            assert record.exc_info and record.exc_info[1] is not None


def test_failure_in_the_call_itself(serve: Serve) -> None:
    async def lifted(scope: Scope, receive: Receive, send: Send) -> None:
        await FailInCall()(scope, receive, send)

    with serve(lifted) as server, server.connect() as client:
        assert_internal_server_error(client.ask())
        server.log.expect("Exception in ASGI application")


def test_the_traceback_has_no_server_frames(serve: Serve) -> None:
    async def inner() -> None:
        raise Deliberate("look here")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await inner()

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 500
        record = server.log.expect("Exception in ASGI application", logging.ERROR)
    assert record.exc_info and record.exc_info[0] is Deliberate
    frames = traceback.extract_tb(record.exc_info[2])
    assert [frame.name for frame in frames] == ["app", "inner"]
    text = traceback_text(record)
    assert text.rstrip().endswith("Deliberate: look here")
    assert "/cuvee/" not in text.replace(__file__, "")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_failure_before_the_start_of_a_head_response(serve: Serve, method: str) -> None:
    with serve(fail_at_once) as server, server.connect() as client:
        client.request(method, "/")
        response = client.read_response(method)
        assert response.status == 500
        client.assert_closed()
        server.log.expect("Exception in ASGI application")


def test_failure_after_the_start(serve: Serve) -> None:
    """The head may go out or not; what must not come is an end that looks complete."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        raise Deliberate("after the start")

    with serve(app) as server, server.connect() as client:
        client.get()
        raw = client.read_to_end()
        server.log.expect("Exception in ASGI application", logging.ERROR)
    assert b"Internal Server Error" not in raw
    assert b"0\r\n\r\n" not in raw
    assert b"content-length: 0\r\n" not in raw


def test_failure_while_streaming(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise Deliberate("while streaming")

    with serve(app) as server, server.connect() as client:
        client.get()
        response = client.read_head()
        assert response.status == 200 and response.chunked
        assert client.read_to_end() == b"4\r\npart\r\n"
        server.log.expect("Exception in ASGI application", logging.ERROR)


@pytest.mark.parametrize("how", ["raise", "return", "close", "abort", "complete"])
def test_a_body_that_only_the_end_of_the_connection_ends(serve: Serve, how: str) -> None:
    """The client of a part of it must not take that for the whole."""
    servers: list[RunningServer] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        if how == "raise":
            raise Deliberate("while streaming")
        if how == "complete":
            await send({"type": "http.response.body", "body": b""})
        elif how != "return":
            (connection,) = servers[0].server.server_state.connections
            getattr(connection, how)()

    with serve(app) as server, server.connect() as client:
        servers.append(server)
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        client.read_to_end()
        assert client.reset == (how != "complete")
        if how == "raise":
            server.log.expect("Exception in ASGI application", logging.ERROR)
        elif how == "return":
            server.log.expect("ASGI callable returned without completing response.")


def test_failure_within_a_counted_body(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise Deliberate("in a counted body")

    with serve(app) as server, server.connect() as client:
        client.get()
        assert client.read_head().get(b"content-length") == b"10"
        assert client.read_to_end() == b"part"
        server.log.expect("Exception in ASGI application", logging.ERROR)


def test_failure_after_the_complete_response(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)
        raise Deliberate("too late to matter")

    with serve(app) as server, server.connect() as client:
        response = client.ask()
        assert (response.status, response.body) == (200, b"hello")
        server.log.expect("Exception in ASGI application", logging.ERROR)


def test_failure_after_the_client_has_gone(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        notes.put("in")
        assert (await receive())["type"] == "http.disconnect"
        notes.put("out")
        raise Deliberate("nobody is there")

    with serve(app) as server:
        with server.connect() as client:
            client.get()
            assert notes.get() == "in"
        assert notes.get() == "out"
        server.log.expect("Exception in ASGI application", logging.ERROR)


def test_return_without_a_start(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    with serve(app) as server, server.connect() as client:
        assert_internal_server_error(client.ask())
        client.assert_closed()
        record = server.log.expect("ASGI callable returned without starting response.")
        assert record.levelno == logging.ERROR


def test_return_without_completion(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await send({"type": "http.response.body", "body": b"part", "more_body": True})

    with serve(app) as server, server.connect() as client:
        client.get()
        assert client.read_head().chunked
        assert client.read_to_end() == b"4\r\npart\r\n"
        record = server.log.expect("ASGI callable returned without completing response.")
        assert record.levelno == logging.ERROR


def test_return_with_only_the_start(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))

    with serve(app) as server, server.connect() as client:
        client.get()
        raw = client.read_to_end()
        assert b"0\r\n\r\n" not in raw and b"content-length: 0" not in raw
        server.log.expect("ASGI callable returned without completing response.")


def test_return_of_something(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> Any:
        await respond(send)
        return 42

    with serve(app) as server, server.connect() as client:
        for _ in range(2):  # the answer was complete: the connection is as good as before
            assert client.ask().body == b"hello"
            record = server.log.expect("ASGI callable should return None, but returned '42'.")
            assert record.levelno == logging.ERROR


@pytest.mark.parametrize("streaming", [False, True])
def test_a_silent_return_after_the_client_has_gone(
    serve: Serve, notes: Notes, streaming: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if streaming:
            await send(dict(START))
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        notes.put("in")
        assert (await receive())["type"] == "http.disconnect"
        notes.put("out")

    with serve(app) as server:
        with server.connect() as client:
            client.get()
            assert notes.get() == "in"
        assert notes.get() == "out"
    assert not [line for line in server.log.lines() if "ASGI callable" in line]


def test_an_app_that_cancels_itself(serve: Serve) -> None:
    """Nobody else asked for it, so the client gets an answer and the log a line."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(10)

    with serve(app) as server, server.connect() as client:
        assert_internal_server_error(client.ask())
        server.log.expect("Exception in ASGI application")


def test_other_requests_go_on_after_a_failure(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/fail":
            raise Deliberate("one of two")
        await respond(send)

    with serve(app) as server, server.connect() as client, server.connect() as other:
        other.assert_open()
        assert client.ask("/fail").status == 500
        other.assert_open()
        server.log.expect("Exception in ASGI application")


def test_a_pipelined_request_behind_a_failure_is_not_answered(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope["path"])
        raise Deliberate("before the second")

    with serve(app) as server, server.connect() as client:
        client.send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert_internal_server_error(client.read_response())
        client.assert_closed()
        server.log.expect("Exception in ASGI application")
        assert notes.get() == "/1"
    assert notes.empty()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("turns", [0, 1])
def test_system_exit_leaves_the_loop(serve: Serve, kind: type[BaseException], turns: int) -> None:
    """As from any other task: run() raises it at once."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise kind(7)

    with serve(app) as server:
        with server.connect() as client:
            client.get()
            failure = server.join()
            assert type(failure) is kind
            assert failure.args == (7,)
        server.log.lines()
        server.leftover.clear()


word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="unset")


async def fail_with_a_word(scope: Scope, receive: Receive, send: Send) -> None:
    """Set a context variable and fail, in the first step or behind it."""
    word.set(scope["path"])
    if scope["path"] == "/later":
        await asyncio.sleep(0)
    raise Deliberate


async def return_with_a_word(scope: Scope, receive: Receive, send: Send) -> None:
    """Set a context variable and answer nothing."""
    word.set(scope["path"])
    if scope["path"] == "/later":
        await asyncio.sleep(0)


@pytest.mark.parametrize("app", [fail_with_a_word, return_with_a_word])
def test_what_is_logged_of_a_request_is_logged_in_its_context(
    serve: Serve, notes: Notes, app: App
) -> None:
    """As programs expect that put the id of a request into each line, and tools like Sentry."""

    def note(record: logging.LogRecord) -> bool:
        if record.levelno == logging.ERROR:
            notes.put(word.get())
        return True

    logger = logging.getLogger(LOGGER)
    logger.addFilter(note)
    try:
        with serve(app) as server:
            for path in ("/at-once", "/later"):
                with server.connect() as client:
                    assert client.ask(path).status == 500
                assert notes.get() == path
                server.log.expect("ASGI", logging.ERROR)
    finally:
        logger.removeFilter(note)


@pytest.mark.parametrize("allocation", range(1, 13))
def test_a_finalizer_that_closes_what_is_looked_at(
    serve: Serve, notes: Notes, allocation: int
) -> None:
    """The list of connections is made while they go."""
    servers: list[RunningServer] = []

    def listed() -> list[Any]:
        return list(servers[0].server.server_state.connections)

    def abort_all() -> None:
        for connection in listed():
            connection.abort()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with collection_at(allocation, abort_all):
            clients = [connection.client for connection in listed()]
        notes.put(clients)
        await respond(send)

    with serve(app) as server, server.connect() as other, server.connect() as client:
        servers.append(server)
        server.settle()
        client.get()
        peers = [one.sock.getsockname()[:2] for one in (other, client)]
        assert all(who is None or who in peers for who in notes.get())
