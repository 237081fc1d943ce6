# SPDX-License-Identifier: MIT
"""What subclasses, patches and programs around a server may change of it, and what they may ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import cuvee
from cuvee import _core
from cuvee.server import Server
from tests.server import applications
from tests.support.asgi import WAIT
from tests.support.embedded import LoopFactory, fetch, make_server, port_of, run, until
from tests.support.server_process import serve_application

GET = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"


def config(app: Any = applications.hello, **options: Any) -> cuvee.Config:
    """Return the options of a server on a free port."""
    return cuvee.Config(app, **({"port": 0, "log_config": None} | options))


async def stop(server: Server, task: asyncio.Task[None]) -> None:
    """Stop a server and wait for its end."""
    server.should_exit = True
    await asyncio.wait_for(task, WAIT)


async def start(server: Server) -> asyncio.Task[None]:
    """Start a server and wait until it listens."""
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    return task


# ---- ticks ------------------------------------------------------------------------------------


class Ticking(Server):
    """Counts its ticks."""

    def __init__(self, config: cuvee.Config) -> None:
        super().__init__(config)
        self.ticks: list[int] = []

    async def on_tick(self, counter: int) -> bool:
        self.ticks.append(counter)
        return await super().on_tick(counter)


def test_on_tick_of_a_subclass_is_called_again_and_again(new_loop: LoopFactory) -> None:
    async def main() -> None:
        server = Ticking(config())
        task = await start(server)
        await until(lambda: len(server.ticks) >= 3)
        await stop(server, task)
        assert server.ticks[:3] == [0, 1, 2]

    run(new_loop, main)


def test_on_tick_that_returns_true_ends_the_server() -> None:
    class Once(Server):
        async def on_tick(self, counter: int) -> bool:
            return counter == 1

    async def main() -> None:
        server = Once(config())
        await asyncio.wait_for(server.serve(), WAIT)
        assert server.started

    run(cuvee.new_event_loop, main)


def test_on_tick_of_one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        server = make_server()
        ticks: list[int] = []

        async def on_tick(counter: int) -> bool:
            ticks.append(counter)
            return len(ticks) == 2

        monkeypatch.setattr(server, "on_tick", on_tick)
        await asyncio.wait_for(server.serve(), WAIT)
        assert ticks == [0, 1]

    run(cuvee.new_event_loop, main)


def test_patched_on_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    async def on_tick(self: Server, counter: int) -> bool:
        return counter == 2

    monkeypatch.setattr(Server, "on_tick", on_tick)
    run(cuvee.new_event_loop, lambda: asyncio.wait_for(make_server().serve(), WAIT))


def test_on_tick_that_does_not_stop_lets_the_loop_run() -> None:
    """It says False though `should_exit` is set: it is asked again, and others run meanwhile."""

    class Unwilling(Server):
        async def on_tick(self, counter: int) -> bool:
            return self.should_exit and counter >= 3

    async def main() -> None:
        server = Unwilling(config())
        task = await start(server)
        server.should_exit = True
        await fetch(port_of(server))
        await asyncio.wait_for(task, WAIT)

    run(cuvee.new_event_loop, main)


def test_callback_notify_is_called_at_the_start_and_again(new_loop: LoopFactory) -> None:
    async def main() -> None:
        times: list[float] = []

        async def notify() -> None:
            times.append(server.last_notified)

        server = make_server(callback_notify=notify, timeout_notify=0.01)
        task = await start(server)
        await until(lambda: len(times) >= 3)
        await stop(server, task)
        assert all(times)
        assert times == sorted(times)
        assert server.last_notified == times[-1]

    run(new_loop, main)


def test_callback_notify_has_its_own_interval() -> None:
    """One call at the start, none before the interval is over: nothing else is due until then."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        times: list[float] = []

        async def notify() -> None:
            times.append(loop.time())

        server = make_server(callback_notify=notify)
        task = await start(server)
        await until(lambda: bool(times))
        for _ in range(10):
            await asyncio.sleep(0)
        (timer,) = [handle for handle in loop._scheduled if not handle.cancelled()]
        assert 29 < timer.when() - times[0] < 45
        assert len(times) == 1
        await stop(server, task)

    run(asyncio.SelectorEventLoop, main)


def test_callback_notify_that_fails_ends_the_server() -> None:
    async def notify() -> None:
        raise LookupError("no watchdog")

    async def main() -> None:
        with pytest.raises(LookupError, match="no watchdog"):
            await asyncio.wait_for(make_server(callback_notify=notify).serve(), WAIT)

    run(cuvee.new_event_loop, main)


# ---- other methods ----------------------------------------------------------------------------


