# SPDX-License-Identifier: MIT
"""Requests are real tasks: asyncio's and anyio's tools work in them, contexts stay apart."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Coroutine
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, read_body, respond

PIPELINED = (
    b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
    b"GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
)


def test_current_task_is_a_real_task(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        before = asyncio.current_task()
        assert isinstance(before, asyncio.Task)
        assert not before.done()
        assert asyncio.get_running_loop() is before.get_loop()
        await asyncio.sleep(0)
        assert asyncio.current_task() is before
        assert before in asyncio.all_tasks()
        before.set_name("mine")
        await respond(send)
        assert asyncio.current_task() is before
        notes.put(before)

    with serve(app) as server, server.connect() as client:
        tasks = []
        for _ in range(3):
            assert client.ask().status == 200
            tasks.append(notes.get())
    assert len(set(tasks)) == 3
    assert all(task.done() and task.exception() is None for task in tasks)
    assert {task.get_name() for task in tasks} == {"mine"}


def test_a_waiting_request_can_be_inspected(serve: Serve, notes: Notes) -> None:
    """What asyncio's debugging tools do to a task."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/wait":
            await receive()
            notes.put(asyncio.current_task())
            await receive()
            return
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        texts = []
        for task in tasks:
            task.get_stack()
            texts.append(f"{task!r} {task.get_coro()!r} {task.get_name()!r}")
        notes.put((tasks, texts))
        await respond(send)

    with serve(app) as server, server.connect() as client, server.connect() as other:
        client.get("/wait")
        waiting = notes.get()
        assert other.ask("/").status == 200
        tasks, texts = notes.get()
        assert waiting in tasks
        assert any("app" in text for text in texts)


