# SPDX-License-Identifier: MIT
"""Flow control both ways, with the server in a process of its own so that its memory can be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.measured import MeasuredServer

MIB = 1 << 20
GIB = 1 << 30
GROWTH = 1 * MIB


@pytest.fixture(params=["cuvee", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[MeasuredServer]:
    """A server process with tests/support/measured_app.py."""
    with MeasuredServer("tests.support.measured:flow_app", loop=request.param) as running:
        for _ in range(20):
            running.served()
        yield running


def test_an_upload_that_is_never_received(server: MeasuredServer) -> None:
    """The kernel's buffers fill, the process's memory does not, others are served."""
    before = server.measure()
    with server.connect() as client:
        client.send(b"POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % GIB)
        taken = client.send_until_stuck(b"x" * 65536, GIB)
        assert taken < 256 * MIB
        server.served()
        assert server.measure().rss - before.rss < GROWTH
        server.release()
        assert client.read_response().body == b"ignored"


def test_a_chunked_upload_that_is_never_received(server: MeasuredServer) -> None:
    before = server.measure()
    with server.connect() as client:
        client.send(b"POST /ignore HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        taken = client.send_until_stuck(b"1000\r\n" + b"x" * 4096 + b"\r\n", GIB)
        assert taken < 256 * MIB
        server.served()
        assert server.measure().rss - before.rss < GROWTH
        server.release()
        assert client.read_response().body == b"ignored"


def test_a_response_that_is_not_read(server: MeasuredServer) -> None:
    before = server.measure()
    with server.connect(rcvbuf=8192) as client:
        client.get("/gibibyte")
        progress = json.loads(server.served("/progress-when-stuck"))
        assert progress["stuck"]
        assert progress["sent"] < 64 * MIB
        server.served()
        assert server.measure().rss - before.rss < GROWTH


def test_pipelined_requests_that_are_not_answered(server: MeasuredServer) -> None:
    before = server.measure()
    with server.connect() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        taken = client.send_until_stuck(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n" * 1000, GIB)
        assert taken < 256 * MIB
        server.served()
        assert server.measure().rss - before.rss < GROWTH
        server.release()
        assert client.read_response().body == b"released"
        assert client.read_response().body == b"hello"


def test_many_stuck_uploads_cost_little_each(server: MeasuredServer) -> None:
    count = 20
    before = server.measure()
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.send(b"POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % GIB)
        client.send_until_stuck(b"x" * 65536, 16 * MIB, patience=0.1)
    assert server.measure().rss - before.rss < count * 256 * 1024
    server.served()
    for client in clients:
        client.rst()


def test_a_stream_that_is_read_slowly_arrives_whole(server: MeasuredServer) -> None:
    with server.connect(rcvbuf=8192) as client:
        client.get("/numbers")
        body = client.read_response().body
    assert body == b"".join(b"%015d\n" % number for number in range(len(body) // 16))
    assert len(body) == 32 * MIB


def test_an_idle_connection_costs_little(server: MeasuredServer) -> None:
    """After its requests a connection keeps nothing of them."""
    warm = [server.connect() for _ in range(200)]
    for client in warm:
        assert client.ask("/hello").status == 200
    before = server.measure()
    more = [server.connect() for _ in range(200)]
    for client in more:
        assert client.ask("/hello").status == 200
    grown = server.measure().rss - before.rss
    for client in warm + more:
        client.close()
    assert grown < 200 * 16 * 1024
