# SPDX-License-Identifier: MIT
"""Sockets that are closed while a `sock_` call waits for them: they keep their number until it ends,
so that it is nobody else's meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import cuvee
from tests.loop.streams_support import on_both_loops, run_here, run_on, tcp_pair, turns

Wait = Callable[[socket.socket], Coroutine[Any, Any, Any]]


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def fill(sock: socket.socket) -> None:
    """Send until the kernel takes no more."""
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass


def receive(sock: socket.socket) -> Coroutine[Any, Any, Any]:
    return asyncio.get_running_loop().sock_recv(sock, 100)


def receive_into(sock: socket.socket) -> Coroutine[Any, Any, Any]:
    return asyncio.get_running_loop().sock_recv_into(sock, bytearray(100))


def receive_from(sock: socket.socket) -> Coroutine[Any, Any, Any]:
    return asyncio.get_running_loop().sock_recvfrom(sock, 100)


def send(sock: socket.socket) -> Coroutine[Any, Any, Any]:
    fill(sock)
    return asyncio.get_running_loop().sock_sendall(sock, b"more")


async def send_a_file(sock: socket.socket) -> None:
    fill(sock)
    with Path(__file__).open("rb") as file:
        await asyncio.get_running_loop().sock_sendfile(sock, file)


all_waits = pytest.mark.parametrize(
    "wait", [receive, receive_into, receive_from, send, send_a_file], ids=lambda wait: wait.__name__
)


@all_waits
def test_the_number_is_kept_until_the_wait_ends(wait: Wait) -> None:
    async def main() -> None:
        first, second = tcp_pair()
        number = first.fileno()
        waiting = asyncio.create_task(wait(first))
        await turns()
        first.close()
        assert is_open(number)
        with socket.socket() as other:
            assert other.fileno() != number
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not is_open(number)
        second.close()

    run_here(main())


@on_both_loops
@all_waits
def test_nothing_is_held_after_the_wait(factory, wait: Wait) -> None:
    async def main() -> None:
        first, second = tcp_pair()
        number = first.fileno()
        waiting = asyncio.create_task(wait(first))
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert is_open(number)
        first.close()
        assert not is_open(number)
        second.close()

    run_on(factory, main())


def test_who_waits_gets_what_comes() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        number = first.fileno()
        waiting = asyncio.create_task(loop.sock_recv(first, 100))
        await turns()
        first.close()
        second.send(b"data")
        assert await waiting == b"data"
        assert not is_open(number)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await loop.sock_recv(first, 100)
        second.close()

    run_here(main())


def test_two_waits_for_one_socket() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        number = first.fileno()
        receiving = asyncio.create_task(loop.sock_recv(first, 100))
        sending = asyncio.create_task(send(first))
        await turns()
        first.close()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert is_open(number)
        second.send(b"data")
        assert await receiving == b"data"
        assert not is_open(number)
        second.close()

    run_here(main())


@pytest.mark.parametrize("closed", [False, True])
def test_a_loop_that_is_closed_lets_go(closed: bool) -> None:
    """What the program closed is closed then; what it did not is still its own."""
    loop = cuvee.new_event_loop()
    first, second = tcp_pair()
    number = first.fileno()
    waiting = loop.create_task(loop.sock_recv(first, 100))
    loop.run_until_complete(asyncio.sleep(0))
    if closed:
        first.close()
    assert is_open(number)
    loop.close()
    assert is_open(number) is not closed
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    del waiting
    assert is_open(number) is not closed
    first.close()
    second.close()
    assert not is_open(number)


def test_a_task_that_is_dropped_lets_go() -> None:
    """Before the loop is closed: its coroutine ends where it waits."""

    async def main() -> None:
        first, second = tcp_pair()
        number = first.fileno()
        coroutine = asyncio.get_running_loop().sock_recv(first, 100)
        coroutine.send(None)
        first.close()
        assert is_open(number)
        coroutine.close()
        assert not is_open(number)
        second.close()

    run_here(main())


@on_both_loops
def test_a_socket_that_is_detached_is_its_new_owners(factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        waiting = asyncio.create_task(loop.sock_recv(first, 100))
        await turns()
        number = first.detach()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert is_open(number)
        os.close(number)
        second.close()

    run_on(factory, main())


def test_a_file_of_the_socket_holds_it_too() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = tcp_pair()
        number = first.fileno()
        file = first.makefile("rb", buffering=0)
        waiting = asyncio.create_task(loop.sock_recv(first, 100))
        await turns()
        first.close()
        file.close()
        assert is_open(number)
        second.send(b"data")
        assert await waiting == b"data"
        assert not is_open(number)
        second.close()

    run_here(main())


def test_a_connection_that_is_refused_lets_go() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = free.getsockname()
        sock = socket.socket()
        sock.setblocking(False)
        number = sock.fileno()
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(sock, address)
        sock.close()
        assert not is_open(number)

    run_here(main())
