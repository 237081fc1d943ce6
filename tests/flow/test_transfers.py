# SPDX-License-Identifier: MIT
"""Long transfers of every kind: the most memory that the server needs at a time does not depend on their length."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.measured import MeasuredServer
from tests.support.raw import RawClient

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
PIECE = 64 * KIB
GROWTH = 2 * MIB
A_SECOND = 150
"""Kibibytes that are read at one a second: longer than two pauses of --timeout-write."""

each_size = pytest.mark.parametrize(
    "size",
    [
        pytest.param(64 * MIB, id="64 MiB"),
        pytest.param(GIB, id="1 GiB", marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)


@pytest.fixture
def server() -> Iterator[MeasuredServer]:
    """A server process with the application of transfers, warmed up."""
    with MeasuredServer("tests.flow.transfers:app") as running:
        for _ in range(20):
            running.served("/take")
        yield running


@contextmanager
def bounded(server: MeasuredServer) -> Iterator[None]:
    """Fail if the server needs more than some buffers meanwhile."""
    server.forget_peak()
    before = server.peak()
    yield
    assert server.peak() - before < GROWTH


@contextmanager
def sending(client: RawClient, pieces: Iterable[bytes]) -> Iterator[None]:
    """Send meanwhile, so that what comes back can be read."""
    thread = threading.Thread(target=client.send, args=pieces)
    thread.start()
    yield
    thread.join()


def head(*fields: str) -> bytes:
    """Return the head of an upload."""
    return "\r\n".join(["POST /take HTTP/1.1", "Host: h", *fields, "", ""]).encode()


def chunked(data: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


UPLOADS = {
    "counted": (),
    "chunked": ("Transfer-Encoding: chunked",),
    "counted, expected": ("Expect: 100-continue",),
    "chunked, expected": ("Transfer-Encoding: chunked", "Expect: 100-continue"),
}


@each_size
@pytest.mark.parametrize("fields", UPLOADS.values(), ids=UPLOADS.keys())
def test_upload(server: MeasuredServer, fields: tuple[str, ...], size: int) -> None:
    in_chunks = "Transfer-Encoding: chunked" in fields
    length = () if in_chunks else (f"Content-Length: {size}",)
    piece = chunked(bytes(PIECE)) if in_chunks else bytes(PIECE)
    with bounded(server), server.connect() as client:
        client.send(head(*fields, *length))
        if "Expect: 100-continue" in fields:
            assert client.read_head().status == 100
        for _ in range(size // PIECE):
            client.send(piece)
        if in_chunks:
            client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"%d" % size


@each_size
def test_pipelined_uploads(server: MeasuredServer, size: int) -> None:
    """One behind the other, without a look at the answers before the next one is sent."""
    part = bytes(16 * KIB)
    two = head(f"Content-Length: {len(part)}") + part
    two += head("Transfer-Encoding: chunked") + chunked(part) + b"0\r\n\r\n"
    count = size // (2 * len(part))
    with bounded(server), server.connect() as client:
        with sending(client, [two] * count):
            for _ in range(2 * count):
                assert client.read_response().body == b"%d" % len(part)


@each_size
def test_download(server: MeasuredServer, size: int) -> None:
    with bounded(server), server.connect() as client:
        client.get(f"/give/{size}", "Connection: close")
        assert client.discard_to_end() > size


@each_size
def test_download_by_kibibytes(server: MeasuredServer, size: int) -> None:
    """By a client that has no room for more."""
    with bounded(server), server.connect(rcvbuf=4 * KIB) as client:
        client.get(f"/give/{size}", "Connection: close")
        count = 0
        while data := client.sock.recv(KIB):
            count += len(data)
        assert count > size


@pytest.mark.full
@pytest.mark.timeout(2 * A_SECOND)
def test_download_by_a_kibibyte_a_second(server: MeasuredServer) -> None:
    """A client that is this slow is not cut."""
    with bounded(server), server.connect(rcvbuf=4 * KIB) as client:
        client.get(f"/give/{GIB}")
        for _ in range(A_SECOND):
            time.sleep(1)
            assert client.sock.recv(KIB)


@each_size
def test_pipelined_downloads(server: MeasuredServer, size: int) -> None:
    """All requests are sent before the first answer is looked at, or as many as the server and the kernel take."""
    request = b"GET /give/%d HTTP/1.1\r\nHost: h\r\n\r\n" % PIECE
    requests = request * (size // PIECE)
    with bounded(server), server.connect() as client:
        sent = client.send_until_stuck(requests, len(requests))
        with sending(client, [requests[sent:]]):
            for _ in range(size // PIECE):
                assert len(client.read_response().body) == PIECE
