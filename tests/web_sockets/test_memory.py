# SPDX-License-Identifier: MIT
"""After very many messages and connects a server has the memory that it had before."""

from __future__ import annotations

import pytest

from tests.support.measured import SANITIZED, MeasuredServer
from tests.support.web_socket import BINARY, frame, opened

ROOM = 1 << 20
"""Bytes by which resident memory may differ: the allocator's, not ours."""
BLOCK = 500
PAYLOAD = bytes(range(64))


def messages(server: MeasuredServer, count: int) -> None:
    """Have so many messages echoed on one WebSocket."""
    block = frame(BINARY, PAYLOAD) * BLOCK
    answer = (b"\x82\x40" + PAYLOAD) * BLOCK
    with opened(server, "/ws_echo") as client:
        for _ in range(count // BLOCK):
            client.send(block)
            assert client.read(len(answer)) == answer
        client.say_goodbye()


def connects(server: MeasuredServer, count: int) -> None:
    """Open and close so many WebSockets."""
    for _ in range(count):
        with opened(server, "/ws_echo") as client:
            client.say_goodbye()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("what", "warm_up", "count"),
    [
        (messages, 20_000, 50_000),
        (connects, 200, 500),
        pytest.param(messages, 50_000, 1_000_000, marks=pytest.mark.full),
        pytest.param(connects, 1000, 10_000, marks=pytest.mark.full),
    ],
)
def test_memory_is_as_before(what: object, warm_up: int, count: int) -> None:
    assert callable(what)
    with MeasuredServer("tests.leaks.applications:Application", access_log=False) as server:
        what(server, warm_up)
        server.served("/quiet")
        before = server.measure().rss
        what(server, count)
        server.served("/quiet")
        assert server.measure().rss - before < ROOM
