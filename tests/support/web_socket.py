# SPDX-License-Identifier: MIT
"""A WebSocket client on a plain socket that leaves every frame, mask and piece to the test."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import select
import struct
from dataclasses import dataclass
from typing import Protocol, Self

from tests.support.asgi import WAIT
from tests.support.raw import Address, RawClient, Response, parse_head

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
DATA = (CONTINUATION, TEXT, BINARY)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x37\xfa\x21\x3d"


class HasAddress(Protocol):
    """A server that can be connected to."""

    @property
    def address(self) -> Address:
        """Where it listens."""


@dataclass
class Frame:
    """One frame as it stood on the wire."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def code(self) -> int | None:
        """The code of a close frame, if it has one."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big") if self.payload else None

    @property
    def reason(self) -> str:
        """The reason of a close frame."""
        assert self.opcode == CLOSE, self
        return self.payload[2:].decode()


def masked(payload: bytes, mask: bytes) -> bytes:
    """Return `payload` with `mask` over it, or without it again (RFC 6455 section 5.3)."""
    size = len(payload)
    whole = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")


def frame_head(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length_size: int | None = None,
) -> bytes:
    """Return the head of a frame; its length is in 1, 2 or 8 bytes, the shortest that does."""
    if length_size is None:
        length_size = 1 if length < 126 else 2 if length < 65536 else 8
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0 if mask is None else 0x80
    if length_size == 1:
        head = struct.pack("!BB", first, bit | length)
    elif length_size == 2:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    return head + (mask or b"")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length_size: int | None = None,
) -> bytes:
    """Return a whole frame."""
    head = frame_head(opcode, len(payload), fin=fin, rsv=rsv, mask=mask, length_size=length_size)
    return head + (payload if mask is None else masked(payload, mask))


def fragments(opcode: int, pieces: list[bytes], *, rsv: int = 0) -> list[bytes]:
    """Return the frames of a message that comes in these pieces."""
    last = len(pieces) - 1
    return [
        frame(
            opcode if at == 0 else CONTINUATION,
            piece,
            fin=at == last,
            rsv=rsv if at == 0 else 0,
        )
        for at, piece in enumerate(pieces)
    ]


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Return a close frame; without a code, an empty one."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def handshake(
    target: str = "/",
    *fields: str,
    method: str = "GET",
    version: str = "HTTP/1.1",
    **changed: str | None,
) -> bytes:
    """Return an opening handshake; `changed` are other values for its fields, or None to omit one."""
    values: dict[str, str | None] = {
        "host": "test",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec_websocket_key": KEY,
        "sec_websocket_version": "13",
    }
    lines = [f"{method} {target} {version}"]
    for name, value in (values | changed).items():
        if value is not None:
            lines.append(f"{name.replace('_', '-')}: {value}")
    return "\r\n".join([*lines, *fields, "", ""]).encode("latin-1")


def accept_key(key: str = KEY) -> bytes:
    """Return what answers a key (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest)


class WebSocketClient(RawClient):
    """One connection; names of fields in an answer are taken as if they were written small."""

    def read_head(self) -> Response:
        """Read one head, an interim one too."""
        head = self.read_until(b"\r\n\r\n")
        return parse_head(re.sub(rb"\r\n[^:\r]+:", lambda name: name[0].lower(), head))

    def accepted(self) -> Response:
        """Read the head that opens the WebSocket, and check it (RFC 6455 section 4.2.2)."""
        head = self.read_head()
        assert head.status == 101, head
        assert (head.get(b"upgrade") or b"").lower() == b"websocket"
        assert (head.get(b"connection") or b"").lower() == b"upgrade"
        assert head.get(b"content-length") is None and head.get(b"transfer-encoding") is None
        return head

    def open(self, target: str = "/", *fields: str) -> Response:
        """Shake hands."""
        self.send(handshake(target, *fields))
        head = self.accepted()
        assert head.get(b"sec-websocket-accept") == accept_key()
        return head

    def text(self, payload: str | bytes) -> None:
        """Send a text message in one frame."""
        self.send(frame(TEXT, payload.encode() if isinstance(payload, str) else payload))

    def binary(self, payload: bytes) -> None:
        """Send a binary message in one frame."""
        self.send(frame(BINARY, payload))

    def flood(self, block: bytes, limit: int, patience: float = 0.5) -> int:
        """Send `block` over and over until the peer takes nothing for `patience` seconds, or about
        `limit` bytes are out. Return how many were taken; the next one is that of a cut block."""
        sent = 0
        self.sock.setblocking(False)
        try:
            while sent < limit and select.select([], [self.sock], [], patience)[1]:
                with contextlib.suppress(BlockingIOError):
                    sent += self.sock.send(block[sent % len(block) :])
        finally:
            self.sock.settimeout(WAIT)
        return sent

    def read_frame(self) -> Frame:
        """Read one frame, which must be as a server has to write it (RFC 6455 section 5)."""
        first, second = self.read(2)
        assert not second & 0x80, "a server must not mask"
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(self.read(2), "big")
            assert length > 125, length
        elif length == 127:
            length = int.from_bytes(self.read(8), "big")
            assert 65535 < length < 1 << 63, length
        frame = Frame(first & 0xF, self.read(length), bool(first & 0x80), first >> 4 & 7)
        assert frame.opcode in (*DATA, CLOSE, PING, PONG), frame
        if frame.opcode >= CLOSE:
            assert frame.fin and length < 126 and not frame.rsv, frame
        return frame

    def read_message(self) -> str | bytes:
        """Read one message without compression, in however many frames."""
        first = self.read_frame()
        assert first.opcode in (TEXT, BINARY) and not first.rsv, first
        pieces, last = [first.payload], first
        while not last.fin:
            last = self.read_frame()
            assert last.opcode == CONTINUATION and not last.rsv, last
            pieces.append(last.payload)
        payload = b"".join(pieces)
        return payload.decode() if first.opcode == TEXT else payload

    def read_close(self) -> Frame:
        """Read a close frame, and nothing behind it but the connection's end."""
        frame = self.read_frame()
        assert frame.opcode == CLOSE, frame
        assert self.read_to_end() == b""
        return frame

    def follow_close(self, code: int) -> None:
        """Be told to close, and do."""
        assert self.read_frame().code == code
        self.send(close_frame(code))
        assert self.read_to_end() == b""

    def say_goodbye(self, code: int = 1000) -> None:
        """Close in order."""
        self.send(close_frame(code))
        assert self.read_close().code == code

    def assert_alive(self) -> None:
        """The peer must answer a ping, with nothing left over before that."""
        self.send(frame(PING, b"alive?"))
        assert self.read_frame() == Frame(PONG, b"alive?")

    def __enter__(self) -> Self:
        return self


def connect(
    server: HasAddress, *, rcvbuf: int | None = None, sndbuf: int | None = None
) -> WebSocketClient:
    """Open a connection that has not shaken hands yet."""
    return WebSocketClient(server.address, rcvbuf=rcvbuf, sndbuf=sndbuf)


def opened(
    server: HasAddress,
    target: str = "/",
    *fields: str,
    rcvbuf: int | None = None,
    sndbuf: int | None = None,
) -> WebSocketClient:
    """Open a WebSocket."""
    client = connect(server, rcvbuf=rcvbuf, sndbuf=sndbuf)
    try:
        client.open(target, *fields)
    except BaseException:
        client.close()
        raise
    return client
