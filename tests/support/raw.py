# SPDX-License-Identifier: MIT
"""A blocking HTTP/1.1 client on a plain socket that leaves every byte, FIN and RST to the test."""

from __future__ import annotations

import select
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType

from tests.support.asgi import WAIT

Address = str | tuple[str, int]


class Incomplete(AssertionError):
    """The connection ended before what the test wanted to read was there."""


@dataclass
class Response:
    """One response as it stood on the wire."""

    version: bytes
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    head: bytes = b""

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of every field called `name`."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a field that stands there at most once."""
        values = self.all(name)
        assert len(values) < 2, values
        return values[0] if values else None

    @property
    def chunked(self) -> bool:
        """Whether the body came in chunks."""
        return self.get(b"transfer-encoding") == b"chunked"


def parse_head(head: bytes) -> Response:
    """Cut a response head, final CRLF CRLF included, into its parts, strictly."""
    assert head.endswith(b"\r\n\r\n"), head
    lines = head[:-4].split(b"\r\n")
    version, status, reason = lines[0].split(b" ", 2)
    assert version == b"HTTP/1.1", lines[0]
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        assert colon and name and name == name.lower(), line
        assert b"\n" not in value and b"\r" not in value, line
        headers.append((name, value.strip(b" \t")))
    return Response(version, int(status), reason, headers, head=head)


class RawClient:
    """One connection, from an address of one's choice. A read waits at most WAIT seconds, then fails the test."""

    def __init__(
        self,
        address: Address,
        *,
        rcvbuf: int | None = None,
        sndbuf: int | None = None,
        source: str | None = None,
    ) -> None:
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if sndbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
        if source is not None:
            self.sock.bind((source, 0))
        self.sock.settimeout(WAIT)
        self.sock.connect(address)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.reset = False

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket (a FIN, or an RST when unread bytes are there)."""
        self.sock.close()

    def fin(self) -> None:
        """Half-close: nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def rst(self) -> None:
        """Break the connection off."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def leave(self, how: str) -> None:
        """Go, by `fin`, `close` or `rst`."""
        {"fin": self.fin, "close": self.close, "rst": self.rst}[how]()

    def send(self, *pieces: bytes) -> None:
        """Send the pieces, each with a system call of its own."""
        for piece in pieces:
            self.sock.sendall(piece)

    def send_until_stuck(self, piece: bytes, limit: int, patience: float = 0.5) -> int:
        """Send `piece` again and again until the peer takes nothing for `patience` seconds, or
        `limit` bytes are out. Return how many bytes were taken. A piece may be cut."""
        sent = 0
        self.sock.setblocking(False)
        try:
            while sent < limit:
                if not select.select([], [self.sock], [], patience)[1]:
                    break
                try:
                    sent += self.sock.send(piece[: limit - sent])
                except BlockingIOError:
                    continue
        finally:
            self.sock.settimeout(WAIT)
        return sent

    def get(self, path: str = "/", *fields: str) -> None:
        """Send a GET without a body."""
        self.request("GET", path, *fields)

    def request(self, method: str, path: str, *fields: str, body: bytes | None = None) -> None:
        """Send a request in one piece."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def _more(self) -> bool:
        try:
            data = self.sock.recv(262144)
        except ConnectionError:
            self.reset = True
            return False
        except TimeoutError:
            raise AssertionError(f"nothing came; so far {self.buffer[:2000]!r}") from None
        self.buffer += data
        return data != b""

    def read(self, count: int) -> bytes:
        """Read exactly `count` bytes."""
        pieces = [self.buffer]
        missing = count - len(self.buffer)
        while missing > 0:
            self.buffer = b""
            ended = not self._more()
            pieces.append(self.buffer)
            missing -= len(self.buffer)
            if ended:
                self.buffer = b"".join(pieces)
                raise Incomplete(f"ended after {self.buffer[:2000]!r}")
        data = b"".join(pieces)
        self.buffer = data[count:]
        return data[:count]

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and with `mark`."""
        seen = 0
        while True:
            at = self.buffer.find(mark, max(0, seen - len(mark)))
            if at >= 0:
                return self.read(at + len(mark))
            seen = len(self.buffer)
            if not self._more():
                raise Incomplete(f"ended after {self.buffer[:2000]!r}")

    def read_to_end(self) -> bytes:
        """Read until the peer ends the connection, by FIN or RST."""
        pieces = [self.buffer]
        self.buffer = b""
        while self._more():
            pieces.append(self.buffer)
            self.buffer = b""
        return b"".join(pieces)

    def discard_to_end(self) -> int:
        """Read to the end, keeping only the number of bytes."""
        count = len(self.buffer)
        self.buffer = b""
        while self._more():
            count += len(self.buffer)
            self.buffer = b""
        return count

    def quiet(self) -> bool:
        """Tell whether nothing, not even an end, has come that was not read yet."""
        return not self.buffer and not select.select([self.sock], [], [], 0)[0]

    def _chunks(self) -> list[bytes]:
        chunks = []
        while True:
            line = self.read_until(b"\r\n")
            size = int(line[:-2], 16)
            data = self.read(size)
            assert self.read(2) == b"\r\n"
            if not size:
                return chunks
            chunks.append(data)

    def read_head(self) -> Response:
        """Read one head, an interim one too."""
        return parse_head(self.read_until(b"\r\n\r\n"))

    def read_response(self, method: str = "GET") -> Response:
        """Read one whole response, and nothing behind it. Interim ones (1xx) must not come."""
        response = self.read_head()
        length = response.get(b"content-length")
        assert response.status >= 200, response
        if method == "HEAD" or response.status in (204, 304):
            return response
        if response.chunked:
            assert length is None, response
            response.chunks = self._chunks()
            response.body = b"".join(response.chunks)
        elif length is not None:
            response.body = self.read(int(length))
        else:
            response.body = self.read_to_end()
        return response

    def ask(self, path: str = "/", *fields: str) -> Response:
        """Send a GET and read its response."""
        self.get(path, *fields)
        return self.read_response()

    def assert_open(self, path: str = "/") -> None:
        """The connection must still serve a request, with nothing left over before it."""
        assert self.ask(path).status == 200

    def assert_closed(self) -> None:
        """The peer must end the connection, with no byte more."""
        assert self.read_to_end() == b""
