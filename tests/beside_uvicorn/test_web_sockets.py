# SPDX-License-Identifier: MIT
"""What clients, applications and logs see of a WebSocket is uvicorn's, or is listed here."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.beside_uvicorn.both import NAMES, Conversation, running
from tests.support.measured import ROOT
from tests.support.raw import Incomplete
from tests.support.web_socket import (
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Frame,
    WebSocketClient,
    close_frame,
    fragments,
    frame,
    handshake,
)

Pair = tuple[Conversation, Conversation]
Step = bytes | int | str
"""What a client does: it sends bytes, reads so many frames, or goes."""


class Case(NamedTuple):
    """A handshake, and what comes behind it."""

    opening: bytes
    steps: Sequence[Step] = ()


class Seen(NamedTuple):
    """What a client sees."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    frames: list[tuple[int, bytes]]


FRAMING = (
    b"server",
    b"date",
    b"connection",
    b"content-type",
    b"content-length",
    b"transfer-encoding",
)
BYE = close_frame(4000, b"bye")
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

SAME = {
    "an echo": Case(
        handshake("/ws_echo?a=%20b"),
        [
            frame(TEXT, b"hi"),
            1,
            frame(2, b"\0\xff"),
            1,
            b"".join(fragments(TEXT, [b"one", b"two"])),
            1,
            BYE,
        ],
    ),
    "a ping": Case(handshake("/ws_echo"), [frame(PING, b"?"), 1, BYE]),
    "a close without a reason": Case(handshake("/ws_echo"), [close_frame(1001)]),
    "a close without a code": Case(handshake("/ws_codes"), [close_frame(None)]),
    "the scope": Case(
        handshake(
            "/ws_scope/..%2F%C3%A9?q=%20&r",
            "X-One: 1",
            "x-one:  2",
            "Sec-WebSocket-Protocol: chat, b",
            "sec-websocket-protocol: c",
        ).replace(b"/ws_scope/", b"/ws_scope!/"),
        [1, BYE],
    ),
    "what a proxy tells": Case(
        handshake("/ws_scope", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"), [1, BYE]
    ),
    "fields of the accept": Case(handshake("/ws_fields", "Sec-WebSocket-Protocol: chat"), [BYE]),
    "a subprotocol that was not offered": Case(handshake("/ws_fields"), [BYE]),
    "an agreement on compression": Case(handshake("/ws_echo", DEFLATE), [BYE]),
    "every form of a message": Case(handshake("/ws_forms"), [6, BYE]),
    "a close by the application": Case(handshake("/ws_closes"), [1, close_frame(4001)]),
    "a close before the accept": Case(handshake("/ws_refuses")),
    "messages out of order": Case(handshake("/ws_mistakes"), [BYE]),
    "an exception before the accept": Case(handshake("/ws_raises")),
    "no answer": Case(handshake("/ws_returns")),
    "a send when the client has gone": Case(handshake("/ws_sends_late"), [BYE]),
    "a frame without a mask": Case(handshake("/ws_codes"), [frame(TEXT, b"x", mask=None)]),
    "a reserved bit": Case(handshake("/ws_codes"), [frame(TEXT, b"x", rsv=2)]),
    "an opcode that is none": Case(handshake("/ws_codes"), [frame(3, b"x")]),
    "a continuation of nothing": Case(handshake("/ws_codes"), [frame(CONTINUATION, b"x")]),
    "a code that is none": Case(handshake("/ws_codes"), [close_frame(1005)]),
    "a close of one byte": Case(handshake("/ws_codes"), [frame(CLOSE, b"x")]),
    "a message that is too large": Case(handshake("/ws_codes"), [frame(2, b"x" * 2001)]),
}
"""Cases in which both servers are the same to everybody."""

DIFFERENT = {
    "handshake of another version": Case(handshake("/ws_echo", sec_websocket_version="8")),
    "handshake with HTTP/1.0": Case(handshake("/ws_refuses", version="HTTP/1.0")),
    "bytes in the packet of the handshake": Case(
        handshake("/ws_echo") + frame(TEXT, b"early"), [BYE]
    ),
    "reason of a refused handshake": Case(handshake("/ws_echo", sec_websocket_key=None)),
    "drop without a close frame": Case(handshake("/ws_codes"), ["fin"]),
    "application that ends without a close": Case(handshake("/ws_returns_late")),
    "exception after the accept": Case(handshake("/ws_raises_late")),
    "text that is no UTF-8": Case(handshake("/ws_codes"), [frame(TEXT, b"\xff")]),
    "message in the packet of an error": Case(
        handshake("/ws_echo"), [frame(TEXT, b"hi") + frame(3, b"x")]
    ),
    "denial of a handshake": Case(handshake("/ws_denies")),
    "parameters of permessage-deflate": Case(handshake("/ws_echo", DEFLATE), [BYE]),
}
"""What the documents list, and a case that shows it."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both servers, for all cases; uvicorn needs a library for WebSockets."""
    pytest.importorskip("websockets")
    options = ("--ws-max-size", "2000")
    target = "web_socket_applications:app"
    with ExitStack() as stack:
        first, second = (
            Conversation(stack.enter_context(running(name, *options, target=target, cwd=ROOT)))
            for name in NAMES
        )
        yield first, second


def converse(server: Conversation, case: Case) -> Seen:
    """Do what a case says, until the server ends the connection."""
    with WebSocketClient(("127.0.0.1", server.port)) as client:
        client.send(case.opening)
        head = client.read_head()
        if head.status != 101:
            return Seen(head.status, head.headers, client.read_to_end(), [])
        frames = []
        for step in case.steps:
            if isinstance(step, int):
                read = [client.read_frame() for _ in range(step)]
                frames += [(one.opcode, one.payload) for one in read]
            elif isinstance(step, str):
                client.leave(step)
            else:
                client.send(step)
        while (one := next_frame(client)) is not None:
            if one.opcode == CLOSE:
                # Why a connection failed everybody says in words of their own.
                one.payload = one.payload[:2]
                with contextlib.suppress(ConnectionError):
                    client.send(close_frame(None))
            frames.append((one.opcode, one.payload))
        return Seen(101, head.headers, b"", frames)


def next_frame(client: WebSocketClient) -> Frame | None:
    """Read a frame; where the connection ends, there is none."""
    try:
        return client.read_frame()
    except Incomplete:
        assert not client.buffer
        return None


def compared(seen: Seen) -> Seen:
    """Leave out what differs with the server and the hour, and how an answer without 101 is framed."""
    hidden = (b"server", b"date") if seen.status == 101 else FRAMING
    fields = []
    for name, value in seen.fields:
        if name == b"sec-websocket-extensions":
            value = value.partition(b";")[0]
        if name not in hidden:
            fields.append((name, value))
    return seen._replace(fields=fields)


@pytest.mark.parametrize("case", SAME)
def test_what_is_seen_of_a_web_socket_is_the_same(pair: Pair, case: str) -> None:
    theirs, ours = (compared(converse(one, SAME[case])) for one in pair)
    assert ours == theirs
    their_lines, our_lines = (one.lines() for one in pair)
    assert our_lines[0] == their_lines[0]
    assert ours_alone(our_lines[1]) == their_lines[1]


def ours_alone(lines: list[str]) -> list[str]:
    """Leave out the line with which cuvee alone says why a connection failed."""
    return [line for line in lines if not re.search(r"Connection closed\. \(.*\)", line)]


@pytest.mark.parametrize("row", DIFFERENT)
def test_what_is_listed_as_different_is_different(pair: Pair, row: str) -> None:
    theirs, ours = (
        (converse(one, DIFFERENT[row])._replace(fields=[]), one.lines(), field_values(one, row))
        for one in pair
    )
    assert ours != theirs


def field_values(server: Conversation, row: str) -> bytes | None:
    """Return what was agreed on, where that is what differs."""
    if row != "parameters of permessage-deflate":
        return None
    seen = converse(server, DIFFERENT[row])
    server.lines()
    return dict(seen.fields)[b"sec-websocket-extensions"]
