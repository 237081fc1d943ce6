# SPDX-License-Identifier: MIT
"""Bodies that come fast and are long: what is read without a copy is still right to the byte."""

from __future__ import annotations

import hashlib
import random

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond

LENGTHS = [65536, 65537, 131071, 131072, 131073, 196608, 1_000_003, 5_000_000]


async def digest_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the digest of the body; keep all its pieces until it is complete."""
    pieces = []
    more = True
    while more:
        message = await receive()
        pieces.append(message["body"])
        more = message["more_body"]
    assert all(type(piece) is bytes for piece in pieces)
    await respond(send, hashlib.sha256(b"".join(pieces)).hexdigest().encode())


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_long_bodies_arrive_as_they_were_sent(serve: Serve, chunked: bool) -> None:
    noise = random.Random(7)
    with serve(digest_body) as server, server.connect() as client:
        for length in LENGTHS:
            body = noise.randbytes(length)
            if chunked:
                framed = b"%x\r\n%s\r\n0\r\n\r\n" % (length, body)
                field = b"Transfer-Encoding: chunked"
            else:
                framed = body
                field = b"Content-Length: %d" % length
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n\r\n" + framed)
            answer = client.read_response()
            assert answer.body.decode() == hashlib.sha256(body).hexdigest(), length


def test_a_request_behind_a_long_body_is_not_swallowed(serve: Serve) -> None:
    body = random.Random(8).randbytes(1_000_003)
    with serve(digest_body) as server, server.connect() as client:
        request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        client.send(request * 3)
        for _ in range(3):
            answer = client.read_response()
            assert answer.body.decode() == hashlib.sha256(body).hexdigest()


def test_long_bodies_of_two_clients_do_not_mix(serve: Serve) -> None:
    bodies = [random.Random(seed).randbytes(2_000_000) for seed in (1, 2)]
    with serve(digest_body) as server, server.connect() as one, server.connect() as other:
        clients = [one, other]
        for client, body in zip(clients, bodies, strict=True):
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body))
        for start in range(0, 2_000_000, 500_000):
            for client, body in zip(clients, bodies, strict=True):
                client.send(body[start : start + 500_000])
        for client, body in zip(clients, bodies, strict=True):
            answer = client.read_response()
            assert answer.body.decode() == hashlib.sha256(body).hexdigest()


def test_a_client_that_leaves_in_the_middle(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got = 0
        while (message := await receive())["type"] == "http.request":
            got += len(message["body"])
            if got == 3_000_000:
                notes.put("got all")
        notes.put(message["type"])

    with serve(app) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n")
        client.send(bytes(3_000_000))
        assert notes.get() == "got all"
        client.rst()
        assert notes.get() == "http.disconnect"
