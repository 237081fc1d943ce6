# SPDX-License-Identifier: MIT
"""`Server.serve` inside loops and threads that are not cuvee's own."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import cuvee
from tests.server import applications
from tests.support.asgi import WAIT
from tests.support.embedded import (
    LoopFactory,
    fetch,
    in_thread,
    make_server,
    port_of,
    run,
    until,
)
from tests.support.server_process import get
from tests.support.web_socket import WebSocketClient, handshake


def test_as_a_task_beside_others(new_loop: LoopFactory) -> None:
    async def main() -> None:
        server = make_server()
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        assert (await fetch(port_of(server))).endswith(b"hello")
        assert server.server_state.total_requests == 1
        server.should_exit = True
        await asyncio.wait_for(task, WAIT)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert server.server_state.total_requests == 1

    run(new_loop, main)


def test_server_state_follows_the_connections_and_requests(new_loop: LoopFactory) -> None:
    async def main() -> None:
        server = make_server(applications.endless, timeout_graceful_shutdown=0)
        assert len(server.server_state.connections) == 0
        assert server.server_state.tasks == set()
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"ready"), WAIT)
        assert len(server.server_state.connections) == 1
        (request,) = server.server_state.tasks
        assert isinstance(request, asyncio.Task)
        server.should_exit = True
        await asyncio.wait_for(task, WAIT)
        assert request.cancelled() or request.done()
        writer.close()

    run(new_loop, main)


def test_in_a_thread_until_another_sets_should_exit(new_loop: LoopFactory) -> None:
    server = make_server()
    before = signal.getsignal(signal.SIGTERM)
    with in_thread(server, lambda: run(new_loop, server.serve)):
        assert signal.getsignal(signal.SIGTERM) is before
        with socket.create_connection(("127.0.0.1", port_of(server)), WAIT) as client:
            assert get(client) == b"hello"
        server.should_exit = True


def test_run_in_a_thread() -> None:
    server = make_server()
    with in_thread(server, server.run):
        with socket.create_connection(("127.0.0.1", port_of(server)), WAIT) as client:
            assert get(client) == b"hello"
        server.should_exit = True


def test_force_exit_from_another_thread_ends_the_wait(new_loop: LoopFactory) -> None:
    server = make_server(applications.endless)
    with (
        in_thread(server, lambda: run(new_loop, server.serve)),
        socket.create_connection(("127.0.0.1", port_of(server)), WAIT) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        client.recv(1)
        server.should_exit = True
        server.force_exit = True


def test_websockets_are_told_and_do_not_hold_a_stop(new_loop: LoopFactory) -> None:
    """One client answers the close; another never does. Nothing is left in the loop, which goes on."""
    server = make_server(applications.web_socket, ws_close_timeout=1)
    left: list[int] = []

    async def main() -> None:
        await server.serve()
        left.append(len(asyncio.all_tasks() - {asyncio.current_task()}))

    with in_thread(server, lambda: run(new_loop, main)):
        address = ("127.0.0.1", port_of(server))
        with WebSocketClient(address) as client, WebSocketClient(address) as silent:
            for each in (client, silent):
                each.open()
                assert each.read_message() == "hello"
            server.should_exit = True
            client.follow_close(1012)
            assert silent.read_close().code == 1012
    assert left == [0]


def test_cancelling_serve_cuts_websockets(new_loop: LoopFactory) -> None:
    async def main() -> None:
        server = make_server(applications.web_socket)
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(handshake())
        await asyncio.wait_for(reader.readuntil(b"\x81\x05hello"), WAIT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, WAIT)
        assert await asyncio.wait_for(reader.read(), WAIT) == b""
        writer.close()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    run(new_loop, main)


def test_sockets_of_the_caller_are_used_and_closed(new_loop: LoopFactory) -> None:
    async def main() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = make_server()
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        assert (await fetch(port)).endswith(b"hello")
        server.should_exit = True
        await asyncio.wait_for(task, WAIT)
        assert listener.fileno() == -1

    run(new_loop, main)


def test_cancelling_serve_stops_the_application_and_closes_everything(
    new_loop: LoopFactory,
) -> None:
    stopped: list[str] = []

    async def stop(scope: applications.Scope) -> None:
        stopped.append("stopped")

    async def main() -> None:
        server = make_server(applications.make(stop=stop))
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        port = port_of(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, WAIT)
        assert stopped == ["stopped"]
        assert await asyncio.wait_for(reader.read(), WAIT) == b""
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    run(new_loop, main)


def test_should_exit_during_startup_still_runs_the_shutdown(new_loop: LoopFactory) -> None:
    seen: list[str] = []

    async def start(scope: applications.Scope) -> None:
        server.should_exit = True
        seen.append("start")

    async def stop(scope: applications.Scope) -> None:
        seen.append("stop")

    server = make_server(applications.make(start=start, stop=stop))
    run(new_loop, lambda: asyncio.wait_for(server.serve(), WAIT))
    assert seen == ["start", "stop"]


def test_failed_start_is_system_exit_3() -> None:
    server = make_server(applications.failing_start, lifespan="on")
    with pytest.raises(SystemExit) as caught:
        server.run()
    assert caught.value.code == 3
    assert not server.started


def test_signal_handlers_are_bound_methods_and_restored() -> None:
    seen: list[Any] = []

    async def start(scope: applications.Scope) -> None:
        seen.extend(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))
        server.should_exit = True

    server = make_server(applications.make(start=start))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server.run()
    assert seen == [server.handle_exit, server.handle_exit]
    assert seen[1].__self__ is server
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_captured_signals_reach_the_former_handlers_last_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    server = make_server()
    with contextlib.ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, lambda number, frame: seen.append(number))
            stack.callback(signal.signal, number, before)
        with server.capture_signals():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert server.should_exit
            assert server.force_exit
            assert seen == []
    assert seen == [signal.SIGINT, signal.SIGTERM]


def test_keyboard_interrupt_reaches_who_calls_server_run() -> None:
    async def start(scope: applications.Scope) -> None:
        signal.raise_signal(signal.SIGINT)

    server = make_server(applications.make(start=start))
    with pytest.raises(KeyboardInterrupt):
        server.run()


@pytest.fixture
def kept_handlers() -> Iterator[None]:
    """What SIGINT does is what it did: a runner's handler is the server's former one, and outlives its run."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("kept_handlers")
