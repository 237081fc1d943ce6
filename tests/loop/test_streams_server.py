# SPDX-License-Identifier: MIT
"""Servers: accepting, closing, and running out of descriptors."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loop.streams_support import (
    Errors,
    Recorder,
    ask,
    close_all,
    echo,
    on_both_loops,
    run_here,
    run_on,
    tcp_pair,
    turns,
)

# ---- asyncio.start_server and its like


@on_both_loops
def test_streams_over_tcp(factory) -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            connections = [await asyncio.open_connection(*address) for _ in range(20)]
            answers = await asyncio.gather(
                *(
                    ask(reader, writer, b"%d" % number * 10_000)
                    for number, (reader, writer) in enumerate(connections)
                )
            )
            assert answers == [b"%d" % number * 10_000 for number in range(20)]

    run_on(factory, main())


@on_both_loops
def test_streams_over_unix_sockets(factory, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "socket"
        async with await asyncio.start_unix_server(echo, path):
            reader, writer = await asyncio.open_unix_connection(path)
            assert await ask(reader, writer, b"hello") == b"hello"

    run_on(factory, main())


@on_both_loops
def test_lines(factory) -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(line.upper())
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.writelines([b"one\n", b"two\n", b"thr", b"ee"])
            writer.write_eof()
            assert await reader.read() == b"ONE\nTWO\nTHREE"
            writer.close()
            await writer.wait_closed()

    run_on(factory, main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio removes the path since 3.13")
@on_both_loops
def test_unix_path_goes_with_its_server(factory, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "socket"
        server = await asyncio.start_unix_server(echo, path)
        assert path.is_socket()
        server.close()
        assert not path.exists()
        server = await asyncio.start_unix_server(echo, path, cleanup_socket=False)
        server.close()
        assert path.is_socket()
        server = await asyncio.start_unix_server(echo, path)
        path.unlink()
        path.write_text("somebody else's")
        server.close()
        assert path.read_text() == "somebody else's"

    run_on(factory, main())


# ---- loop.create_server


@on_both_loops
def test_many_at_once(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocols: list[Recorder] = []

        def new_protocol() -> Recorder:
            protocols.append(Recorder())
            return protocols[-1]

        server = await loop.create_server(new_protocol, "127.0.0.1", 0, backlog=200)
        address = server.sockets[0].getsockname()
        clients = [socket.create_connection(address) for _ in range(150)]
        for number, client in enumerate(clients):
            client.send(b"%d" % number)
        while len(protocols) < len(clients):
            await asyncio.sleep(0)
        for protocol in protocols:
            await protocol.until_called("data")
        assert {bytes(one.data) for one in protocols} == {b"%d" % n for n in range(150)}
        close_all(*clients)
        for protocol in protocols:
            await protocol.until_called("lost")
        server.close()
        await server.wait_closed()

    run_on(factory, main())


@on_both_loops
def test_server_that_is_closed_accepts_no_more(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted = Recorder()
        server = await loop.create_server(lambda: accepted, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        client = socket.create_connection(address)
        await accepted.until_called("made")
        server.close()
        server.close()
        assert server.sockets == ()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        client.send(b"still open")
        await accepted.until_data(10)
        client.close()
        await accepted.until_called("lost")
        await server.wait_closed()

    run_on(factory, main())


@pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="asyncio waits since 3.12.1")
@on_both_loops
def test_wait_closed_waits_for_the_connections(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted = Recorder()
        server = await loop.create_server(lambda: accepted, "127.0.0.1", 0)
        client = socket.create_connection(server.sockets[0].getsockname())
        await accepted.until_called("made")
        server.close()
        waiting = asyncio.create_task(server.wait_closed())
        await turns()
        assert not waiting.done()
        client.close()
        await waiting
        assert accepted.names[-1] == "lost"

    run_on(factory, main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio has this since 3.13")
@on_both_loops
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_server_closes_its_clients(factory, method: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted = Recorder()
        server = await loop.create_server(lambda: accepted, "127.0.0.1", 0)
        client = socket.create_connection(server.sockets[0].getsockname())
        await accepted.until_called("made")
        server.close()
        getattr(server, method)()
        await accepted.until_called("lost")
        await server.wait_closed()
        client.close()

    run_on(factory, main())


@on_both_loops
def test_serving_starts_when_asked(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted = Recorder()
        server = await loop.create_server(lambda: accepted, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.sockets[0].getsockname())
        await server.start_serving()
        await server.start_serving()
        client = socket.create_connection(server.sockets[0].getsockname())
        await accepted.until_called("made")
        client.close()
        await accepted.until_called("lost")
        serving = asyncio.create_task(server.serve_forever())
        await turns()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not server.is_serving()

    run_on(factory, main())


@pytest.mark.parametrize("debug", [True, False])
def test_factory_that_fails(debug: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(debug)
        errors = Errors()
        calls = 0

        def new_protocol() -> Recorder:
            nonlocal calls
            calls += 1
            raise ZeroDivisionError

        async with await loop.create_server(new_protocol, "127.0.0.1", 0) as server:
            client = socket.create_connection(server.sockets[0].getsockname())
            client.setblocking(False)
            assert await loop.sock_recv(client, 1) == b""
            client.close()
        assert calls == 1
        if not debug:
            assert errors.contexts == []
            return
        context = await errors.first()
        assert context["message"] == "Error on transport creation for incoming connection"
        assert isinstance(context["exception"], ZeroDivisionError)

    run_here(main())


@on_both_loops
def test_accepted_socket_becomes_a_transport(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        protocol = Recorder()
        transport, same = await loop.connect_accepted_socket(lambda: protocol, first)
        assert same is protocol
        transport.write(b"hello")
        assert await loop.sock_recv(second, 10) == b"hello"
        second.close()
        await protocol.until_called("lost")

    run_on(factory, main())


@on_both_loops
def test_connection_refused(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionRefusedError):
                await loop.create_connection(Recorder, *unused.getsockname())

    run_on(factory, main())


@on_both_loops
def test_connecting_is_cancelled(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            address = listener.getsockname()
            connecting = asyncio.create_task(loop.create_connection(Recorder, *address))
            await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run_on(factory, main())


# ---- no more descriptors


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Lower the limit to what is open already, so that nothing more can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    fillers = []
    try:
        while True:
            try:
                fillers.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in fillers:
            os.close(fd)


def test_accepting_rests_without_descriptors() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        errors = Errors()
        accepted = Recorder()
        server = await loop.create_server(lambda: accepted, "127.0.0.1", 0)
        client = socket.socket()
        client.setblocking(False)
        with no_descriptors_left():
            await loop.sock_connect(client, server.sockets[0].getsockname())
            context = await errors.first()
            await turns(20)
        assert context["message"] == "socket.accept() out of system resource"
        assert isinstance(context["exception"], OSError)
        assert context["socket"].fileno() == server.sockets[0].fileno()
        assert len(errors.contexts) == 1  # it does not spin
        client.send(b"at last")
        await accepted.until_data(7)  # a second later
        client.close()
        await accepted.until_called("lost")
        server.close()

    run_here(main())


def test_server_that_rests_may_be_closed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        errors = Errors()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        client = socket.socket()
        client.setblocking(False)
        with no_descriptors_left():
            await loop.sock_connect(client, server.sockets[0].getsockname())
            await errors.first()
        acceptor = next(iter(loop._acceptors.values()))  # type: ignore[attr-defined]
        server.close()
        acceptor.start()  # what the timer would call
        await turns()
        with pytest.raises(ConnectionResetError):  # by the kernel: nobody had accepted it
            await loop.sock_recv(client, 1)
        assert len(errors.contexts) == 1
        client.close()

    run_here(main())
