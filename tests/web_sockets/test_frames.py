# SPDX-License-Identifier: MIT
"""Every rule about frames and messages, and about the end of a connection (RFC 6455 sections 5, 7 and 8)."""

from __future__ import annotations

import struct

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes
from tests.support.server import RunningServer
from tests.support.web_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    WebSocketClient,
    close_frame,
    fragments,
    frame,
    frame_head,
    opened,
)
from tests.web_sockets.applications import echo, noted_echo

WAYS = pytest.mark.parametrize("way", ["whole", "byte by byte", "behind a message"])


def send_in(client: WebSocketClient, way: str, data: bytes) -> None:
    """Send bytes in one of the ways in which they may arrive; what was whole before them counts."""
    if way == "byte by byte":
        try:
            client.send(*(data[at : at + 1] for at in range(len(data))))
        except ConnectionError:
            pass  # the server has seen enough
    elif way == "behind a message":
        client.send(frame(TEXT, b"before") + data)
    else:
        client.send(data)


def read_close(client: WebSocketClient) -> Frame:
    """Read a close frame, which an empty message may stand before."""
    frame = client.read_frame()
    if frame == Frame(TEXT, b""):
        frame = client.read_frame()
    assert frame.opcode == CLOSE, frame
    return frame


def fails_with(server: RunningServer, notes: Notes, way: str, data: bytes, code: int) -> None:
    """These bytes end the connection with `code`, which the application is told, too."""
    with opened(server) as client:
        send_in(client, way, data)
        if way == "behind a message":
            assert client.read_message() == "before"
        assert read_close(client).code == code
        client.discard_to_end()
        assert notes.get()[0] == code


# ---- what breaks the protocol