def test_in_a_loop_that_runs_in_pieces(new_loop: LoopFactory) -> None:
    """As fixtures of test runners have it: started in one run of the loop, asked in others."""
    server = make_server(applications.make())
    with asyncio.Runner(loop_factory=new_loop) as runner:

        async def start() -> asyncio.Task[None]:
            task = asyncio.create_task(server.serve())
            await until(lambda: server.started)
            return task

        async def stop() -> None:
            server.should_exit = True
            await asyncio.wait_for(task, WAIT)

        task = runner.run(start())
        for _ in range(2):
            assert runner.run(fetch(port_of(server))).endswith(b"hello")
        runner.run(stop())


def test_in_a_cell_of_a_notebook(new_loop: LoopFactory) -> None:
    """The loop runs already, for as long as the kernel does; each cell is a task of its own."""

    async def main() -> None:
        names: dict[str, Any] = {"make_server": make_server, "asyncio": asyncio}
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

        async def cell(source: str) -> None:
            made = eval(compile(source, "cell", "exec", flags=flags), names)
            if made is not None:
                await asyncio.create_task(made)

        await cell("server = make_server()\nserving = asyncio.create_task(server.serve())")
        await until(lambda: names["server"].started)
        assert (await fetch(port_of(names["server"]))).endswith(b"hello")
        await cell("server.should_exit = True\nawait serving")
        with pytest.raises(RuntimeError, match=r"await Server\.serve"):
            await cell("make_server().run()")

    run(new_loop, main)


def test_signal_stops_one_server_after_the_other() -> None:
    async def main() -> None:
        servers = [make_server() for _ in range(3)]
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        await until(lambda: all(server.started for server in servers))
        servers[1].should_exit = True  # out of turn: the third's former handler was its
        await asyncio.wait_for(tasks[1], WAIT)
        assert signal.getsignal(signal.SIGTERM) == servers[2].handle_exit
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*tasks), WAIT)

    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        former = signal.getsignal(signal.SIGTERM)
        run(cuvee.new_event_loop, main)
        assert signal.getsignal(signal.SIGTERM) is former
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_two_servers_in_one_loop(new_loop: LoopFactory) -> None:
    async def main() -> None:
        servers = [make_server(), make_server(applications.with_state)]
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        await until(lambda: all(server.started for server in servers))
        answers = [await fetch(port_of(server)) for server in servers]
        assert answers[0].endswith(b"hello")
        assert not answers[1].endswith(b"hello")
        for server in servers:
            server.should_exit = True
        await asyncio.wait_for(asyncio.gather(*tasks), WAIT)

    run(new_loop, main)


def test_an_idle_server_has_nothing_scheduled() -> None:
    async def main() -> None:
        server = make_server()
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        loop: Any = asyncio.get_running_loop()
        # What start-up has left to do.
        for _ in range(10):
            await asyncio.sleep(0)
        assert not loop._scheduled
        assert not loop._ready
        server.should_exit = True
        await asyncio.wait_for(task, WAIT)

    run(asyncio.SelectorEventLoop, main)


def test_shutdown_of_the_callers_and_then_should_exit(new_loop: LoopFactory) -> None:
    """As fixtures do it that know both: serve() ends all the same."""

    async def main() -> None:
        server = make_server()
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        await server.shutdown()
        server.should_exit = True
        await asyncio.wait_for(task, WAIT)

    run(new_loop, main)


def test_a_server_runs_once_more(new_loop: LoopFactory) -> None:
    server = make_server()
    for _ in range(2):
        server.started = server.should_exit = False
        with in_thread(server, lambda: run(new_loop, server.serve)):
            with socket.create_connection(("127.0.0.1", port_of(server)), WAIT) as client:
                assert get(client) == b"hello"
            server.should_exit = True


def test_a_server_that_was_interrupted_runs_once_more() -> None:
    seen: list[int] = []
    server = make_server()
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))

    async def main() -> None:
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started or task.done())
        assert server.started
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(task, WAIT)

    try:
        for _ in range(2):
            server.started = server.should_exit = False
            run(cuvee.new_event_loop, main)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM] * 2


def test_a_start_that_ignores_its_cancellation_is_not_lost(new_loop: LoopFactory) -> None:
    """It waits for what nobody else has, and asyncio holds tasks weakly."""
    heard: list[str] = []

    async def start(scope: applications.Scope) -> None:
        server.force_exit = True
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("cancelled")
                if len(heard) == 2:
                    raise

    server = make_server(applications.make(start=start))

    async def main() -> None:
        await server.serve()
        await until(lambda: heard == ["cancelled"])
        gc.collect()
        assert len(asyncio.all_tasks()) == 2

    run(new_loop, main)
    assert heard == ["cancelled"] * 2