def test_startup_main_loop_and_shutdown_of_a_subclass(new_loop: LoopFactory) -> None:
    seen: list[str] = []

    class Telling(Server):
        async def startup(self, sockets: Any = None) -> None:
            seen.append("startup")
            await super().startup(sockets=sockets)
            seen.append(f"started {self.started}")

        async def main_loop(self) -> None:
            seen.append("main_loop")
            assert (await fetch(port_of(self))).endswith(b"hello")
            await super().main_loop()

        async def shutdown(self, sockets: Any = None) -> None:
            seen.append("shutdown")
            await super().shutdown(sockets=sockets)

    async def main() -> None:
        server = Telling(config())
        task = await start(server)
        await stop(server, task)
        assert seen == ["startup", "started True", "main_loop", "shutdown"]

    run(new_loop, main)


def test_methods_that_do_nothing_leave_nothing_behind(new_loop: LoopFactory) -> None:
    ports: list[int] = []

    class Lazy(Server):
        async def main_loop(self) -> None:
            ports.append(port_of(self))

        async def shutdown(self, sockets: Any = None) -> None:
            """End nothing."""

    async def main() -> None:
        server = Lazy(config())
        await asyncio.wait_for(server.serve(), WAIT)
        assert server.started
        with pytest.raises(OSError):
            await fetch(ports[0])
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    run(new_loop, main)


def test_startup_that_does_nothing_is_waited_on_until_should_exit() -> None:
    class Unstarted(Server):
        async def startup(self, sockets: Any = None) -> None:
            asyncio.get_running_loop().call_soon(setattr, self, "should_exit", True)

    async def main() -> None:
        server = Unstarted(config())
        await asyncio.wait_for(server.serve(), WAIT)
        assert not server.started

    run(cuvee.new_event_loop, main)


def test_parts_of_a_server_called_one_by_one(new_loop: LoopFactory) -> None:
    """As fixtures do that keep a server between `startup` and `shutdown`."""

    async def main() -> None:
        server = make_server(applications.make())
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup()
        port = port_of(server)
        assert (await fetch(port)).endswith(b"hello")
        await asyncio.wait_for(server.shutdown(), WAIT)
        with pytest.raises(OSError):
            await fetch(port)
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    run(new_loop, main)


def test_capture_signals_that_does_nothing() -> None:
    class Unhandled(Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    seen: list[Any] = []

    async def begin(scope: applications.Scope) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))
        server.should_exit = True

    server = Unhandled(config(applications.make(start=begin)))
    before = signal.getsignal(signal.SIGTERM)
    server.run()
    assert seen == [before]


