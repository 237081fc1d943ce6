# SPDX-License-Identifier: MIT
"""Clients that go, by FIN and by RST, at every point of a request."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import App, Notes, Receive, Scope, Send, read_body, respond

WAYS = pytest.mark.parametrize("how", ["fin", "close", "rst"])
DISCONNECT = {"type": "http.disconnect"}
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
UPLOAD = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"


async def till_disconnect(receive: Receive) -> list[Any]:
    """Collect every message up to the disconnect."""
    seen = []
    while True:
        message = await receive()
        seen.append(message)
        if message["type"] == "http.disconnect":
            return seen


async def sends_do_nothing(send: Send) -> None:
    """After the disconnect every message is taken, in silence."""
    await send(dict(START))
    await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def collector(notes: Notes) -> App:
    """An application that reports that it runs, then every message up to the disconnect."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("in")
        notes.put(await till_disconnect(receive))
        for _ in range(2):
            assert await receive() == DISCONNECT
        await sends_do_nothing(send)
        assert await receive() == DISCONNECT
        notes.put("out")

    return app


@WAYS
def test_before_the_body(serve: Serve, notes: Notes, how: str) -> None:
    with serve(collector(notes)) as server, server.connect() as client:
        client.send(UPLOAD % 10)
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == [DISCONNECT]
        assert notes.get() == "out"


@WAYS
def test_within_the_body(serve: Serve, notes: Notes, how: str) -> None:
    got = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(await receive())
        got.set()
        notes.put(await till_disconnect(receive))
        await sends_do_nothing(send)

    with serve(app) as server, server.connect() as client:
        client.send(UPLOAD % 10 + b"12345")
        assert notes.get() == {"type": "http.request", "body": b"12345", "more_body": True}
        client.leave(how)
        assert notes.get() == [DISCONNECT]


@WAYS
def test_within_a_chunk(serve: Serve, notes: Notes, how: str) -> None:
    with serve(collector(notes)) as server, server.connect() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n9\r\nwor"
        )
        assert notes.get() == "in"
        client.leave(how)
        seen = notes.get()
        assert all(m["more_body"] for m in seen[:-1])
        assert b"".join(m["body"] for m in seen[:-1]) in (b"hellowor", b"hello", b"")
        if how == "fin":
            assert b"".join(m["body"] for m in seen[:-1]) == b"hellowor"
        assert notes.get() == "out"


