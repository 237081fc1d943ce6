# SPDX-License-Identifier: MIT
"""Hundreds of connections that are ready when the loop looks: everybody has a turn."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, App, Notes, Receive, Scope, Send, respond
from tests.support.raw import RawClient
from tests.support.server import RunningServer, loop_factory

CLIENTS = 300
BATCH = 64
"""Most requests that are started before others have a turn, as csrc/asgi/service.c has it."""
BATCH_TIME = 0.001
"""Seconds after which no more are started, from the same place."""

MORE_ON_STOP = {"cuvee": 0, "asyncio": BATCH, "uvloop": 3 * BATCH}
MORE_ON_EXIT = {"cuvee": 0, "asyncio": 0, "uvloop": 3 * BATCH}
"""What a loop may start after the batch, or the request, in which it was left. A foreign loop can
call the server twice a turn, and uvloop ends the turn after the one in which it was stopped."""


class Flood:
    """The application side: a request to /hold keeps the loop's thread; the others are counted."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.started: list[str] = []
        self.held = threading.Event()
        self.free = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/hold":
            self.held.set()
            assert self.free.wait(WAIT)
        elif path.startswith("/flood/"):
            self.started.append(path)
            await self.app(scope, receive, send)
        await respond(send, path.encode())

    @contextmanager
    def of(self, server: RunningServer) -> Iterator[list[RawClient]]:
        """All clients have sent their requests, and nothing of that was read yet."""
        with ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
            for client in clients:
                client.get("/warm")
            for client in clients:
                assert client.read_response().body == b"/warm"
            with server.connect() as holder:
                holder.get("/hold")
                assert self.held.wait(WAIT)
                for number, client in enumerate(clients):
                    client.get(f"/flood/{number}")
                self.free.set()
                assert holder.read_response().body == b"/hold"
            yield clients


def assert_answered(clients: list[RawClient]) -> None:
    for number, client in enumerate(clients):
        assert client.read_response().body == b"/flood/%d" % number
        assert client.quiet()


@pytest.mark.parametrize("turns", [0, 1])
def test_all_are_answered(serve: Serve, turns: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    flood = Flood(app)
    with serve(flood) as server:
        with flood.of(server) as clients:
            assert_answered(clients)
        assert len(flood.started) == CLIENTS
        assert len(set(flood.started)) == CLIENTS


@pytest.mark.parametrize("what", ["soon", "timer", "thread", "task"])
def test_what_is_due_runs_within_the_flood(serve: Serve, notes: Notes, what: str) -> None:
    """It was scheduled by the first of the handlers, and runs before the last one starts."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if len(flood.started) != 1:
            return
        loop = asyncio.get_running_loop()
        if what == "soon":
            loop.call_soon(report)
        elif what == "timer":
            loop.call_at(loop.time(), report)
        elif what == "thread":
            loop.call_soon_threadsafe(report)
        else:
            tasks.append(loop.create_task(report_in_task()))

    async def report_in_task() -> None:
        await asyncio.sleep(0)
        report()

    def report() -> None:
        notes.put(len(flood.started))

    tasks: list[asyncio.Task[None]] = []
    flood = Flood(app)
    with serve(flood) as server:
        with flood.of(server) as clients:
            assert_answered(clients)
        assert notes.get() < CLIENTS


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 steps among the loop's callbacks")
def test_turns_do_not_grow(serve: Serve) -> None:
    """Events between the turns of a flood do not have the server called more often in later ones."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        until = time.monotonic() + BATCH_TIME
        while time.monotonic() <= until:
            pass
        if len(flood.started) == 1:
            tick(0)

    def tick(before: int) -> None:
        now = len(flood.started)
        in_a_turn.append(now - before)
        other.get("/other")
        if now < CLIENTS:
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time(), tick, now)  # asyncio's timers follow its events

    in_a_turn: list[int] = []
    flood = Flood(app)
    with serve(flood) as server, server.connect() as other:
        with flood.of(server) as clients:
            assert_answered(clients)
        for _ in in_a_turn:
            assert other.read_response().body == b"/other"
    assert sum(in_a_turn) == CLIENTS
    # A foreign loop calls twice a turn, and the first tick is in the middle of one.
    assert max(in_a_turn) <= 4


