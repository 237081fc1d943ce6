# SPDX-License-Identifier: MIT
"""What receive() returns, and when."""

from __future__ import annotations

import asyncio
import collections.abc
import hashlib
import inspect
import threading
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, read_body, respond
from tests.support.raw import RawClient


def start_upload(client: RawClient, length: int, first: bytes = b"") -> None:
    """Send a request head with a content-length, and the first bytes of its body."""
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length + first)


def test_a_request_without_a_body(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(await receive())
        await respond(send)

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 200
        message = notes.get()
    assert message == {"type": "http.request", "body": b"", "more_body": False}
    assert type(message) is dict and type(message["body"]) is bytes
    assert message["more_body"] is False


def test_a_body_that_came_with_its_head(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(await read_body(receive))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        client.request("POST", "/", body=b"all of it")
        assert client.read_response().status == 200
        assert notes.get() == b"all of it"


def test_a_body_in_pieces(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            notes.put(message)
            if not message["more_body"]:
                return await respond(send)

    with serve(app) as server, server.connect() as client:
        start_upload(client, 9, b"one")
        assert notes.get() == {"type": "http.request", "body": b"one", "more_body": True}
        client.send(b"two")
        assert notes.get() == {"type": "http.request", "body": b"two", "more_body": True}
        client.send(b"end")
        seen, last = b"", None
        while last is None or last["more_body"]:
            last = notes.get()
            seen += last["body"]
        assert seen == b"end"
        assert client.read_response().status == 200


def test_a_chunked_body(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(await read_body(receive))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"5\r\nhello\r\n", b"A;ext=1\r\n0123456789\r\n", b"0\r\n\r\n")
        assert client.read_response().status == 200
        assert notes.get() == b"hello0123456789"
        client.assert_open()


def test_disconnect_follows_the_complete_response_and_repeats(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(await receive())
        await respond(send)
        for _ in range(3):
            notes.put(await receive())

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 200
        assert notes.get()["type"] == "http.request"
        for _ in range(3):
            assert notes.get() == {"type": "http.disconnect"}


def test_receive_after_the_body_waits_for_the_response(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        waiting = asyncio.create_task(receive())  # type: ignore[arg-type]
        for _ in range(5):
            await asyncio.sleep(0)
        notes.put(waiting.done())
        await respond(send)
        notes.put(await waiting)

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 200
        assert notes.get() is False
        assert notes.get() == {"type": "http.disconnect"}


def test_a_response_before_the_body_was_received(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)
        notes.put(await receive())

    with serve(app) as server, server.connect() as client:
        start_upload(client, 5)
        assert client.read_response().status == 200
        assert notes.get() == {"type": "http.disconnect"}


def test_what_receive_and_send_return(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ready: Any = receive()
        for kind in (collections.abc.Coroutine, collections.abc.Awaitable):
            assert isinstance(ready, kind)
        assert inspect.isawaitable(ready)
        assert asyncio.iscoroutine(ready)
        assert (await ready)["type"] == "http.request"
        waiting: Any = receive()
        assert isinstance(waiting, collections.abc.Coroutine)
        assert asyncio.iscoroutine(waiting)
        waiting.close()
        sending: Any = send({"type": "http.response.start", "status": 200, "headers": []})
        assert isinstance(sending, collections.abc.Coroutine)
        assert asyncio.iscoroutine(sending)
        assert await sending is None
        assert await send({"type": "http.response.body", "body": b"ok"}) is None  # type: ignore[func-returns-value]
        notes.put("done")

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"ok"
        assert notes.get() == "done"


def test_create_task_of_receive(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.create_task(receive())  # type: ignore[arg-type]
        notes.put("waiting")
        notes.put(await task)
        await respond(send)

    with serve(app) as server, server.connect() as client:
        start_upload(client, 3)
        assert notes.get() == "waiting"
        client.send(b"abc")
        assert notes.get() == {"type": "http.request", "body": b"abc", "more_body": False}
        assert client.read_response().status == 200


def test_wait_for_receive_that_has_a_message(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(await asyncio.wait_for(receive(), 10))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 200
        assert notes.get()["type"] == "http.request"


def test_wait_for_times_out_and_loses_nothing(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
        notes.put("timed out")
        notes.put(await read_body(receive))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        start_upload(client, 3)
        assert notes.get() == "timed out"
        client.send(b"abc")
        assert notes.get() == b"abc"
        assert client.read_response().status == 200


def test_wait_for_zero(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0)
        notes.put("timed out")
        notes.put(await read_body(receive))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        start_upload(client, 3)
        assert notes.get() == "timed out"
        client.send(b"abc")
        assert notes.get() == b"abc"
        assert client.read_response().status == 200


def test_asyncio_timeout_around_receive(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await receive()
        notes.put("timed out")
        async with asyncio.timeout(10):
            notes.put(await read_body(receive))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        start_upload(client, 3)
        assert notes.get() == "timed out"
        client.send(b"abc")
        assert notes.get() == b"abc"
        assert client.read_response().status == 200


@pytest.mark.parametrize("turns", range(6))
def test_cancelling_a_waiting_receive_loses_no_message(
    serve: Serve, notes: Notes, turns: int
) -> None:
    """The body arrives while the loop is held up, then the task is cancelled `turns` turns later:
    somewhere among them its future is done and the task has not run yet."""
    sent = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.create_task(receive())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        notes.put("waiting")
        assert sent.wait(10)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            message = await task
        except asyncio.CancelledError:
            message = await receive()
        notes.put(message)
        await respond(send)

    with serve(app) as server, server.connect() as client:
        start_upload(client, 3)
        assert notes.get() == "waiting"
        client.send(b"abc")
        sent.set()
        assert notes.get() == {"type": "http.request", "body": b"abc", "more_body": False}
        assert client.read_response().status == 200


@pytest.mark.parametrize("turns", range(6))
def test_cancelling_a_waiting_receive_loses_no_disconnect(
    serve: Serve, notes: Notes, turns: int
) -> None:
    gone = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        task = asyncio.create_task(receive())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        notes.put("waiting")
        assert gone.wait(10)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            message = await task
        except asyncio.CancelledError:
            message = await receive()
        notes.put(message)

    with serve(app) as server, server.connect() as client:
        client.get("/")
        assert notes.get() == "waiting"
        client.rst()
        gone.set()
        assert notes.get() == {"type": "http.disconnect"}


def test_an_abandoned_receive_loses_no_message(serve: Serve, notes: Notes) -> None:
    """What receive() returned is thrown away before it ran, or while it waits."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        never_run: Any = receive()
        never_run.close()
        waiting: Any = receive()
        future = waiting.send(None)
        future.remove_done_callback(lambda _: None)
        waiting.close()
        notes.put("abandoned")
        notes.put(await read_body(receive))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        start_upload(client, 3)
        assert notes.get() == "abandoned"
        client.send(b"abc")
        assert notes.get() == b"abc"
        assert client.read_response().status == 200


def test_two_waiting_receives_share_the_messages(serve: Serve, notes: Notes) -> None:
    """Each message goes to one of them; at the end both see the disconnect."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def collect() -> list[Any]:
            seen = []
            while True:
                message = await receive()
                seen.append(message)
                if message["type"] == "http.disconnect":
                    return seen
                notes.put(message["body"])

        first = asyncio.create_task(collect())
        second = asyncio.create_task(collect())
        await asyncio.sleep(0)
        notes.put("waiting")
        one, two = await asyncio.gather(first, second)
        notes.put((one, two))

    with serve(app) as server, server.connect() as client:
        start_upload(client, 4, b"ab")
        assert {notes.get(), notes.get()} == {"waiting", b"ab"}
        client.send(b"cd")
        assert notes.get() == b"cd"
        client.fin()
        one, two = notes.get()
    assert one[-1] == two[-1] == {"type": "http.disconnect"}
    bodies = [m["body"] for m in one + two if m["type"] == "http.request"]
    assert sorted(b"".join(bodies)) == sorted(b"abcd")


def test_a_large_body_is_delivered_whole_and_in_bounded_pieces(serve: Serve, notes: Notes) -> None:
    body = bytes(range(256)) * 4096 * 4

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen = hashlib.sha256()
        largest = 0
        while True:
            message = await receive()
            seen.update(message["body"])
            largest = max(largest, len(message["body"]))
            await asyncio.sleep(0)
            if not message["more_body"]:
                break
        notes.put((seen.hexdigest(), largest))
        await respond(send)

    with serve(app) as server, server.connect() as client:
        client.request("POST", "/", body=body)
        assert client.read_response().status == 200
        digest, largest = notes.get()
    assert digest == hashlib.sha256(body).hexdigest()
    assert largest <= 3 * 65536


def test_an_app_may_receive_without_end_after_disconnect(serve: Serve, notes: Notes) -> None:
    """A loop over receive() that never ends by itself must not lock the others out."""
    done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/other":
            return await respond(send)
        await respond(send)
        count = 0
        while not done.is_set():
            message = await receive()
            assert message["type"] in ("http.request", "http.disconnect")
            count += 1
            await asyncio.sleep(0)
        notes.put(count)

    with serve(app) as server, server.connect() as client, server.connect() as other:
        assert client.ask("/").status == 200
        assert other.ask("/other").status == 200
        done.set()
        assert notes.get() > 0
