# SPDX-License-Identifier: MIT
"""What both corpora need of a client: bytes in one piece or one by one, and the answers behind interim ones."""

from __future__ import annotations

from tests.support.raw import RawClient, Response
from tests.support.server import RunningServer

GOOD = b"GET /good HTTP/1.1\r\nHost: good\r\n\r\n"
"""A request that must be seen where the bytes before it leave the connection in order, and nowhere else."""


def send_some(client: RawClient, data: bytes) -> None:
    """Send what the server may have refused before all of it is there."""
    try:
        client.send(data)
    except ConnectionError:
        client.reset = True


def drip(server: RunningServer, client: RawClient, data: bytes) -> None:
    """Send byte by byte, each of them read before the next one is sent."""
    server.settle()  # the connection is accepted
    for at in range(len(data)):
        send_some(client, data[at : at + 1])
        server.settle(1)


def read_final(client: RawClient, method: str) -> Response:
    """Read one response, and drop what comes of 100 Continue before it."""
    head = client.read_head()
    if head.status == 100:
        return read_final(client, method)
    client.buffer = head.head + client.buffer
    return client.read_response(method)