def test_a_task_factory_is_used(serve: Serve, notes: Notes) -> None:
    class Counted(asyncio.Task[Any]):
        pass

    def factory(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Future[Any]:
        return Counted(coro, loop=loop, **options)

    def setup() -> None:
        asyncio.get_running_loop().set_task_factory(factory)  # type: ignore[arg-type]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(type(asyncio.current_task()))
        await respond(send)

    with serve(app, setup=setup) as server, server.connect() as client:
        assert client.ask().status == 200
        assert notes.get() is Counted


def test_timeout_cancels_and_the_request_answers(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(30)
        except TimeoutError:
            await respond(send, b"late", 504)

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 504
        assert client.ask().status == 504


def test_task_group(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def part(number: int) -> int:
            await asyncio.sleep(0)
            return number

        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(part(number)) for number in range(10)]
        await respond(send, b"%d" % sum(task.result() for task in parts))

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"45"


def test_task_group_that_fails(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def forever() -> None:
            await asyncio.Event().wait()

        async def fail() -> None:
            await asyncio.sleep(0)
            raise LookupError("one of them")

        try:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(forever())
                group.create_task(fail())
        except* LookupError:
            assert waiting.cancelled()
        await respond(send, b"caught")

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"caught"


def test_listening_for_a_disconnect_beside_the_work(serve: Serve, notes: Notes) -> None:
    """The shape of Starlette's StreamingResponse and of Django's handler."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

        async def listen() -> None:
            assert (await receive())["type"] == "http.disconnect"
            notes.put("disconnect")

        async with anyio.create_task_group() as group:

            async def stream() -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for number in range(3):
                    body = b"%d" % number
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    await anyio.sleep(0)
                await send({"type": "http.response.body", "body": b""})
                group.cancel_scope.cancel()

            group.start_soon(stream)
            group.start_soon(listen)

    with serve(app) as server, server.connect() as client:
        for _ in range(20):
            assert client.ask().body == b"012"


def test_anyio_tools(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        with anyio.move_on_after(0.01) as moved:
            await receive()
        assert moved.cancelled_caught
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await anyio.sleep(30)
        event = anyio.Event()
        sender, receiver = anyio.create_memory_object_stream[bytes](1)
        async with anyio.create_task_group() as group, sender, receiver:
            group.start_soon(sender.send, body)
            group.start_soon(event.wait)
            echoed = await receiver.receive()
            event.set()
        name = await anyio.to_thread.run_sync(lambda: threading.current_thread().name)
        assert name != threading.current_thread().name
        with anyio.CancelScope(shield=True):
            await respond(send, echoed)

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            client.request("POST", "/", body=b"through anyio")
            assert client.read_response().body == b"through anyio"


def test_polling_for_a_disconnect(serve: Serve, notes: Notes) -> None:
    """Starlette's is_disconnected(): receive() in a scope that is cancelled already returns a
    message that is there, and loses none that is not."""

    async def poll(receive: Receive) -> Any:
        message = None
        with anyio.CancelScope() as scope:
            scope.cancel()
            message = await receive()
        return message

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await poll(receive))["type"] == "http.request"
        for _ in range(3):
            assert await poll(receive) is None
        notes.put("in")
        while (message := await poll(receive)) is None:
            await asyncio.sleep(0)
        notes.put(message)

    with serve(app) as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.close()
        assert notes.get() == {"type": "http.disconnect"}


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("pipelined", [False, True])
def test_context_variables_stay_in_their_request(
    serve: Serve, notes: Notes, turns: int, pipelined: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(variable.get())
        variable.set(scope["path"])
        for _ in range(turns):
            await asyncio.sleep(0)
        await receive()
        await respond(send, variable.get().encode())
        assert variable.get() == scope["path"]

    with serve(app) as server, server.connect() as client, server.connect() as other:
        if pipelined:
            client.send(PIPELINED)
        for path in ("/1", "/2", "/3"):
            if not pipelined:
                client.get(path)
            assert client.read_response().body == path.encode()
        assert other.ask("/4").body == b"/4"
        assert [notes.get() for _ in range(4)] == ["unset"] * 4


def test_requests_see_the_context_of_serve(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(variable.get())
        variable.set("changed")
        await respond(send)

    def setup() -> None:
        variable.set("from serve")

    with serve(app, setup=setup) as server, server.connect() as client:
        for _ in range(2):
            assert client.ask().status == 200
            assert notes.get() == "from serve"


@pytest.mark.parametrize("pipelined", [False, True])
def test_requests_may_start_without_any_context(
    serve: Serve, notes: Notes, pipelined: bool
) -> None:
    """--reset-contextvars: neither what the server's start has set, nor what other requests set."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put((variable.get(), dict(contextvars.copy_context())))
        variable.set("changed")
        await asyncio.sleep(0)
        assert variable.get() == "changed"
        await respond(send)

    def setup() -> None:
        variable.set("from serve")

    with serve(app, setup=setup, reset_contextvars=True) as server, server.connect() as client:
        if pipelined:
            client.send(PIPELINED)
        for path in ("/1", "/2", "/3"):
            if not pipelined:
                client.get(path)
            assert client.read_response().status == 200
            assert notes.get() == ("unset", {})


def test_a_context_is_whole_across_waits(serve: Serve, notes: Notes) -> None:
    """What a dependency with yield does: set, wait, reset in the same context."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        token = variable.set("mine")
        await read_body(receive)
        await asyncio.sleep(0)
        await respond(send)
        await asyncio.sleep(0)
        variable.reset(token)
        notes.put(variable.get())

    with serve(app) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n", b"a", b"b")
        assert client.read_response().status == 200
        assert notes.get() == "unset"


def test_work_after_the_response_does_not_hold_it_back(serve: Serve, notes: Notes) -> None:
    """Neither the response, nor the next request on the connection."""
    answered = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/second":
            answered.set()
            return await respond(send, b"second")
        await respond(send, b"first")
        await answered.wait()
        notes.put("background done")

    with serve(app) as server, server.connect() as client:
        assert client.ask("/first").body == b"first"
        assert client.ask("/second").body == b"second"
        assert notes.get() == "background done"


def test_work_after_a_pipelined_response(serve: Serve, notes: Notes) -> None:
    answered = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/3":
            answered.set()
        await respond(send, scope["path"].encode())
        await answered.wait()
        notes.put(scope["path"])

    with serve(app) as server, server.connect() as client:
        client.send(PIPELINED)
        assert [client.read_response().body for _ in range(3)] == [b"/1", b"/2", b"/3"]
        assert sorted(notes.get() for _ in range(3)) == ["/1", "/2", "/3"]


@pytest.mark.parametrize("streamed", [False, True])
def test_blocking_work_after_the_response(serve: Serve, notes: Notes, streamed: bool) -> None:
    """A lone response is out before code that blocks the loop behind it."""
    read = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if streamed:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        else:
            await respond(send)
        notes.put(read.wait(10))

    with serve(app) as server, server.connect() as client:
        for _ in range(3):
            assert client.ask().body == b"hello"
            read.set()
            assert notes.get() is True
            read.clear()


def test_a_stream_is_out_before_the_app_goes_on(serve: Serve, notes: Notes) -> None:
    """Body with more to come is written inside send, even if the app blocks the loop next."""
    read = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        notes.put(read.wait(10))
        await send({"type": "http.response.body", "body": b"last"})

    with serve(app) as server, server.connect() as client:
        client.get()
        assert client.read_head().chunked
        assert client.read(10) == b"5\r\nfirst\r\n"
        read.set()
        assert notes.get() is True
        assert client.read(14) == b"4\r\nlast\r\n0\r\n\r\n"


def test_many_requests_wait_at_once(serve: Serve) -> None:
    gate = asyncio.Event()
    waiting = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 100:
            gate.set()
        await gate.wait()
        await respond(send, scope["path"].encode())

    with serve(app) as server:
        clients = [server.connect() for _ in range(100)]
        for number, client in enumerate(clients):
            client.get(f"/{number}")
        for number, client in enumerate(clients):
            assert client.read_response().body == b"/%d" % number
            client.close()


class Token:
    """Something whose end can be seen."""


@pytest.mark.parametrize("how", ["keep", "close", "rst"])
def test_a_finished_request_is_let_go(serve: Serve, notes: Notes, how: str) -> None:
    """Scope, task and frames of a request die with it, not with the connection or its timers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/check":
            await asyncio.sleep(0)
            gc.collect()
            return await respond(send)
        token = Token()
        scope["state"]["token"] = token
        scope["self"] = scope
        notes.put(weakref.ref(token))
        await receive()
        await respond(send)

    with serve(app, timeout_keep_alive=60) as server, server.connect() as client:
        assert client.ask().status == 200
        token = notes.get()
        if how == "close":
            client.close()
        elif how == "rst":
            client.rst()
        with server.connect() as other:
            for _ in range(3):
                assert other.ask("/check").status == 200
        assert token() is None


def test_a_response_is_kept_alive_by_the_server_not_the_app(serve: Serve) -> None:
    """Bodies are freed by the app as soon as send() returns, while the kernel still takes them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        size = 1 << 20
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % (size * 8))],
            }
        )
        for number in range(8):
            await send(
                {
                    "type": "http.response.body",
                    "body": bytes([65 + number]) * size,
                    "more_body": number < 7,
                }
            )

    with serve(app) as server, server.connect(rcvbuf=16384) as client:
        body = client.ask().body
    assert body == b"".join(bytes([65 + number]) * (1 << 20) for number in range(8))
