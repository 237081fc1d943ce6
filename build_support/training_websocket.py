"""What the training run says over WebSocket: frames of clients, as bytes (RFC 6455, RFC 7692)."""

from __future__ import annotations

import zlib

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, COMPRESSED, MASKED = 0x80, 0x40, 0x80
MASK = b"\x37\xfa\x21\x3d"
UPGRADE = (
    b"Host: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


def frame(opcode: int, data: bytes = b"", flags: int = FIN) -> bytes:
    """One masked frame."""
    size = len(data)
    if size < 126:
        length = bytes([MASKED | size])
    elif size < 1 << 16:
        length = bytes([MASKED | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([MASKED | 127]) + size.to_bytes(8, "big")
    key = int.from_bytes((MASK * (size // 4 + 1))[:size], "big")
    masked = (int.from_bytes(data, "big") ^ key).to_bytes(size, "big")
    return bytes([flags | opcode]) + length + MASK + masked


def fragments(opcode: int, data: bytes) -> bytes:
    """A message in three frames, with a ping in between."""
    third = len(data) // 3
    return b"".join(
        [
            frame(opcode, data[:third], flags=0),
            frame(CONTINUATION, data[third : 2 * third], flags=0),
            frame(PING, b"there?"),
            frame(CONTINUATION, data[2 * third :]),
        ]
    )


def compressed(opcode: int, data: bytes) -> bytes:
    """A message that permessage-deflate makes shorter, without a context."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -12)
    body = deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(opcode, body[:-4], FIN | COMPRESSED)


def close(code: int = 1000) -> bytes:
    """The frame that ends it."""
    return frame(CLOSE, code.to_bytes(2, "big"))
