# SPDX-License-Identifier: MIT
"""Many clients that are slow, hostile or just waiting: memory is bounded, and others are served."""

from __future__ import annotations

import pytest

from tests.support.measured import MeasuredServer
from tests.support.raw import RawClient

KIB = 1 << 10
MIB = 1 << 20
HEAD_LIMIT = 64 * KIB
"""The size of a head above which it is refused."""


def test_unfinished_heads_cost_what_they_hold(server: MeasuredServer) -> None:
    """Each connection keeps a head that is as large as it may be, and no more."""
    count = 100
    before = server.measure()
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n", b"X: " + b"x" * 60 * KIB)
    server.served()
    assert server.measure().rss - before.rss < count * (HEAD_LIMIT + 32 * KIB)
    for client in clients:
        client.send(b"\r\n\r\n")
        assert client.read_response().body == b"hello"
        client.close()


def test_endless_heads_are_refused(server: MeasuredServer) -> None:
    """A flood of them costs the process nothing that it would not use again."""
    count, rounds = 50, 12

    def flood() -> None:
        clients = [server.connect() for _ in range(count)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
        for _ in range(9):
            for client in clients:
                client.send(b"X: " + b"x" * 7 * KIB + b"\r\n")
        for client in clients:
            client.send(b"X: " + b"x" * 2 * KIB)
            assert client.read_response().status == 431
            client.rst()

    flood()
    before = server.measure()
    for _ in range(rounds):
        flood()
    # How many of a flood are there at the same time differs.
    assert server.measure().rss - before.rss < 2 * count * (HEAD_LIMIT + 32 * KIB)


def test_endless_chunk_extensions_are_refused(server: MeasuredServer) -> None:
    """The text behind a chunk's size is kept nowhere, and must end at some point."""
    count = 100
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.send(b"POST /wait HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5")
    server.served()
    before = server.measure()
    for client in clients:
        client.send(*[b";" + b"x" * 8 * KIB] * 7)
    server.served()
    assert server.measure().rss - before.rss < count * 28 * KIB
    for client in clients:
        client.send(*[b";" + b"x" * 8 * KIB] * 2)
        assert client.read_response().status == 400
        client.rst()


def test_waiting_clients_are_in_nobodys_way(server: MeasuredServer) -> None:
    """300 requests wait for an event; 300 others are answered meanwhile."""
    waiting = [server.connect() for _ in range(300)]
    for client in waiting:
        client.get("/wait")
    with server.connect() as other:
        for _ in range(300):
            assert other.ask("/hello").body == b"hello"
        while other.ask("/waiting").body != b"300":
            pass
        assert all(client.quiet() for client in waiting)
        assert other.ask("/release").body == b"open"
        for client in waiting:
            assert client.read_response().body == b"released"
            client.close()
        assert other.ask("/waiting").body == b"0"


@pytest.mark.parametrize("how", ["close", "rst"])
def test_waiting_clients_that_go(server: MeasuredServer, how: str) -> None:
    """What 300 clients held is free again, although their requests go on."""
    server.measure()
    fds = server.measure().fds
    waiting: list[RawClient] = [server.connect() for _ in range(300)]
    for client in waiting:
        client.get("/wait")
    with server.connect() as other:
        while other.ask("/waiting").body != b"300":
            pass
    for client in waiting:
        client.leave(how)
    while server.measure().fds > fds:
        pass
    with server.connect() as other:
        assert other.ask("/waiting").body == b"300"
        assert other.ask("/release").body == b"open"
        while other.ask("/waiting").body != b"0":
            pass