@WAYS
def test_before_the_response(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        notes.put("in")
        notes.put(await till_disconnect(receive))
        await sends_do_nothing(send)
        notes.put("out")

    with serve(app) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == [DISCONNECT]
        assert notes.get() == "out"


@WAYS
def test_after_the_start(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(dict(START))
        notes.put("in")
        notes.put(await till_disconnect(receive))
        await send({"type": "http.response.body", "body": b"late"})

    with serve(app) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == [DISCONNECT]


@WAYS
def test_while_a_listener_waits_beside_a_stream(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listener = asyncio.create_task(till_disconnect(receive))
        await send(dict(START))
        while not listener.done():
            await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
            await asyncio.sleep(0.001)
        notes.put(listener.result())
        await send({"type": "http.response.body", "body": b"last"})

    with serve(app) as server, server.connect() as client:
        client.get()
        client.read_until(b"tick\n")
        client.leave(how)
        assert notes.get() == [DISCONNECT]


@WAYS
def test_an_idle_stream(serve: Serve, notes: Notes, how: str) -> None:
    """Server-sent events with nothing to say: only receive() can tell that the client has gone."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(dict(START))
        await send({"type": "http.response.body", "body": b"event\n", "more_body": True})
        notes.put(await till_disconnect(receive))
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"event\n", "more_body": True})

    with serve(app) as server, server.connect() as client:
        client.get()
        client.read_until(b"event\n")
        client.leave(how)
        assert notes.get() == [DISCONNECT]


@WAYS
def test_a_stream_to_nobody_lets_others_have_their_turns(
    serve: Serve, notes: Notes, how: str
) -> None:
    """An application that never looks goes on sending, and never waits for anything else."""
    over = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/other":
            return await respond(send)
        await send(dict(START))
        while not over.is_set():
            await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
        notes.put("out")

    with serve(app) as server, server.connect() as client:
        client.get()
        client.read_until(b"tick\n")
        client.leave(how)
        try:
            with server.connect() as other:
                for _ in range(3):
                    other.assert_open("/other")
            assert notes.empty()
        finally:
            over.set()
        assert notes.get() == "out"


@WAYS
def test_while_send_waits(serve: Serve, notes: Notes, how: str) -> None:
    """The client does not read; send() waits; then the client goes and send() returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(dict(START))
        listener = asyncio.create_task(till_disconnect(receive))
        piece = b"x" * 65536
        while not listener.done():
            waiting = asyncio.ensure_future(
                send({"type": "http.response.body", "body": piece, "more_body": True})
            )
            done, _ = await asyncio.wait({waiting}, timeout=0.3)
            if not done:
                notes.put("stuck")
                await waiting
                await listener
        notes.put(listener.result())
        for _ in range(3):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        notes.put("out")

    with serve(app) as server, server.connect(rcvbuf=8192) as client:
        client.get()
        assert notes.get() == "stuck"
        client.leave(how)
        assert notes.get() == [DISCONNECT]
        assert notes.get() == "out"


@WAYS
@pytest.mark.parametrize("waiting", [1, 20])
def test_with_pipelined_requests_behind(serve: Serve, notes: Notes, how: str, waiting: int) -> None:
    """The open request hears of it at once, whatever stands behind it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/first":
            await till_disconnect(receive)
            return
        assert (await receive())["type"] == "http.request"
        notes.put("in")
        notes.put(await till_disconnect(receive))
        await sends_do_nothing(send)

    with serve(app) as server, server.connect() as client:
        client.send(
            b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n"
            + b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n" * waiting
        )
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == [DISCONNECT]


@WAYS
def test_with_more_pipelined_than_the_server_reads(serve: Serve, notes: Notes, how: str) -> None:
    """Reading stands still because the input is full: an end that arrives is seen all the same.

    What is sent fits into the server's bounded input and the socket's buffer: a FIN behind more than that stays in the
    client's kernel, where nobody can see it.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/first":
            await till_disconnect(receive)
            return
        assert (await receive())["type"] == "http.request"
        notes.put("in")
        notes.put(await till_disconnect(receive))

    with serve(app) as server, server.connect() as client:
        client.send(b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
        assert notes.get() == "in"
        client.send(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n" * 3_500)
        client.leave(how)
        assert notes.get() == [DISCONNECT]


@WAYS
def test_while_reading_is_paused(serve: Serve, notes: Notes, how: str) -> None:
    """The app has not taken the body; a stuck upload ends; the app's next look says so."""
    gone = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("in")
        while not gone.is_set():
            await asyncio.sleep(0.001)
        notes.put(await till_disconnect(receive))
        await sends_do_nothing(send)

    with serve(app) as server, server.connect() as client:
        client.send(UPLOAD % (1 << 30))
        assert notes.get() == "in"
        assert client.send_until_stuck(b"x" * 65536, 1 << 30) < 1 << 28
        client.leave(how)
        gone.set()
        seen = notes.get()
        assert all(m["more_body"] for m in seen[:-1])


@WAYS
def test_a_waiting_send_hears_of_it_while_reading_is_paused(
    serve: Serve, notes: Notes, how: str
) -> None:
    """Body not taken, response not read: both directions stand still when the client goes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        piece = b"x" * 65536
        notes.put("in")
        while True:
            waiting = asyncio.ensure_future(
                send({"type": "http.response.body", "body": piece, "more_body": True})
            )
            done, _ = await asyncio.wait({waiting}, timeout=0.5)
            if not done:
                break
        notes.put("stuck")
        await waiting
        notes.put("free")
        seen = await till_disconnect(receive)
        notes.put(seen[-1])

    with serve(app) as server, server.connect(rcvbuf=8192) as client:
        client.send(UPLOAD % (1 << 30))
        assert notes.get() == "in"
        if how == "fin":
            client.send(
                b"x" * (1 << 17)
            )  # a FIN behind a stuck upload never leaves the client's kernel
        else:
            client.send_until_stuck(b"x" * 65536, 1 << 30, patience=0.3)
        assert notes.get() == "stuck"
        client.leave(how)
        assert notes.get() == "free"
        assert notes.get() == DISCONNECT


def test_a_complete_request_followed_by_a_fin_reaches_the_app(serve: Serve, notes: Notes) -> None:
    """The head came before the end of input, so it is given to the app; then the end is told."""
    with serve(collector(notes)) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.fin()
        assert notes.get() == "in"
        seen = notes.get()
        assert seen[-1] == DISCONNECT
        assert [m["type"] for m in seen[:-1]] in (["http.request"], [])
        assert notes.get() == "out"


@WAYS
def test_within_the_head(serve: Serve, notes: Notes, how: str) -> None:
    """Nothing reaches the app, nothing is logged, the next client is served."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope["path"])
        await respond(send)

    with serve(app) as server:
        with server.connect() as client:
            client.send(b"GET /half HTTP/1.1\r\nHo")
            client.leave(how)
            with server.connect() as other:
                other.assert_open("/whole")
            if how == "fin":
                client.assert_closed()
        assert notes.get() == "/whole"
    assert notes.empty()
    assert not [line for line in server.log.lines() if "Exception" in line]


@WAYS
def test_between_requests(serve: Serve, notes: Notes, how: str) -> None:
    with serve(collector(notes)) as server, server.connect() as client, server.connect() as idle:
        idle.leave(how)
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get()[-1] == DISCONNECT


@WAYS
def test_the_task_is_not_cancelled(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("in")
        await till_disconnect(receive)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        notes.put(task.cancelling())
        await asyncio.sleep(0.01)
        notes.put("went on")

    with serve(app) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == 0
        assert notes.get() == "went on"


class Token:
    """Something whose end can be seen."""


@WAYS
@pytest.mark.parametrize("point", ["body", "response", "stream"])
@pytest.mark.parametrize("policy", ["notify", "cancel"])
def test_nothing_is_left(serve: Serve, notes: Notes, how: str, point: str, policy: str) -> None:
    """The request's objects are gone once its task has ended, and wait for no keep-alive time."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/check":
            await asyncio.sleep(0)
            gc.collect()
            return await respond(send)
        token = Token()
        scope["state"]["token"] = token
        listener = asyncio.create_task(till_disconnect(receive))
        await asyncio.sleep(0)
        if point == "stream":
            await send(dict(START))
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        notes.put(weakref.ref(token))
        try:
            await listener
        finally:
            notes.put("out")

    with (
        serve(app, timeout_keep_alive=60, on_disconnect=policy) as server,
        server.connect() as client,
    ):
        client.send(UPLOAD % (10 if point == "body" else 0))
        token = notes.get()
        client.leave(how)
        assert notes.get() == "out"
        with server.connect() as other:
            for _ in range(3):
                other.assert_open("/check")
        assert token() is None


@WAYS
def test_many_clients_go_at_once(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        notes.put("in")
        notes.put((await till_disconnect(receive))[-1])

    with serve(app) as server:
        clients = [server.connect() for _ in range(50)]
        for client in clients:
            client.get()
        assert [notes.get() for _ in clients] == ["in"] * 50
        for client in clients:
            client.leave(how)
        assert [notes.get() for _ in clients] == [DISCONNECT] * 50
        for client in clients:
            client.close()


# ---- half-closed connections ------------------------------------------------------------------


class Held:
    """An application that takes nothing and answers nothing before its gate is open."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the size of the body, in so many digits as the path says."""
        self.notes.put("in")
        await self.gate.wait()
        width = int(scope["path"][1:] or "1")
        await respond(send, b"%0*d" % (width, len(await read_body(receive))))


@pytest.mark.parametrize("policy", ["notify", "cancel"])
@pytest.mark.parametrize("size", [0, 10, 120_000])
def test_a_client_that_ends_its_side_may_be_answered(
    serve: Serve, notes: Notes, size: int, policy: str
) -> None:
    """Also where most of the body is still in the kernel, since reading is paused."""
    app = Held(notes)
    options: dict[str, Any] = {
        "half_close": True,
        "limit_read_buffer": 1000,
        "on_disconnect": policy,
    }
    with serve(app, **options) as server, server.connect() as client:
        client.send(UPLOAD % size + b"x" * size)
        assert notes.get() == "in"
        client.fin()
        server.settle()
        assert server.loop is not None
        server.loop.call_soon_threadsafe(app.gate.set)
        assert client.read_response().body == b"%d" % size
        client.assert_closed()


@pytest.mark.parametrize("mark", [1000, 65536])
def test_all_that_was_sent_before_the_end_is_answered(
    serve: Serve, notes: Notes, mark: int
) -> None:
    """More pipelined requests than the server reads at a time, and more answers than it may queue."""
    app = Held(notes)
    options: dict[str, Any] = {"half_close": True, "limit_read_buffer": mark}
    with serve(app, **options) as server, server.connect(rcvbuf=4096) as client:
        client.send(b"GET /4000 HTTP/1.1\r\nHost: h\r\n\r\n" * 3_500)
        client.fin()
        assert notes.get() == "in"
        server.settle()
        assert server.loop is not None
        server.loop.call_soon_threadsafe(app.gate.set)
        assert client.read_to_end().count(b"HTTP/1.1 200") == 3_500


def test_half_a_request_is_not_waited_for(serve: Serve, notes: Notes) -> None:
    with serve(collector(notes), half_close=True) as server, server.connect() as client:
        client.send(UPLOAD % 10 + b"12345")
        assert notes.get() == "in"
        client.fin()
        seen = notes.get()
        assert seen[-1] == DISCONNECT
        assert notes.get() == "out"


@pytest.mark.parametrize("how", ["close", "rst"])
def test_who_leaves_is_still_noticed(serve: Serve, notes: Notes, how: str) -> None:
    """A reset at once, a close by the first bytes that nobody takes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listener = asyncio.create_task(till_disconnect(receive))
        await send(dict(START))
        notes.put("in")
        while not listener.done():
            await send({"type": "http.response.body", "body": b"tick", "more_body": True})
            await asyncio.sleep(0)
        notes.put(listener.result())

    with serve(app, half_close=True) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == [DISCONNECT]


@pytest.mark.skipif(sys.platform != "linux", reason="kqueue tells of it by the next write only")
@pytest.mark.parametrize("bind", ["127.0.0.1", "unix"])
def test_a_reset_behind_the_end_of_input_is_noticed(serve: Serve, notes: Notes, bind: str) -> None:
    """Also while nothing is written; where there is no reset, a close."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("in")
        notes.put(await till_disconnect(receive))

    with serve(app, half_close=True, bind=bind) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.fin()
        server.settle()
        assert notes.empty()
        client.rst()
        assert notes.get()[-1] == DISCONNECT


def test_part_of_a_request_behind_a_large_answer_is_not_waited_for(serve: Serve) -> None:
    """The connection closes behind the answer, and says nothing of the rest."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x" * 20_000_000)

    with (
        serve(app, half_close=True, timeout_head=0) as server,
        server.connect(rcvbuf=65536) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HT")
        client.fin()
        assert len(client.read_response().body) == 20_000_000
        client.assert_closed()


def test_a_server_that_only_waits_for_an_answer_rests(serve: Serve, notes: Notes) -> None:
    """It stops, its last client has ended what it sends, and the application takes its time."""
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        notes.put("in")
        await go_on.wait()
        calls = 0
        call_soon = loop.call_soon

        def counting(*args: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            return call_soon(*args, **keywords)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_soon", counting)
            await asyncio.sleep(0.1)
        notes.put(calls)
        await respond(send)

    if serve.keywords["loop"] == "uvloop":  # type: ignore[attr-defined]
        pytest.skip("attributes of uvloop's loop cannot be replaced")
    with serve(app, half_close=True) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.fin()
        server.settle()
        server.server.should_exit = True
        assert server.loop is not None
        server.loop.call_soon_threadsafe(go_on.set)
        assert notes.get() < 20
        assert client.read_response().status == 200
