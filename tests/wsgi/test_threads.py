# SPDX-License-Identifier: MIT
"""The threads of WSGI applications: how many there are, what they run in, when they end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from cuvee.wsgi import WSGIMiddleware
from cuvee.wsgi.exchange import UNSENT_BYTES
from cuvee.wsgi.threads import Threads
from tests.conftest import Serve
from tests.support.asgi import WAIT, Message, Notes, Receive, Scope, Send
from tests.wsgi.test_environ import scope_of

Environ = dict[str, Any]
Start = Callable[..., Any]
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_so_many_at_a_time_and_the_others_in_their_order(serve_wsgi: Serve, notes: Notes) -> None:
    gate = threading.Semaphore(0)

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        notes.put(environ["PATH_INFO"])
        assert gate.acquire(timeout=WAIT)
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    with serve_wsgi(app, wsgi_threads=2) as server:
        clients = [server.connect() for _ in range(6)]
        try:
            gate.release()
            assert clients[0].ask("/first").status == 200
            assert notes.get() == "/first"
            for number, client in enumerate(clients):
                client.get(f"/{number}")
                server.settle()
            assert {notes.get(), notes.get()} == {"/0", "/1"}
            assert notes.empty()
            for number in range(2, 6):
                gate.release()
                assert notes.get() == f"/{number}"
            gate.release(2)
            names = {client.read_response().body for client in clients}
            assert names == {b"wsgi-1", b"wsgi-2"}
        finally:
            for client in clients:
                client.close()


def test_context_variables_are_those_of_the_request(serve_wsgi: Serve, notes: Notes) -> None:
    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        notes.put(variable.get())
        variable.set("changed")
        start_response("200 OK", [])
        yield b"hello"
        notes.put(variable.get())

    def setup() -> None:
        variable.set("from the start")

    with serve_wsgi(app, setup=setup) as server, server.connect() as client:
        for _ in range(2):
            client.ask()
            assert (notes.get(), notes.get()) == ("from the start", "changed")


def thread_names() -> set[str]:
    """Return the names of this process's WSGI threads."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("wsgi-")}


def test_threads_end_with_their_pool() -> None:
    threads = Threads(2)
    done: SimpleQueue[threading.Thread] = SimpleQueue()
    for _ in range(3):
        threads.submit(lambda: done.put(threading.current_thread()))
    workers = {done.get(timeout=WAIT) for _ in range(3)}
    assert 1 <= len(workers) <= 2
    assert all(worker.daemon for worker in workers)
    del threads
    gc.collect()
    for worker in workers:
        worker.join(WAIT)
        assert not worker.is_alive()


def test_threads_are_started_when_there_is_more_to_do() -> None:
    threads = Threads(10)
    done: SimpleQueue[int] = SimpleQueue()
    for _ in range(3):
        finished = threads._crew.unfinished
        threads.submit(lambda: done.put(threading.get_ident()))
        done.get(timeout=WAIT)
        while threads._crew.unfinished > finished:
            pass
    assert threads._crew.size == 1


def test_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there do all of it; without any, who asked is told."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done: SimpleQueue[str] = SimpleQueue()
    threads = Threads(2)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.submit(lambda: done.put("never"))
    gate = threading.Event()
    threads.submit(lambda: done.put(str(gate.wait(WAIT))))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        threads.submit(lambda: done.put("second"))
    gate.set()
    assert [done.get(timeout=WAIT), done.get(timeout=WAIT)] == ["True", "second"]


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "2"])
def test_a_number_of_threads(workers: Any) -> None:
    with pytest.raises(ValueError, match="workers must be a whole number above 0, not"):
        WSGIMiddleware(lambda environ, start_response: [], workers)


def run(app: Any, receive: Receive, send: Send) -> None:
    """Serve one request without a server."""

    async def main() -> None:
        await WSGIMiddleware(app)(scope_of(), receive, send)

    asyncio.run(main())


async def no_body() -> Message:
    """Receive a body that is empty."""
    return {"type": "http.request", "body": b"", "more_body": False}


def test_a_thread_is_not_far_ahead_of_its_client() -> None:
    """It may work while the last piece is on its way, but not pile up the next ones."""
    made = 0
    piece = b"x" * 1000

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        nonlocal made
        start_response("200 OK", [])
        for _ in range(2000):
            made += len(piece)
            yield piece

    ahead = []
    sent = 0

    async def send(message: Message) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))
        ahead.append(made - sent)
        if len(ahead) % 100 == 0:
            await asyncio.sleep(0.001)  # the thread could run far ahead meanwhile

    run(app, no_body, send)
    assert sent == made == 2_000_000
    assert max(ahead) <= UNSENT_BYTES + 2 * len(piece)


def test_a_server_that_raises_in_send(notes: Notes) -> None:
    """As servers of ASGI 2.4 do when the client is gone: the iterable is closed."""

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield b"tick"
        finally:
            notes.put("closed")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        run(app, no_body, send)
    assert notes.get() == "closed"


def test_a_lifespan_and_a_websocket() -> None:
    """A mounted application, or one under --lifespan on, is in nobody's way."""
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive() -> Message:
        return incoming.pop(0)  # type: ignore[return-value]

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def main() -> None:
        middleware = WSGIMiddleware(lambda environ, start_response: [])
        for kind in ("lifespan", "websocket"):
            scope: Scope = {"type": kind}
            await middleware(scope, receive, send)

    asyncio.run(main())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
