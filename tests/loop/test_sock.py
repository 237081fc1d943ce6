# SPDX-License-Identifier: MIT
"""`loop.sock_*`: sockets without a transport, held against asyncio's own loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from pathlib import Path

import pytest

from tests.loop.streams_support import (
    close_all,
    on_both_loops,
    read_all,
    run_here,
    run_on,
    tcp_pair,
    turns,
)


def udp_pair() -> tuple[socket.socket, socket.socket]:
    """Two datagram sockets, bound and not connected."""
    pair = []
    for _ in range(2):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        pair.append(sock)
    return pair[0], pair[1]


@on_both_loops
def test_connect_accept_send_and_receive(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(listener))
            await turns()
            client = socket.socket()
            client.setblocking(False)
            await loop.sock_connect(client, listener.getsockname())
            server, address = await accepting
        assert address == client.getsockname()
        assert server.gettimeout() == 0
        receiving = asyncio.create_task(loop.sock_recv(server, 100))
        await turns()
        assert not receiving.done()
        await loop.sock_sendall(client, b"hello")
        assert await receiving == b"hello"
        client.close()
        assert await loop.sock_recv(server, 100) == b""
        server.close()

    run_on(factory, main())


@on_both_loops
def test_receive_into_a_buffer(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        buffer = bytearray(b"..........")
        receiving = asyncio.create_task(loop.sock_recv_into(first, memoryview(buffer)[2:8]))
        await turns()
        second.send(b"1234567")
        assert await receiving == 6
        assert buffer == b"..123456.."
        assert await loop.sock_recv_into(first, buffer) == 1
        close_all(first, second)

    run_on(factory, main())


@on_both_loops
def test_datagrams(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = udp_pair()
        receiving = asyncio.create_task(loop.sock_recvfrom(first, 100))
        await turns()
        assert await loop.sock_sendto(second, b"one", first.getsockname()) == 3
        assert await receiving == (b"one", second.getsockname())
        await loop.sock_sendto(second, b"two", first.getsockname())
        assert await loop.sock_recvfrom(first, 100) == (b"two", second.getsockname())
        buffer = bytearray(10)
        receiving_into = asyncio.create_task(loop.sock_recvfrom_into(first, buffer))
        await turns()
        await loop.sock_sendto(second, b"three", first.getsockname())
        assert await receiving_into == (5, second.getsockname())
        assert buffer[:5] == b"three"
        await loop.sock_sendto(second, b"four!", first.getsockname())
        assert await loop.sock_recvfrom_into(first, buffer, 4) == (4, second.getsockname())
        close_all(first, second)

    run_on(factory, main())


@on_both_loops
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_send_more_than_the_kernel_takes(factory, kind: type) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        body = os.urandom(16 << 20)
        sending = asyncio.create_task(loop.sock_sendall(first, kind(body)))
        await turns()
        assert not sending.done()
        receiving = asyncio.create_task(read_all(second))
        await sending
        first.close()
        assert await receiving == body
        second.close()

    run_on(factory, main())


@on_both_loops
def test_send_and_receive_at_the_same_time(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        body = os.urandom(8 << 20)

        async def both(sock: socket.socket) -> bytes:
            async def send() -> None:
                await loop.sock_sendall(sock, body)
                sock.shutdown(socket.SHUT_WR)

            received, _ = await asyncio.gather(read_all(sock), send())
            return received

        assert list(await asyncio.gather(both(first), both(second))) == [body, body]
        close_all(first, second)

    run_on(factory, main())


@on_both_loops
def test_connect_to_nobody(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as unused, socket.socket() as client:
            unused.bind(("127.0.0.1", 0))
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
                await loop.sock_connect(client, unused.getsockname())

    run_on(factory, main())


@on_both_loops
def test_connect_to_a_name(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("localhost", listener.getsockname()[1]))
            assert client.getpeername() == listener.getsockname()

    run_on(factory, main())


@on_both_loops
def test_connect_to_a_unix_path(factory, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(path)
            listener.listen()
            client.setblocking(False)
            await loop.sock_connect(client, path)
            assert client.getpeername() == path

    run_on(factory, main())


# ---- cancellation


@on_both_loops
def test_cancelled_receive_loses_nothing(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        receiving = asyncio.create_task(loop.sock_recv(first, 100))
        await turns()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        await turns()
        assert not loop.remove_reader(first)  # nobody watches any more
        second.send(b"data")
        assert await loop.sock_recv(first, 100) == b"data"
        close_all(first, second)

    run_on(factory, main())


@on_both_loops
def test_receive_that_is_cancelled_when_data_is_there(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        receiving = asyncio.create_task(loop.sock_recv(first, 100))
        await turns()
        second.send(b"data")
        receiving.cancel()  # before the loop has looked
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert await loop.sock_recv(first, 100) == b"data"
        close_all(first, second)

    run_on(factory, main())


@on_both_loops
def test_cancelled_send_and_accept_stop_watching(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        sending = asyncio.create_task(loop.sock_sendall(first, bytes(16 << 20)))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(listener))
            await turns()
            for task in (sending, accepting):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await turns()
            assert not loop.remove_reader(listener)
            assert not loop.remove_writer(first)
        close_all(first, second)

    run_on(factory, main())


@on_both_loops
def test_later_receive_takes_the_place_of_an_earlier_one(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        earlier = asyncio.create_task(loop.sock_recv(first, 100))
        await turns()
        later = asyncio.create_task(loop.sock_recv(first, 100))
        await turns()
        earlier.cancel()
        with pytest.raises(asyncio.CancelledError):
            await earlier
        await turns()
        second.send(b"data")  # the end of the earlier one must not have stopped the later one
        assert await later == b"data"
        close_all(first, second)

    run_on(factory, main())


# ---- what is refused


@on_both_loops
def test_debug_mode_refuses_blocking_sockets(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        first, second = tcp_pair()
        first.setblocking(True)
        for call in (
            lambda: loop.sock_recv(first, 1),
            lambda: loop.sock_recv_into(first, bytearray(1)),
            lambda: loop.sock_recvfrom(first, 1),
            lambda: loop.sock_recvfrom_into(first, bytearray(1)),
            lambda: loop.sock_sendall(first, b"x"),
            lambda: loop.sock_sendto(first, b"x", ("127.0.0.1", 1)),
            lambda: loop.sock_connect(first, ("127.0.0.1", 1)),
            lambda: loop.sock_accept(first),
        ):
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await call()
        close_all(first, second)

    run_on(factory, main())


@on_both_loops
def test_tls_sockets_are_refused(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        with context.wrap_socket(first, do_handshake_on_connect=False) as wrapped:
            for call in (
                lambda: loop.sock_recv(wrapped, 1),
                lambda: loop.sock_sendall(wrapped, b"x"),
                lambda: loop.sock_connect(wrapped, ("127.0.0.1", 1)),
            ):
                with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                    await call()
        second.close()

    run_on(factory, main())


@on_both_loops
def test_closed_socket(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await loop.sock_recv(sock, 1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await loop.sock_sendall(sock, b"x")

    run_on(factory, main())


@on_both_loops
def test_peer_that_goes_while_we_wait(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        receiving = asyncio.create_task(loop.sock_recv(first, 1))
        await turns()
        second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        second.close()
        with pytest.raises(ConnectionResetError):
            await receiving
        first.close()

    run_on(factory, main())


# ---- sendfile


@on_both_loops
@pytest.mark.parametrize(("offset", "count"), [(0, None), (5, 3_000_000), (3_999_999, 10)])
def test_sendfile(factory, tmp_path: Path, offset: int, count: int | None) -> None:
    body = os.urandom(4_000_000)
    path = tmp_path / "file"
    path.write_bytes(body)
    expected = body[offset:] if count is None else body[offset : offset + count]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        receiving = asyncio.create_task(read_all(second))
        with path.open("rb") as file:
            assert await loop.sock_sendfile(first, file, offset, count) == len(expected)
            assert file.tell() == offset + len(expected)
        first.close()
        assert await receiving == expected
        second.close()

    run_on(factory, main())


@on_both_loops
def test_sendfile_of_what_is_no_file(factory) -> None:
    import io

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        body = os.urandom(500_000)
        receiving = asyncio.create_task(read_all(second))
        assert await loop.sock_sendfile(first, io.BytesIO(body)) == len(body)
        with pytest.raises(asyncio.SendfileNotAvailableError):
            await loop.sock_sendfile(first, io.BytesIO(body), fallback=False)
        first.close()
        assert await receiving == body
        second.close()

    run_on(factory, main())


def test_empty_file_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    async def main() -> None:
        first, second = tcp_pair()
        with (tmp_path / "empty").open("rb") as file:
            assert await asyncio.get_running_loop().sock_sendfile(first, file) == 0
        close_all(first, second)

    run_here(main())


def test_sendfile_of_nothing_leaves_the_position_at_the_offset(tmp_path: Path) -> None:
    """So the documentation says; asyncio does it since 3.14 only."""
    (tmp_path / "file").write_bytes(bytes(100))

    async def main() -> None:
        first, second = tcp_pair()
        with (tmp_path / "file").open("rb") as file:
            assert await asyncio.get_running_loop().sock_sendfile(first, file, offset=100) == 0
            assert file.tell() == 100
        close_all(first, second)

    run_here(main())


def refusals() -> list[ConnectionRefusedError]:
    """Those that are alive."""
    return [one for one in gc.get_objects() if isinstance(one, ConnectionRefusedError)]


@on_both_loops
def test_a_refused_connection_leaves_no_cycle(factory) -> None:
    """Its exception is gone with the last name for it, not with the next collection."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
        with socket.socket() as client:
            client.setblocking(False)
            refused = False
            try:
                await loop.sock_connect(client, address)
            except ConnectionRefusedError:  # pytest.raises would keep it
                refused = True
        assert refused
        await turns()  # the call that brought it here is over
        assert all(any(one is old for old in others) for one in refusals())

    gc.collect()
    others = refusals()  # of other tests, which something keeps
    gc.disable()
    try:
        run_on(factory, main())
    finally:
        gc.enable()


class BehavesLikeASocket:
    """All that a socket does, without being one."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


@on_both_loops
def test_what_behaves_like_a_socket_can_be_waited_for(factory) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        client, server = tcp_pair()
        with client, server:
            client.setblocking(False)
            server.setblocking(False)
            alike = BehavesLikeASocket(server)
            receiving = asyncio.create_task(loop.sock_recv(alike, 100))  # type: ignore[arg-type]
            await turns()
            await loop.sock_sendall(client, b"hello")
            return await receiving

    assert run_on(factory, main()) == b"hello"