class StoppedServer(RunningServer):
    """Its loop may be left by an application; it is run again when the test says so."""

    def __init__(self, app: Any, notes: Notes, **options: Any) -> None:
        super().__init__(app, **options)
        self.notes = notes
        self.again = threading.Event()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def _run(self) -> None:
        try:
            loop = self.loop = loop_factory(self.loop_kind)()
            try:
                serving = loop.create_task(self._main())
                try:
                    loop.run_forever()
                    self.notes.put("stopped")
                except SystemExit as error:
                    self.notes.put(error.code)
                assert self.again.wait(WAIT)
                loop.run_until_complete(serving)
            finally:
                loop.close()
        except BaseException as failure:  # reported by __exit__
            self.failure = failure
        finally:
            self._listener.close()


@pytest.mark.parametrize("at", [1, 40, 64, 65, 200])
def test_stop_in_the_middle(loop_kind: str, notes: Notes, at: int) -> None:
    """run_forever returns after the batch at most; who waits is served when the loop runs again."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if len(flood.started) == at:
            asyncio.get_running_loop().stop()

    flood = Flood(app)
    with StoppedServer(flood, notes, loop=loop_kind) as server:
        with flood.of(server) as clients:
            try:
                assert notes.get() == "stopped"
                assert at <= len(flood.started) < at + BATCH + MORE_ON_STOP[loop_kind]
            finally:
                server.again.set()
            assert_answered(clients)
        assert len(set(flood.started)) == len(flood.started) == CLIENTS


@pytest.mark.parametrize("at", [1, 40, 64, 65, 200])
@pytest.mark.parametrize("when", ["before", "after"])
def test_system_exit_in_the_middle(loop_kind: str, notes: Notes, at: int, when: str) -> None:
    """It leaves run_forever at once; everybody else is served when the loop runs again."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if len(flood.started) == at:
            if when == "after":
                await respond(send, scope["path"].encode())
            raise SystemExit(7)

    flood = Flood(app)
    with StoppedServer(flood, notes, loop=loop_kind) as server:
        with flood.of(server) as clients:
            try:
                assert notes.get() == 7
                assert at <= len(flood.started) <= at + MORE_ON_EXIT[loop_kind]
            finally:
                server.again.set()
            victim = int(flood.started[at - 1].rpartition("/")[2])
            for number, client in enumerate(clients):
                response = client.read_response()
                if number != victim or when == "after":
                    assert response.body == b"/flood/%d" % number
                else:
                    assert response.status == 500
        assert len(set(flood.started)) == len(flood.started) == CLIENTS


def test_a_failure_in_the_middle_is_one_answer(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("7"):
            raise RuntimeError("deliberate")

    flood = Flood(app)
    with serve(flood) as server:
        with flood.of(server) as clients:
            for number, client in enumerate(clients):
                failed = number % 10 == 7
                assert client.read_response().status == (500 if failed else 200)
        for _ in range(CLIENTS // 10):
            server.log.expect("Exception in ASGI application")


def test_clients_that_go_in_the_middle(serve: Serve) -> None:
    """Every third one is reset while its request waits to be read."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        number = int(scope["path"].rpartition("/")[2])
        if number == 0:
            for client in everyone[1::3]:
                client.rst()

    everyone: list[RawClient] = []
    flood = Flood(app)
    with serve(flood) as server:
        with ExitStack() as stack:
            held = threading.Event()

            async def hold() -> None:
                held.set()
                assert flood.free.wait(WAIT)

            everyone += [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
            for client in everyone:
                assert client.ask("/warm").status == 200
            assert server.loop is not None
            holding = asyncio.run_coroutine_threadsafe(hold(), server.loop)
            assert held.wait(WAIT)
            for number, client in enumerate(everyone):
                client.get(f"/flood/{number}")
            flood.free.set()
            holding.result(WAIT)
            for number, client in enumerate(everyone):
                if number % 3 != 1:
                    assert client.read_response().body == b"/flood/%d" % number