BROKEN: dict[str, bytes] = {
    "a text without a mask": frame(TEXT, b"hi", mask=None),
    "an empty text without a mask": frame(TEXT, b"", mask=None),
    "a ping without a mask": frame(PING, b"", mask=None),
    "a close without a mask": frame(CLOSE, b"\x03\xe8", mask=None),
    **{f"reserved bits {rsv:03b}": frame(TEXT, b"hi", rsv=rsv) for rsv in range(1, 8)},
    **{f"reserved bits {rsv:03b} of a ping": frame(PING, b"", rsv=rsv) for rsv in (1, 2, 4)},
    "a reserved bit of a close": frame(CLOSE, b"\x03\xe8", rsv=4),
    "a reserved bit of a continuation": frame(TEXT, b"a", fin=False)
    + frame(CONTINUATION, b"b", rsv=4),
    **{f"opcode {code}": frame(code, b"hi") for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "opcode 3 within a message": frame(TEXT, b"a", fin=False) + frame(3, b"b"),
    "a ping of 126 bytes": frame(PING, b"x" * 126),
    "a ping whose length is in 2 bytes": frame(PING, b"x", length_size=2),
    "a pong of 126 bytes": frame(PONG, b"x" * 126),
    "a close of 126 bytes": frame(CLOSE, b"\x03\xe8" + b"x" * 124),
    "a ping of 64 KiB": frame(PING, b"x" * 65536),
    "a ping in fragments": frame(PING, b"x", fin=False),
    "a pong in fragments": frame(PONG, b"x", fin=False),
    "a close in fragments": frame(CLOSE, b"\x03\xe8", fin=False),
    "2 bytes for a length of 125": frame(TEXT, b"x" * 125, length_size=2),
    "2 bytes for a length of 0": frame(TEXT, b"", length_size=2),
    "8 bytes for a length of 65535": frame(BINARY, b"x" * 65535, length_size=8)[:100],
    "8 bytes for a length of 1": frame(BINARY, b"x", length_size=8),
    "a length with the highest bit": frame_head(BINARY, 1 << 63),
    "a length of ones": frame_head(BINARY, (1 << 64) - 1),
    "a continuation of nothing": frame(CONTINUATION, b"x"),
    "a first fragment that goes on": frame(CONTINUATION, b"x", fin=False),
    "a continuation behind a message": frame(TEXT, b"", fin=False)
    + frame(CONTINUATION, b"")
    + frame(CONTINUATION, b"x"),
    "a text within a text": frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
    "a binary within a text": frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"),
    "a new start within a binary": frame(BINARY, b"a", fin=False) + frame(BINARY, b"b", fin=False),
}
"""None of these is longer than what shows the fault, but for the payloads of some."""


@WAYS
@pytest.mark.parametrize("case", BROKEN)
def test_broken(serve: Serve, notes: Notes, case: str, way: str) -> None:
    if way == "byte by byte" and len(BROKEN[case]) > 1000:
        pytest.skip("too many packets")
    with serve(noted_echo(notes)) as server:
        fails_with(server, notes, way, BROKEN[case], 1002)


@pytest.mark.parametrize(
    "head",
    [
        frame_head(TEXT, 5, mask=None)[:2],
        frame_head(TEXT, 5, rsv=1)[:1],
        frame_head(3, 5)[:1],
        frame_head(PING, 126)[:2],
        frame_head(PING, 5, fin=False)[:1],
        frame_head(TEXT, 5, length_size=2),
        frame_head(TEXT, 5, length_size=8),
        frame_head(CONTINUATION, 5)[:1],
    ],
)
def test_the_head_is_enough(serve: Serve, notes: Notes, head: bytes) -> None:
    """Whoever breaks the protocol is not waited for: no payload has to come."""
    with serve(noted_echo(notes)) as server:
        fails_with(server, notes, "whole", head.ljust(2, b"\x85"), 1002)


# ---- text


def utf8_of(first: int, last: int) -> list[bytes]:
    return [chr(code).encode() for code in (first, last)]


GOOD_TEXT = [
    *utf8_of(0x00, 0x7F),
    *utf8_of(0x80, 0x7FF),
    *utf8_of(0x800, 0xD7FF),
    *utf8_of(0xE000, 0xFFFF),
    *utf8_of(0x10000, 0x10FFFF),
    "κόσμε".encode(),
    "\ufeff".encode(),
    "\ufffe".encode(),
    b"a" * 31 + "é".encode() + b"b" * 31,
    "日本語".encode() * 100,
    "𝄞".encode() * 17,
]
BAD_TEXT = [
    b"\x80",
    b"\xbf",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xc3(",
    b"\xe2\x82(",
    b"\xe2(\xa1",
    b"\xf0\x9d(\x9e",
    b"\xed\xa0\xb4\xed\xb4\x9e",
]
CUT_TEXT = [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9d", b"\xf0\x9d\x84"]


@pytest.mark.parametrize("good", GOOD_TEXT, ids=ascii)
def test_good_text(serve: Serve, good: bytes) -> None:
    with serve(echo) as server, opened(server) as client:
        client.text(good)
        assert client.read_message() == good.decode()
        for at in range(min(len(good), 70) + 1):
            client.send(*fragments(TEXT, [good[:at], good[at:]]))
            assert client.read_message() == good.decode()
        client.send(*fragments(TEXT, [good[at : at + 1] for at in range(len(good))]))
        assert client.read_message() == good.decode()
        client.say_goodbye()


@pytest.mark.parametrize(
    "place", ["alone", "at the end", "at the start", "far in", "behind a word"]
)
@pytest.mark.parametrize("bad", BAD_TEXT + CUT_TEXT, ids=ascii)
def test_bad_text(serve: Serve, notes: Notes, bad: bytes, place: str) -> None:
    data = {
        "alone": bad,
        "at the end": b"good " + bad,
        "at the start": bad + b" good",
        "far in": b"x" * 1021 + bad + b"y" * 1000,
        "behind a word": "é€𝄞".encode() + bad + b"z",
    }[place]
    with serve(noted_echo(notes)) as server:
        fails_with(server, notes, "whole", frame(TEXT, data), 1007)


@pytest.mark.parametrize("bad", BAD_TEXT + CUT_TEXT, ids=ascii)
def test_bad_text_in_fragments(serve: Serve, notes: Notes, bad: bytes) -> None:
    with serve(noted_echo(notes)) as server:
        for at in range(len(bad) + 1):
            data = b"".join(fragments(TEXT, [b"ok" + bad[:at], bad[at:]]))
            fails_with(server, notes, "whole", data, 1007)
        ping = frame(PING, b"")
        with opened(server) as client:
            client.send(ping.join(fragments(TEXT, [bad[at : at + 1] for at in range(len(bad))])))
            close = client.read_frame()
            while close.opcode == PONG:
                close = client.read_frame()
            assert close.code == 1007
            assert notes.get()[0] == 1007


@pytest.mark.parametrize("bad", BAD_TEXT, ids=ascii)
def test_bad_text_is_seen_before_its_end(serve: Serve, notes: Notes, bad: bytes) -> None:
    """Neither the end of the message is needed, nor that of the frame."""
    with serve(noted_echo(notes)) as server:
        fails_with(server, notes, "whole", frame(TEXT, b"ok" + bad, fin=False), 1007)
        begun = frame_head(TEXT, 100_000, mask=b"\0\0\0\0") + b"good so far " + bad
        fails_with(server, notes, "whole", begun, 1007)


def test_bytes_need_no_encoding(serve: Serve) -> None:
    with serve(echo) as server, opened(server) as client:
        for bad in BAD_TEXT + CUT_TEXT:
            client.binary(bad)
            assert client.read_message() == bad
            client.send(*fragments(BINARY, [bad[:1], bad[1:]]))
            assert client.read_message() == bad
        client.say_goodbye()


# ---- lengths, masks, fragments

LENGTHS = [*range(40), 124, 125, 126, 127, 128, 1000, 65534, 65535, 65536, 65537, 300_000]


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths(serve: Serve, length: int) -> None:
    payload = bytes(at * 7 & 0xFF for at in range(length))
    text = "".join(chr(97 + at % 26) for at in range(length))
    with serve(echo) as server, opened(server) as client:
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04", b"\x80\x00\x7f\xfe"):
            client.send(frame(BINARY, payload, mask=mask), frame(TEXT, text.encode(), mask=mask))
            assert client.read_message() == payload
            assert client.read_message() == text
        client.say_goodbye()


def test_a_mask_goes_on_wherever_a_payload_is_cut(serve: Serve) -> None:
    payload = bytes(range(1, 101))
    data = frame(BINARY, payload)
    with serve(echo) as server, opened(server) as client:
        for at in range(1, len(data)):
            client.send(data[:at])
            server.settle()
            client.send(data[at:])
            assert client.read_message() == payload, at
        client.say_goodbye()


@pytest.mark.parametrize("size", [0, 1, 125, 65536])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_fragments(serve: Serve, count: int, size: int) -> None:
    pieces = [bytes([65 + number]) * size for number in range(count)]
    with serve(echo) as server, opened(server) as client:
        for opcode in (TEXT, BINARY):
            client.send(b"".join(fragments(opcode, pieces)))
            message = client.read_message()
            assert message == (b"".join(pieces) if opcode == BINARY else b"".join(pieces).decode())
        client.say_goodbye()


def test_many_messages_in_one_packet(serve: Serve) -> None:
    with serve(echo) as server, opened(server) as client:
        client.send(b"".join(frame(TEXT, b"%d" % number) for number in range(1000)))
        assert [client.read_message() for _ in range(1000)] == [str(n) for n in range(1000)]
        client.say_goodbye()


def test_control_frames_between_fragments(serve: Serve) -> None:
    with serve(echo) as server, opened(server) as client:
        first, second, third = fragments(TEXT, [b"one ", b"two ", b"three"])
        client.send(
            first + frame(PING, b"1") + second + frame(PONG, b"?") + frame(PING, b"2") + third
        )
        assert client.read_frame() == Frame(PONG, b"1")
        assert client.read_frame() == Frame(PONG, b"2")
        assert client.read_message() == "one two three"
        client.say_goodbye()


def test_a_close_between_fragments(serve: Serve, notes: Notes) -> None:
    """The message is lost, the close is not."""
    with serve(noted_echo(notes)) as server, opened(server) as client:
        client.send(frame(TEXT, b"half", fin=False) + close_frame(1001, b"away"))
        assert client.read_close().code == 1001
        assert notes.get() == (1001, "away")


# ---- the most that a message may have


def test_a_message_of_the_most(serve: Serve) -> None:
    with serve(echo, ws_max_size=1000) as server, opened(server) as client:
        client.binary(b"x" * 1000)
        assert client.read_message() == b"x" * 1000
        client.send(*fragments(BINARY, [b"x" * 500, b"", b"y" * 500]))
        assert client.read_message() == b"x" * 500 + b"y" * 500
        client.text("é" * 500)
        assert client.read_message() == "é" * 500
        client.say_goodbye()


@WAYS
@pytest.mark.parametrize(
    "data",
    [
        frame(BINARY, b"x" * 101),
        frame(TEXT, b"x" * 101),
        frame_head(BINARY, 101),
        frame_head(BINARY, 1 << 40),
        frame_head(BINARY, (1 << 63) - 1),
        b"".join(fragments(BINARY, [b"x" * 100, b"y"])),
        b"".join(fragments(TEXT, [b"x" * 50, b"y" * 50, b"", b"z"])),
        frame(BINARY, b"x" * 60, fin=False) + frame_head(CONTINUATION, 60, fin=False),
        frame(BINARY, b"x", fin=False) + frame_head(CONTINUATION, (1 << 63) - 1),
    ],
    ids=range(9),
)
def test_a_message_that_is_too_large(serve: Serve, notes: Notes, data: bytes, way: str) -> None:
    with serve(noted_echo(notes), ws_max_size=100) as server:
        fails_with(server, notes, way, data, 1009)


# ---- ping and pong


@pytest.mark.parametrize("length", [0, 1, 4, 124, 125])
@WAYS
def test_a_ping_is_answered(serve: Serve, length: int, way: str) -> None:
    payload = bytes(255 - at for at in range(length))
    with serve(echo) as server, opened(server) as client:
        send_in(client, way, frame(PING, payload))
        seen = [client.read_frame() for _ in range(2 if way == "behind a message" else 1)]
        assert Frame(PONG, payload) in seen
        client.say_goodbye()


def test_pings_are_answered_in_order(serve: Serve) -> None:
    with serve(echo) as server, opened(server) as client:
        client.send(b"".join(frame(PING, b"%d" % number) for number in range(10)))
        assert [client.read_frame().payload for _ in range(10)] == [b"%d" % n for n in range(10)]
        client.say_goodbye()


@WAYS
def test_pongs_that_nobody_asked_for(serve: Serve, way: str) -> None:
    with serve(echo) as server, opened(server) as client:
        send_in(client, way, frame(PONG, b"") + frame(PONG, b"x" * 125) + frame(TEXT, b"hi"))
        if way == "behind a message":
            assert client.read_message() == "before"
        assert client.read_message() == "hi"
        client.assert_alive()
        client.say_goodbye()


# ---- the closing handshake

VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
VALID += [3000, 3999, 4000, 4321, 4999]
INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", VALID)
def test_codes(serve: Serve, notes: Notes, code: int) -> None:
    with serve(noted_echo(notes)) as server:
        for reason in ("", "why", "Straße", "x" * 123):
            with opened(server) as client:
                client.send(close_frame(code, reason.encode()))
                assert client.read_close().code == code
                assert notes.get() == (code, reason)


@pytest.mark.parametrize("code", INVALID)
def test_codes_that_are_none(serve: Serve, notes: Notes, code: int) -> None:
    with serve(noted_echo(notes)) as server:
        fails_with(server, notes, "whole", close_frame(code), 1002)
        fails_with(server, notes, "whole", close_frame(code, b"why"), 1002)


def test_a_close_without_a_code(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes)) as server, opened(server) as client:
        client.send(close_frame(None))
        assert client.read_close().payload in (b"", struct.pack("!H", 1000))
        assert notes.get() == (1005, "")


def test_a_close_of_one_byte(serve: Serve, notes: Notes) -> None:
    with serve(noted_echo(notes)) as server:
        fails_with(server, notes, "whole", frame(CLOSE, b"\x03"), 1002)


@pytest.mark.parametrize("bad", BAD_TEXT + CUT_TEXT, ids=ascii)
def test_a_reason_that_is_no_text(serve: Serve, notes: Notes, bad: bytes) -> None:
    with serve(noted_echo(notes)) as server:
        fails_with(server, notes, "whole", close_frame(1000, b"why " + bad), 1007)


@pytest.mark.parametrize("more", [frame(TEXT, b"late"), frame(PING, b"late"), b"\xff" * 100])
def test_what_comes_behind_a_close(serve: Serve, notes: Notes, more: bytes) -> None:
    with serve(noted_echo(notes)) as server, opened(server) as client:
        client.send(close_frame(1000) + more)
        close = client.read_frame()
        assert (close.opcode, close.code) == (CLOSE, 1000)
        assert client.read_to_end() == b""
        assert notes.get() == (1000, "")


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_close_in_two_packets(serve: Serve, notes: Notes, cut: int) -> None:
    data = close_frame(1000, b"why")
    with serve(noted_echo(notes)) as server, opened(server) as client:
        client.send(data[:cut])
        server.settle()
        client.send(data[cut:])
        assert client.read_close().code == 1000
        assert notes.get() == (1000, "why")
