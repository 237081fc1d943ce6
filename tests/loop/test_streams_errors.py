# SPDX-License-Identifier: MIT
"""What happens when a protocol fails, or a descriptor is used twice."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import cuvee
from tests.loop.streams_support import (
    Errors,
    Recorder,
    close_all,
    connected_pair,
    connected_to_socket,
    fill,
    on_both_loops,
    read_all,
    run_here,
    run_on,
    tcp_pair,
    turns,
)


class Mistake(Exception):
    """What the protocols of these tests raise."""


class FailsInData(Recorder):
    def data_received(self, data: bytes) -> None:
        raise Mistake


class FailsAtEof(Recorder):
    def eof_received(self) -> bool:
        raise Mistake


class FailsInBuffer(asyncio.BufferedProtocol, Recorder):  # type: ignore[misc]
    def get_buffer(self, sizehint: int) -> bytearray:
        raise Mistake

    def buffer_updated(self, nbytes: int) -> None:
        """Not reached."""


class FailsInUpdate(FailsInBuffer):
    def get_buffer(self, sizehint: int) -> bytearray:
        return bytearray(10)

    def buffer_updated(self, nbytes: int) -> None:
        raise Mistake


@on_both_loops
@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (FailsInData, "data_received"),
        (FailsAtEof, "eof_received"),
        (FailsInBuffer, "get_buffer"),
        (FailsInUpdate, "buffer_updated"),
    ],
)
def test_failure_of_a_protocol_ends_its_connection(factory, kind: Any, method: str) -> None:
    async def main() -> None:
        errors = Errors()
        protocol = kind()
        transport, peer = await connected_to_socket(protocol)
        if method == "eof_received":
            peer.shutdown(socket.SHUT_WR)
        else:
            peer.send(b"data")
        context = await errors.first()
        assert context["message"] == f"Fatal error: protocol.{method}() call failed."
        assert isinstance(context["exception"], Mistake)
        assert context["exception"].__traceback__ is not None
        assert context["transport"] is transport
        assert context["protocol"] is protocol
        await protocol.until_called("lost")
        assert isinstance(protocol.lost_with, Mistake)
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_empty_buffer_is_a_failure(factory) -> None:
    class Empty(FailsInBuffer):
        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray()

    async def main() -> None:
        errors = Errors()
        protocol = Empty()
        _, peer = await connected_to_socket(protocol)
        peer.send(b"data")
        context = await errors.first()
        assert str(context["exception"]) == "get_buffer() returned an empty buffer"
        await protocol.until_called("lost")
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_failure_of_connection_made_leaves_the_connection_open(factory) -> None:
    class FailsAtFirst(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            raise Mistake

    async def main() -> None:
        errors = Errors()
        protocol = FailsAtFirst()
        _, peer = await connected_to_socket(protocol)
        context = await errors.first()
        assert context["message"].startswith("Exception in callback ")
        assert "connection_made" in context["message"]
        peer.send(b"data")
        await protocol.until_data(4)
        peer.close()
        await protocol.until_called("lost")

    run_on(factory, main())


@on_both_loops
def test_failure_of_connection_lost_still_closes(factory) -> None:
    class FailsAtLast(Recorder):
        def connection_lost(self, exc: Exception | None) -> None:
            raise Mistake

    async def main() -> None:
        errors = Errors()
        transport, peer = await connected_to_socket(FailsAtLast())
        transport.close()
        context = await errors.first()
        assert isinstance(context["exception"], Mistake)
        assert await read_all(peer) == b""
        peer.close()

    run_on(factory, main())


def test_failure_of_connection_lost_after_the_queue_was_sent() -> None:
    class FailsAtLast(Recorder):
        def connection_lost(self, exc: Exception | None) -> None:
            raise Mistake

    async def main() -> None:
        errors = Errors()
        transport, peer = await connected_to_socket(FailsAtLast())
        written = await fill(transport)
        transport.close()
        assert len(await read_all(peer)) == written
        context = await errors.first()
        assert isinstance(context["exception"], Mistake)
        assert context["transport"] is transport
        peer.close()

    run_here(main())


@on_both_loops
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupts_leave_the_loop(factory, kind: type[BaseException]) -> None:
    class Interrupts(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data == b"leave":
                raise kind

    loop = factory()
    protocol = Interrupts()
    first, second = tcp_pair()
    transport, _ = loop.run_until_complete(loop.create_connection(lambda: protocol, sock=first))
    second.send(b"leave")
    with pytest.raises(kind):
        loop.run_forever()
    assert not transport.is_closing()
    second.send(b"again")
    loop.run_until_complete(protocol.until_data(10))
    transport.close()
    loop.run_until_complete(protocol.until_called("lost"))
    second.close()
    loop.close()


@on_both_loops
def test_descriptor_of_a_transport_is_not_for_others(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol = Recorder()
        first, second = tcp_pair()
        transport, _ = await loop.create_connection(lambda: protocol, sock=first)
        fd = first.fileno()
        message = f"File descriptor .* is used by transport .*fd={fd}"
        with pytest.raises(RuntimeError, match=message):
            loop.add_reader(fd, print)
        with pytest.raises(RuntimeError, match=message):
            loop.add_writer(fd, print)
        with pytest.raises(RuntimeError, match=message):
            loop.remove_reader(fd)
        if factory is cuvee.new_event_loop or sys.version_info >= (3, 12):
            with pytest.raises(RuntimeError, match=message):
                await loop.sock_recv(first, 10)
        if factory is cuvee.new_event_loop:  # 3.14's own closes the socket
            with pytest.raises(RuntimeError, match=message):
                await loop.create_connection(Recorder, sock=first)
        second.send(b"for the protocol")
        await protocol.until_data(16)
        close_all(transport, second)
        await protocol.until_called("lost")

    run_on(factory, main())


def test_loop_that_is_closed_opens_no_transport() -> None:
    loop = cuvee.new_event_loop()
    loop.close()
    first, second = tcp_pair()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop._make_socket_transport(first, Recorder())
    assert first.fileno() >= 0  # still the caller's
    close_all(first, second)


@on_both_loops
def test_debug_mode_tells_of_slow_callbacks(factory, caplog: pytest.LogCaptureFixture) -> None:
    class Slow(Recorder):
        def data_received(self, data: bytes) -> None:
            deadline = time.monotonic() + 0.02
            while time.monotonic() < deadline:
                pass
            super().data_received(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.01
        protocol = Slow()
        _, peer = await connected_to_socket(protocol)
        peer.send(b"data")
        await protocol.until_data(4)
        peer.close()
        await protocol.until_called("lost")

    with caplog.at_level(logging.WARNING, "asyncio"):
        run_on(factory, main())
    slow = [re.search("^Executing <.*ransport.* took (.*) seconds$", m) for m in caplog.messages]
    assert any(found is not None and float(found[1]) >= 0.02 for found in slow)


@on_both_loops
def test_debug_mode_tells_of_eof_and_pauses(factory, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol)
        transport.pause_reading()
        transport.resume_reading()
        peer.close()
        await protocol.until_called("lost")

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run_on(factory, main())
    texts = " ".join(caplog.messages)
    for words in ("pauses reading", "resumes reading", "received EOF"):
        assert words in texts


@on_both_loops
def test_protocol_may_abort_where_it_is_called(factory) -> None:
    class Aborts(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.abort()
            self.transport.write(b"ignored")

    async def main() -> None:
        errors = Errors()
        protocol = Aborts()
        _, peer = await connected_to_socket(protocol)
        peer.send(b"data")
        await protocol.until_called("lost")
        await turns()
        assert protocol.names == ["made", "data", "lost"]
        assert errors.contexts == []
        peer.close()

    run_on(factory, main())


async def paused_connection() -> tuple[Recorder, socket.socket, asyncio.Server]:
    """A connection that was accepted, and is not watched; its client, and its server."""
    loop = asyncio.get_running_loop()
    accepted = Recorder()
    server = await loop.create_server(lambda: accepted, "127.0.0.1", 0)
    client = socket.create_connection(server.sockets[0].getsockname())
    await accepted.until_called("made")
    accepted.transport.pause_reading()
    return accepted, client, server


def test_a_descriptor_that_was_closed_behind_a_transport() -> None:
    """It is not handed to the kernel, which would not have it: the transport finds the error."""

    async def main() -> None:
        accepted, client, server = await paused_connection()
        accepted.transport.resume_reading()
        os.close(accepted.transport._sock_fd)  # type: ignore[attr-defined]
        await accepted.until_called("lost")
        assert isinstance(accepted.lost_with, OSError)
        assert accepted.lost_with.errno == errno.EBADF
        close_all(client, server)
        await server.wait_closed()

    run_here(main())


def test_watching_a_descriptor_that_was_closed() -> None:
    async def main() -> None:
        accepted, client, server = await paused_connection()
        os.close(accepted.transport._sock_fd)  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="Bad file descriptor"):
            accepted.transport.resume_reading()
        accepted.transport.abort()
        await accepted.until_called("lost")
        close_all(client, server)
        await server.wait_closed()

    run_here(main())


def test_a_descriptor_that_became_a_file_behind_a_transport(tmp_path: Path) -> None:
    """The kernel does not watch files."""

    async def main() -> None:
        accepted, client, server = await paused_connection()
        accepted.transport.resume_reading()
        with (tmp_path / "file").open("wb") as file:
            os.dup2(file.fileno(), accepted.transport._sock_fd)  # type: ignore[attr-defined]
        await accepted.until_called("lost")
        assert isinstance(accepted.lost_with, OSError)
        close_all(client, server)
        await server.wait_closed()

    run_here(main())


def test_a_number_that_has_another_transport_by_now() -> None:
    """What a transport whose descriptor was closed behind its back still does is not done to that one."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        former, latter = Recorder(), Recorder()
        first, second = tcp_pair()
        _, far = await connected_pair(former)
        number = former.transport.get_extra_info("socket").fileno()
        os.dup2(second.fileno(), number)
        later = socket.socket(fileno=number)
        del loop._open_streams[number]  # type: ignore[attr-defined]
        former.transport._sock.detach()  # type: ignore[attr-defined]
        await loop.create_connection(lambda: latter, sock=later)
        former.transport.abort()
        await former.until_called("lost")
        await loop.sock_sendall(first, b"hello")
        await latter.until_data(5)
        close_all(latter.transport, far, first, second)
        await turns()

    run_here(main())