def test_handle_exit_of_a_subclass_and_of_one_server() -> None:
    seen: list[int] = []

    class Handling(Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            seen.append(sig)
            self.should_exit = True

    async def begin(scope: applications.Scope) -> None:
        signal.raise_signal(signal.SIGINT)

    Handling(config(applications.make(start=begin))).run()  # not raised again: nobody captured it
    assert seen == [signal.SIGINT]
    server = make_server(applications.make(start=begin))

    def handle(sig: int, frame: Any) -> None:
        seen.append(-sig)
        server.should_exit = True

    server.handle_exit = handle  # type: ignore[method-assign]
    server.run()
    assert seen == [signal.SIGINT, -signal.SIGINT]


def test_patched_handle_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As older releases of sse-starlette patch it."""
    seen: list[int] = []
    ours = Server.handle_exit

    def handle_exit(self: Server, sig: int, frame: Any) -> None:
        seen.append(sig)
        ours(self, sig, frame)

    async def begin(scope: applications.Scope) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Server, "handle_exit", handle_exit)
    with pytest.raises(KeyboardInterrupt):
        make_server(applications.make(start=begin)).run()
    assert seen == [signal.SIGINT]


def test_install_signal_handlers_is_nobodys_business() -> None:
    class Threaded(Server):
        def install_signal_handlers(self) -> None:
            raise AssertionError("uvicorn does not call it either")

    async def main() -> None:
        server = Threaded(config())
        await stop(server, await start(server))

    run(cuvee.new_event_loop, main)


def test_override_that_is_not_called_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Waiting(Server):
        async def _wait_tasks_to_complete(self) -> None:
            raise AssertionError("not called")

    async def main() -> None:
        server = Waiting(config())
        await stop(server, await start(server))

    caplog.set_level(logging.INFO, "uvicorn.error")
    run(cuvee.new_event_loop, main)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage().partition("<locals>.")[2] for record in told] == [
        "Waiting._wait_tasks_to_complete is not called by cuvee."
    ]


def test_started_message_can_be_replaced(caplog: pytest.LogCaptureFixture) -> None:
    class Quiet(Server):
        def _log_started_message(self, listeners: Any) -> None:
            logging.getLogger("uvicorn.error").info("at %d", listeners[0].getsockname()[1])

    async def main() -> None:
        server = Quiet(config())
        task = await start(server)
        assert f"at {port_of(server)}" in caplog.messages
        await stop(server, task)

    caplog.set_level(logging.INFO, "uvicorn.error")
    run(cuvee.new_event_loop, main)
    assert not any("running on" in message for message in caplog.messages)


# ---- connections ------------------------------------------------------------------------------


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection of which the server knows."""
    before = len(server.server_state.connections)
    streams = await asyncio.open_connection("127.0.0.1", port_of(server))
    await until(lambda: len(server.server_state.connections) > before)
    return streams


def test_connections_are_a_set_that_follows(new_loop: LoopFactory) -> None:
    async def main() -> None:
        server = make_server()
        connections = server.server_state.connections
        assert not connections
        assert list(connections) == []
        task = await start(server)
        _, one = await connect(server)
        _, other = await connect(server)
        first, second = connections
        assert {first, second} == set(connections) == connections.copy()
        assert list(connections) == [first, second]
        assert first in connections
        assert connections & {first} == {first}
        assert {connection.client for connection in connections} == {
            writer.get_extra_info("sockname") for writer in (one, other)
        }
        assert first.server == ("127.0.0.1", port_of(server))
        one.close()
        await until(lambda: len(connections) == 1)
        assert list(connections) == [second]
        assert first not in connections
        other.close()
        await stop(server, task)
        assert list(connections) == []

    run(new_loop, main)


@pytest.mark.parametrize("way", ["shutdown", "close", "abort"])
def test_idle_connections_end_each_way(new_loop: LoopFactory, way: str) -> None:
    async def main() -> None:
        server = make_server()
        task = await start(server)
        reader, writer = await connect(server)
        other, another = await connect(server)
        connection = next(iter(server.server_state.connections))
        assert not connection.is_closing()
        target: Any = connection if way == "shutdown" else connection.transport
        getattr(target, way)()
        assert await asyncio.wait_for(reader.read(), WAIT) == b""
        await until(lambda: len(server.server_state.connections) == 1)
        assert connection.is_closing()
        getattr(target, way)()  # a second time it does nothing
        another.write(GET)
        assert b"hello" in await asyncio.wait_for(other.readuntil(b"hello"), WAIT)
        writer.close()
        another.close()
        await stop(server, task)

    run(new_loop, main)


def test_shutdown_of_a_busy_connection_waits_for_its_answer(new_loop: LoopFactory) -> None:
    async def main() -> None:
        server = make_server(applications.reading)
        task = await start(server)
        reader, writer = await connect(server)
        writer.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na")
        await asyncio.wait_for(reader.readuntil(b"ready"), WAIT)
        (connection,) = server.server_state.connections
        connection.shutdown()
        assert not connection.is_closing()
        writer.write(b"b")
        assert (await asyncio.wait_for(reader.read(), WAIT)).endswith(b"done")
        writer.close()
        await stop(server, task)

    run(new_loop, main)


def test_shutdown_closes_behind_the_request_that_comes_next(new_loop: LoopFactory) -> None:
    """Half a head is there: it is answered, and that is the last answer."""

    async def main() -> None:
        server = make_server()
        task = await start(server)
        reader, writer = await connect(server)
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"hello"), WAIT)
        writer.write(GET + GET[:5])
        await asyncio.wait_for(reader.readuntil(b"hello"), WAIT)
        (connection,) = server.server_state.connections
        connection.shutdown()
        assert not connection.is_closing()
        writer.write(GET[5:])
        answer = await asyncio.wait_for(reader.read(), WAIT)
        assert b"connection: close" in answer
        assert answer.endswith(b"hello")
        writer.close()
        await stop(server, task)

    run(new_loop, main)


@pytest.mark.parametrize("way", ["close", "abort"])
def test_open_answer_is_broken_off(new_loop: LoopFactory, way: str) -> None:
    async def main() -> None:
        server = make_server(applications.endless, timeout_graceful_shutdown=0)
        task = await start(server)
        reader, writer = await connect(server)
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"ready"), WAIT)
        for connection in server.server_state.connections:
            getattr(connection.transport, way)()
        rest = await asyncio.wait_for(reader.read(), WAIT)
        assert not rest.endswith(b"0\r\n\r\n")
        writer.close()
        await stop(server, task)

    run(new_loop, main)


