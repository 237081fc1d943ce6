# SPDX-License-Identifier: MIT
"""anyio on its asyncio backend; its own tests are in tests/conformance/anyio."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
import threading
from pathlib import Path

import anyio
import anyio.abc
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

import cuvee
from tests.libraries.support import MANY, run_clean

OPTIONS = {"loop_factory": cuvee.new_event_loop}


async def upper(stream: anyio.abc.ByteStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data.upper())


async def talk(stream: anyio.abc.ByteStream) -> None:
    """Send little and much, and be answered."""
    async with stream:
        await stream.send(b"hello")
        receive = BufferedByteReceiveStream(stream)
        assert await receive.receive_exactly(5) == b"HELLO"
        body = b"x" * 1_000_000
        async with anyio.create_task_group() as group:
            group.start_soon(stream.send, body)
            assert await receive.receive_exactly(len(body)) == body.upper()
        with anyio.move_on_after(0.01) as scope:
            await stream.receive()
        assert scope.cancelled_caught
        await stream.send(b"still here")
        assert await stream.receive() == b"STILL HERE"


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_over_tcp(debug: bool) -> None:
    async def main() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, upper)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                await talk(await anyio.connect_tcp("127.0.0.1", port))
                group.cancel_scope.cancel()

    run_clean(main(), debug=debug)


def test_over_unix_sockets(tmp_path: Path) -> None:
    async def main() -> None:
        async with await anyio.create_unix_listener(tmp_path / "socket") as listener:
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, upper)
                await talk(await anyio.connect_unix(tmp_path / "socket"))
                group.cancel_scope.cancel()

    # anyio sets the result of a future whose descriptor has become ready in the same turn.
    # Before 3.13 the message has the argument in it.
    run_clean(main(), provokes="Exception in callback Future.set_result(")


def test_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            secure = TLSListener(listener, server_tls)
            async with anyio.create_task_group() as group:
                group.start_soon(secure.serve, upper)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                await talk(await anyio.connect_tcp("127.0.0.1", port, ssl_context=client_tls))
                group.cancel_scope.cancel()

    run_clean(main())


def test_over_udp() -> None:
    async def main() -> None:
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
            port = server.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.create_connected_udp_socket("127.0.0.1", port) as client:
                await client.send(b"hello")
                data, (host, client_port) = await server.receive()
                await server.sendto(data.upper(), host, client_port)
                assert await client.receive() == b"HELLO"

    run_clean(main())


def test_processes() -> None:
    async def main() -> None:
        program = "import sys; sys.stdout.write(sys.stdin.read().upper())"
        done = await anyio.run_process([sys.executable, "-c", program], input=b"hello" * 100_000)
        assert done.stdout == b"HELLO" * 100_000
        async with await anyio.open_process(["sleep", "60"]) as process:
            process.terminate()
            assert await process.wait() == -signal.SIGTERM

    run_clean(main())


def test_signals() -> None:
    async def main() -> None:
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGUSR1)
                assert await anext(signals) == signal.SIGUSR1

    run_clean(main())


def test_threads() -> None:
    async def main() -> None:
        async def back(number: int) -> int:
            await anyio.sleep(0)
            return number * 2

        def in_thread(number: int) -> int:
            return anyio.from_thread.run(back, anyio.from_thread.run_sync(lambda: number))

        found = await asyncio.gather(*(anyio.to_thread.run_sync(in_thread, n) for n in range(MANY)))
        assert found == [number * 2 for number in range(MANY)]

    run_clean(main())


def test_a_portal() -> None:
    """A loop in a thread, which others ask to run things."""

    async def where() -> tuple[type[object], str]:
        return type(asyncio.get_running_loop()), threading.current_thread().name

    with anyio.from_thread.start_blocking_portal("asyncio", OPTIONS, name="portal") as portal:
        assert portal.call(where) == (cuvee.Loop, "portal")


def test_run() -> None:
    async def main() -> object:
        return type(asyncio.get_running_loop())

    assert anyio.run(main, backend="asyncio", backend_options=OPTIONS) is cuvee.Loop
