# SPDX-License-Identifier: MIT
"""What WebSocket clients do in the leak scenarios."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from tests.leaks.scenarios import Scenario
from tests.support.measured import MeasuredServer
from tests.support.web_socket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    WebSocketClient,
    close_frame,
    connect,
    fragments,
    frame,
    handshake,
    opened,
)

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
CHAT = "Sec-WebSocket-Protocol: chat, superchat"
LONG = "ab c" * 5000


def deflated(data: bytes) -> bytes:
    """Return the payload of a compressed message (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def each(path: str, what: Callable[[WebSocketClient], None], *fields: str) -> Scenario:
    """Each time on a WebSocket of its own."""

    def run(server: MeasuredServer, count: int) -> None:
        for _ in range(count):
            with opened(server, path, CHAT, *fields) as client:
                what(client)

    return run


def on_one(what: Callable[[WebSocketClient], None], *fields: str) -> Scenario:
    """All on one WebSocket, which is echoed."""

    def run(server: MeasuredServer, count: int) -> None:
        with opened(server, "/ws_echo", CHAT, *fields) as client:
            for _ in range(count):
                what(client)
            client.say_goodbye()

    return run


def answered(path: str, status: int, **changed: Any) -> Scenario:
    """A handshake that is not accepted."""

    def run(server: MeasuredServer, count: int) -> None:
        for _ in range(count):
            with connect(server) as client:
                client.send(handshake(path, **changed))
                assert client.read_head().status == status
                client.read_to_end()

    return run


def talk(client: WebSocketClient) -> None:
    """Text, bytes, fragments with a ping between them, and a long message."""
    client.text("hé")
    client.binary(b"bytes")
    first, *others = fragments(TEXT, [b"one", b"two", b"three"])
    client.send(first + frame(PING, b"?") + b"".join(others))
    client.text(LONG)
    frames = [client.read_frame() for _ in range(5)]
    assert sorted(one.opcode for one in frames) == [TEXT, TEXT, TEXT, BINARY, PONG]
    assert frames[4].payload == LONG.encode()


def talk_compressed(client: WebSocketClient) -> None:
    """Compressed messages, whole and in pieces."""
    data = deflated(LONG.encode())
    client.send(frame(TEXT, data, rsv=4))
    client.send(b"".join(fragments(BINARY, [data[:9], data[9:]], rsv=4)))
    for _ in range(2):
        assert client.read_frame().rsv == 4


def leave(how: str, *frames: bytes) -> Callable[[WebSocketClient], None]:
    """Send something, and go without a word."""

    def what(client: WebSocketClient) -> None:
        client.send(b"".join(frames))
        client.leave(how)

    return what


def till_closed(*frames: bytes) -> Callable[[WebSocketClient], None]:
    """Send something that ends in the server's close frame."""

    def what(client: WebSocketClient) -> None:
        client.send(b"".join(frames))
        while client.read_frame().opcode != CLOSE:
            pass
        client.send(close_frame())
        client.read_to_end()

    return what


WEB_SOCKET_SCENARIOS: dict[str, Scenario] = {
    "messages": on_one(talk),
    "compressed messages": on_one(talk_compressed, DEFLATE),
    "connects": each("/ws_echo", WebSocketClient.say_goodbye),
    "connects, compressed": each("/ws_echo", talk_compressed, DEFLATE),
    "rejected": answered("/ws_reject", 403),
    "denied": answered("/ws_deny", 401),
    "failed": answered("/ws_fail", 500),
    "no such version": answered("/ws_echo", 426, sec_websocket_version="8"),
    "no key": answered("/ws_echo", 400, sec_websocket_key=None),
    "failed later": each("/ws_fail_later", till_closed(frame(TEXT, b"a"), frame(TEXT, b"b"))),
    "returned": each("/ws_return", till_closed(frame(TEXT, b"a"), frame(TEXT, b"b"))),
    "closed by the application": each("/ws_close", till_closed()),
    "wrong messages": each("/ws_wrong", till_closed()),
    "cancelled receive": each("/ws_cancelled", lambda client: cancelled(client)),
    "gone, FIN": each("/ws_echo", leave("close", frame(TEXT, b"a"), frame(TEXT, b"b"))),
    "gone, RST": each("/ws_echo", leave("rst", frame(TEXT, b"a"))),
    "gone in a frame": each("/ws_echo", leave("rst", frame(TEXT, b"abc")[:-1])),
    "gone in a compressed message": each(
        "/ws_echo", leave("rst", fragments(TEXT, [b"\xaa", b"x"], rsv=4)[0]), DEFLATE
    ),
    "gone while sends wait": each("/ws_stuck", lambda client: gone_unread(client)),
    "broken frame": each("/ws_echo", till_closed(frame(TEXT, b"a"), frame(3, b"x"))),
    "no UTF-8": each("/ws_echo", till_closed(frame(TEXT, b"\xff"))),
    "too large": each("/ws_echo", till_closed(frame(BINARY, bytes(200_000)))),
    "too large, compressed": each(
        "/ws_echo", till_closed(frame(BINARY, deflated(bytes(200_000)), rsv=4)), DEFLATE
    ),
}
"""Under --ws-max-size 100000."""


def cancelled(client: WebSocketClient) -> None:
    """One message, which a receive that was cancelled must not take with it."""
    client.text("kept")
    assert client.read_message() == "kept"
    client.say_goodbye()


def gone_unread(client: WebSocketClient) -> None:
    """Read a little of what is far too much."""
    client.read_frame()
    client.leave("rst")
