# SPDX-License-Identifier: MIT
"""Flow control of stream transports: water marks, and what waits for an empty queue."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.loop.streams_support import (
    Errors,
    Recorder,
    close_all,
    connected_to_socket,
    fill,
    on_both_loops,
    read_all,
    run_here,
    run_on,
    turns,
)


@on_both_loops
def test_writing_is_paused_and_resumed_at_the_marks(factory) -> None:
    class Marks(Recorder):
        def resume_writing(self) -> None:
            self.note("resume", self.transport.get_write_buffer_size())

    async def main() -> None:
        protocol = Marks()
        transport, peer = await connected_to_socket(protocol, small=True)
        transport.set_write_buffer_limits(high=100_000, low=30_000)
        await fill(transport)
        transport.write(bytes(100_000 - transport.get_write_buffer_size()))
        assert protocol.names == ["made"]  # at the mark, not above it
        transport.write(b"x")
        assert protocol.names == ["made", "pause"]
        transport.write(bytes(100_000))
        assert protocol.names == ["made", "pause"]
        loop = asyncio.get_running_loop()
        while "resume" not in protocol.names:
            await loop.sock_recv(peer, 65536)
        name, size = protocol.calls[-1]
        assert name == "resume"
        assert size <= 30_000
        transport.abort()
        await protocol.until_called("lost")
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_marks(factory) -> None:
    async def main() -> None:
        transport, peer = await connected_to_socket(Recorder())
        assert transport.get_write_buffer_limits() == (16384, 65536)
        for arguments, marks in [
            ({"high": 100}, (25, 100)),
            ({"low": 100}, (100, 400)),
            ({"high": 7, "low": 7}, (7, 7)),
            ({"high": 0}, (0, 0)),
            ({}, (16384, 65536)),
        ]:
            transport.set_write_buffer_limits(**arguments)
            assert transport.get_write_buffer_limits() == marks
        with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be >= 0"):
            transport.set_write_buffer_limits(high=1, low=2)
        with pytest.raises(ValueError, match="must be >= 0"):
            transport.set_write_buffer_limits(high=1, low=-1)
        assert transport.get_write_buffer_limits() == (16384, 65536)
        close_all(transport, peer)
        await turns()

    run_on(factory, main())


@on_both_loops
def test_lower_marks_pause_at_once(factory) -> None:
    async def main() -> None:
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        transport.set_write_buffer_limits(high=1 << 20)
        await fill(transport)
        assert protocol.names == ["made"]
        transport.set_write_buffer_limits(high=0)
        assert protocol.names == ["made", "pause"]
        transport.abort()
        await turns()
        peer.close()

    run_on(factory, main())


@on_both_loops
@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_flow_control_that_fails_is_reported_and_no_more(factory, method: str) -> None:
    class Failing(Recorder):
        pass

    def fail(_self: Failing) -> None:
        raise ZeroDivisionError

    setattr(Failing, method, fail)

    async def main() -> None:
        errors = Errors()
        protocol = Failing()
        transport, peer = await connected_to_socket(protocol)
        transport.set_write_buffer_limits(high=0)
        written = await fill(transport)
        transport.close()
        assert len(await read_all(peer)) == written
        context = await errors.first()
        assert context["message"] == f"protocol.{method}() failed"
        assert isinstance(context["exception"], ZeroDivisionError)
        assert context["transport"] is transport
        assert context["protocol"] is protocol
        assert len(errors.contexts) == 1
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_drain_waits_for_the_reader(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reader, writer = asyncio.StreamReader(), None
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, peer = await connected_to_socket(protocol, small=True)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        await writer.drain()
        await fill(transport)
        writer.write(bytes(100_000))
        draining = asyncio.create_task(writer.drain())
        await turns()
        assert not draining.done()
        while not draining.done():
            await loop.sock_recv(peer, 65536)
        transport.abort()
        await turns()
        peer.close()

    run_on(factory, main())


def test_resume_writing_may_close() -> None:
    class Closing(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            self.transport.close()

    async def main() -> None:
        errors = Errors()
        protocol = Closing()
        transport, peer = await connected_to_socket(protocol)
        transport.set_write_buffer_limits(high=0)
        written = await fill(transport)
        assert len(await read_all(peer)) == written
        await protocol.until_called("lost")
        await turns()
        assert protocol.names == ["made", "pause", "resume", "lost"]
        assert errors.contexts == []
        peer.close()

    run_here(main())


@on_both_loops
def test_resume_writing_may_write(factory) -> None:
    class Writing(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            self.transport.write(b"the end")
            self.transport.write_eof()

    async def main() -> None:
        protocol = Writing()
        transport, peer = await connected_to_socket(protocol)
        transport.set_write_buffer_limits(high=0)
        written = await fill(transport)
        assert await read_all(peer) == bytes(written) + b"the end"
        peer.close()
        await protocol.until_called("lost")

    run_on(factory, main())


# ---- sendfile


@on_both_loops
@pytest.mark.parametrize(("offset", "count"), [(0, None), (1000, None), (70_000, 3_000_000)])
def test_sendfile(factory, tmp_path: Path, offset: int, count: int | None) -> None:
    body = os.urandom(4_000_000)
    path = tmp_path / "file"
    path.write_bytes(body)
    expected = body[offset:] if count is None else body[offset : offset + count]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=False)
        received = asyncio.create_task(read_all(peer))
        with path.open("rb") as file:
            transport.write(b"<" * 100_000)
            sending = asyncio.create_task(loop.sendfile(transport, file, offset, count))
            assert await sending == len(expected)
            assert file.tell() == offset + len(expected)
        transport.write(b">")
        transport.close()
        assert await received == b"<" * 100_000 + expected + b">"
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_nothing_is_written_into_a_file_that_is_sent(factory, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(4_000_000))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        with path.open("rb") as file:
            sending = asyncio.create_task(loop.sendfile(transport, file))
            await turns()
            assert not transport.is_reading()
            with pytest.raises(RuntimeError, match="sendfile is in progress"):
                transport.write(b"x")
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        assert transport.is_reading()
        transport.abort()
        await turns()
        peer.close()

    run_on(factory, main())


@on_both_loops
def test_sendfile_to_a_peer_that_goes(factory, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(4_000_000))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        with path.open("rb") as file:
            sending = asyncio.create_task(loop.sendfile(transport, file))
            await loop.sock_recv(peer, 1)
            peer.close()
            with pytest.raises(ConnectionError):
                await sending
        transport.close()
        await protocol.until_called("lost")

    run_on(factory, main())


def test_sendfile_on_a_transport_that_is_aborted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(4_000_000))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        errors = Errors()
        protocol = Recorder()
        transport, peer = await connected_to_socket(protocol, small=True)
        with path.open("rb") as file:
            sending = asyncio.create_task(loop.sendfile(transport, file))
            await turns()
            transport.abort()
            with pytest.raises(ConnectionError):
                await sending
        with path.open("rb") as file, pytest.raises(RuntimeError, match="Transport is closing"):
            await loop.sendfile(transport, file)
        await protocol.until_called("lost")
        assert errors.contexts == []
        peer.close()

    run_here(main())


@on_both_loops
def test_what_is_no_file_is_sent_through_write(factory, tmp_path: Path) -> None:
    import io

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, peer = await connected_to_socket(Recorder())
        body = os.urandom(1_000_000)
        received = asyncio.create_task(read_all(peer))
        assert await loop.sendfile(transport, io.BytesIO(body)) == len(body)
        transport.close()
        assert await received == body
        peer.close()

    run_on(factory, main())
