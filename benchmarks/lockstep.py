"""Connections that ask in step: all send, then all read. So many requests, and the same ones, each time."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import BinaryIO

from benchmarks.servers import ServerError

TOGETHER = 256
"""So many ask at once: no server's backlog is smaller."""


def get(path: str) -> bytes:
    """A plain request."""
    return b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode()


class Lockstep:
    """Some keep-alive connections to a server on this machine."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self._port = port
        self._request = get(path)
        self._answers = 1
        self._count = count
        self._open: list[tuple[socket.socket, BinaryIO]] = []

    def send_this(self, request: bytes, answers: int) -> None:
        """Send these bytes in place of a plain request; they want so many answers."""
        self._request = request
        self._answers = answers

    def __enter__(self) -> Lockstep:
        """Connect, and let each connection ask once."""
        try:
            while len(self._open) < self._count:
                begin = len(self._open)
                for _ in range(min(TOGETHER, self._count - begin)):
                    sock = socket.create_connection(("127.0.0.1", self._port), timeout=30)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._open.append((sock, sock.makefile("rb")))
                self._ask(begin)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()

    def ask(self, times: int) -> int:
        """Let every connection ask so often; return how often they did together."""
        for _ in range(times):
            for begin in range(0, len(self._open), TOGETHER):
                self._ask(begin)
        return times * len(self._open)

    def check_open(self) -> None:
        """Raise if the server has ended a connection."""
        for sock, _ in self._open:
            sock.setblocking(False)
            try:
                ended = sock.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                continue
            finally:
                sock.settimeout(30)
            raise ServerError("it closed a connection" if ended else "it said more than was asked")

    def close(self) -> None:
        """Hang up."""
        for sock, file in self._open:
            file.close()
            sock.close()
        self._open.clear()

    def _ask(self, begin: int) -> None:
        those = self._open[begin : begin + TOGETHER]
        for sock, _ in those:
            sock.sendall(self._request)
        for _, file in those:
            for _ in range(self._answers):
                _read_answer(file)


def _read_answer(file: BinaryIO) -> None:
    status = file.readline()
    if not status.startswith(b"HTTP/1.1 2"):
        raise ServerError(f"it answers {status!r}")
    length = -1
    while (line := file.readline().strip().lower()) != b"":
        name, _, value = line.partition(b":")
        if name == b"content-length":
            length = int(value)
    if length >= 0:
        _skip(file, length)
        return
    try:
        while (size := int(file.readline(), 16)) > 0:
            _skip(file, size + 2)
    except ValueError:
        raise ServerError("an answer of it is neither chunked nor has a length") from None
    file.readline()


def _skip(file: BinaryIO, size: int) -> None:
    if len(file.read(size)) < size:
        raise ServerError("it broke off an answer")