def test_connection_outlives_its_server() -> None:
    kept: list[_core.Connection] = []

    async def main() -> None:
        server = make_server()
        task = await start(server)
        _, writer = await connect(server)
        kept.extend(server.server_state.connections)
        await stop(server, task)
        writer.close()

    run(cuvee.new_event_loop, main)
    (connection,) = kept
    assert connection.is_closing()
    for end in (connection.shutdown, connection.close, connection.abort):
        end()
    assert connection.get_extra_info("peername") == connection.client
    assert connection.get_extra_info("sockname") == connection.server
    assert connection.get_extra_info("socket") is None
    assert connection.get_extra_info("socket", 7) == 7
    with pytest.raises(TypeError):
        connection.get_extra_info(7)  # type: ignore[arg-type]


def test_closed_connections_are_kept_by_nobody(new_loop: LoopFactory) -> None:
    async def main() -> None:
        server = make_server()
        task = await start(server)
        for _ in range(5):
            _, writer = await connect(server)
            (connection,) = server.server_state.connections
            before = sys.getrefcount(connection)
            writer.close()
            await until(lambda: not server.server_state.connections)
            assert sys.getrefcount(connection) == before - 1  # the server's own
        await stop(server, task)

    run(new_loop, main)


def test_handles_without_memory() -> None:
    """Who asks for them gets MemoryError; a connection that closes without memory is closed."""
    testcapi = pytest.importorskip("_testcapi")

    async def main() -> None:
        server = make_server()
        task = await start(server)
        failures = 0
        for fails_at in range(12):
            _, writer = await connect(server)
            core = server.server_state.core
            assert core is not None
            testcapi.set_nomemory(fails_at, fails_at + 1)
            try:
                handles = core.list_connections()
            except MemoryError:
                failures += 1
                handles = []
            finally:
                testcapi.remove_mem_hooks()
            (connection,) = server.server_state.connections
            assert handles in ([], [connection])
            testcapi.set_nomemory(fails_at, fails_at + 1)
            try:
                connection.abort()
            finally:
                testcapi.remove_mem_hooks()
            assert connection.is_closing()
            connection.abort()
            writer.close()
            await until(lambda: not server.server_state.connections)
        assert 3 <= failures < 12
        await stop(server, task)

    run(cuvee.new_event_loop, main)


def test_connection_that_is_refused_is_one_until_it_is_closed() -> None:
    """Its request is over, and nobody knows who its client was any more."""

    async def main() -> None:
        server = make_server()
        task = await start(server)
        reader, writer = await connect(server)
        writer.write(b"GET  HTTP\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), WAIT)
        assert answer.startswith(b"HTTP/1.1 400 ")
        for connection in server.server_state.connections:  # until our FIN has been seen
            assert connection.is_closing()
            connection.transport.abort()
        writer.close()
        await until(lambda: not server.server_state.connections)
        await stop(server, task)

    run(cuvee.new_event_loop, main)


def test_a_connection_is_made_by_the_server_only() -> None:
    with pytest.raises(TypeError):
        _core.Connection()


def test_default_headers_are_what_is_added_to_an_answer() -> None:
    async def main() -> None:
        server = make_server()
        assert server.server_state.default_headers == []
        task = await start(server)
        (date, name), (_, value) = server.server_state.default_headers
        assert (date, value) == (b"date", b"cuvee")
        assert name.endswith(b" GMT")
        assert b"\r\nserver: cuvee\r\n" in await fetch(port_of(server))
        await stop(server, task)

    run(cuvee.new_event_loop, main)


# ---- loops ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loop", "module"),
    [
        ("auto", "cuvee.loop"),
        ("asyncio", "asyncio.unix_events"),
        ("uvloop", "uvloop"),
        ("none", "asyncio.unix_events"),
        ("asyncio:SelectorEventLoop", "asyncio.unix_events"),
    ],
)
def test_the_loop_is_the_one_that_was_asked_for(loop: str, module: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    with serve_application("tells_loop", "--loop", loop) as server:
        server.stderr.expect(f"loop of {module}")
        server.wait_until_running()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        assert "INFO:     Application shutdown complete." in server.errors()


@pytest.mark.parametrize(
    ("loop", "reason"),
    [
        ("zuvloop", 'Could not import module "zuvloop".'),
        ("no_such:loop", 'Could not import module "no_such".'),
        ("asyncio:no_such", 'Attribute "no_such" not found in module "asyncio".'),
    ],
)
def test_loop_that_is_not_there_is_one_line(loop: str, reason: str) -> None:
    with serve_application("hello", "--loop", loop) as server:
        assert server.wait() == 3
        assert server.errors() == [
            f"ERROR:    Error loading the event loop of --loop {loop}. {reason}"
        ]
