# SPDX-License-Identifier: MIT
"""Inputs of the fuzz targets, made from the wire corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.wire.answer_corpus import read_answers
from tests.wire.parser_corpus import read_corpus

TRAILERS = 128
"""Of the first byte of an input of fuzz_writer.c."""

SMALL_LIMITS, MIDDLE_LIMITS = 1, 4
"""Places among the limits of fuzz_parser.c."""


def parser() -> Iterator[bytes]:
    """Give each request of the corpus, in pieces of three and of five bytes by turns."""
    for case in read_corpus():
        yield bytes([SMALL_LIMITS if case.limits else 0, 2, 2, 4]) + case.request
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield bytes([MIDDLE_LIMITS, 0]) + 3 * (head + b"0\r\nx: " + 150 * b"y" + b"\r\n\r\n")
    yield bytes([SMALL_LIMITS, 0]) + 2 * b"GET /234567 HTTP/1.1\r\nHost: h\r\n\r\n"


def writer() -> Iterator[bytes]:
    """Give the heads of the answers of the corpus, each with a piece of a body and its end."""
    for case in read_answers():
        for _, answer in case.steps:
            status, *fields = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
            words = status.split()
            if len(words) < 2:
                continue
            made = bytes([0b10101]) + int(words[1]).to_bytes(2, "little") + bytes(5)
            for field in fields:
                name, _, value = field.partition(b": ")
                made += bytes([0, len(name) % 64]) + name + bytes([len(value) % 256]) + value
            yield made + bytes([255, 5, 0, 0, 0x80])
            trailers = bytes([6, 1]) + b"x" + bytes([8, 0, 0, 6]) + b"x-late" + bytes([2]) + b"ab"
            yield bytes([made[0] | TRAILERS]) + made[1:] + bytes([255, 5, 0, 0, 0x80]) + trailers


def conn() -> Iterator[bytes]:
    """Give what the clients of both corpora send, cut in two, to an application that answers, and the scripts below."""
    sent = [case.request for case in read_corpus()]
    sent += [b"".join(request for request, _ in case.steps) for case in read_answers()]
    for wire in sent:
        yield conn_input(0, f"S{min(255, len(wire) // 2)} T " * (2 + len(wire) // 255), wire)
        yield conn_input(CUTS, f"S{len(wire) % 13}", wire)
    for wire in WIRES:
        yield conn_input(WRITE_LOW, "S255 T T H T T H T", wire * 3)
    for preamble in PREAMBLES:
        wire = preamble + WIRES[0]
        yield conn_input(HAS_PREAMBLES, "S255 T T", wire)
        yield conn_input(HAS_PREAMBLES, "S9 T P255 T T", wire)
        yield conn_input(HAS_PREAMBLES, "C1 S255 T T", wire)
        yield conn_input(HAS_PREAMBLES | CUTS, f"S{len(preamble) % 13}", wire)
    for options, script in SCRIPTS:
        for wire in WIRES:
            for more in (0, HALF_CLOSE, WRITE_LOW, READ_PIECES):
                yield conn_input(options | SCRIPT_ANSWERS | more, script, wire)


def conn_input(options: int, script: str, wire: bytes) -> bytes:
    """Make an input of fuzz_conn.c from a script whose steps are a letter and a number each."""
    steps = b"".join(bytes([ord(step[0]), int(step[1:] or 0)]) for step in script.split())
    return options.to_bytes(2, "little") + len(steps).to_bytes(2, "little") + steps + wire


def proxies() -> Iterator[bytes]:
    """Give the preambles, and the values of fields, below."""
    for preamble in PREAMBLES:
        yield bytes([1]) + preamble
    for values in TOLD:
        for options in (0, 4, 8, 12):
            is_rfc_7239 = 2 if b"=" in values[0] else 0
            yield bytes([options | is_rfc_7239]) + b"\0".join(values)
            yield bytes([options | is_rfc_7239]) + b",".join(values)


def ws() -> Iterator[bytes]:
    """Give the scripts below, plain and with each way to compress, and as bytes of a client."""
    for frames in FRAMES:
        made = b"".join(bytes([first, len(data)]) + data for first, data in frames)
        wire = b"".join(masked_frame(first, data) for first, data in frames)
        for more in (0, 1, 2, 3, WS_DEFLATE, WS_DEFLATE | WS_CONTEXT, WS_DEFLATE | 2):
            yield bytes([WS_FRAMES | more, 2, 2, 4]) + made
            yield bytes([more, 1, 6]) + wire
            for memory in range(4):
                yield bytes([WS_FRAMES | WS_NO_MEMORY | more | memory << 6, 0]) + made
    for length in (
        b"\xfe\0\x7e",
        b"\xfe\0\1",
        b"\xff" + bytes(5) + b"\1\0\0",
        b"\xff" + 8 * b"\xff",
    ):
        yield bytes([0, 0, 0x82]) + length + b"mask" + 126 * b"x"


def masked_frame(first: int, data: bytes) -> bytes:
    """Make a frame as clients send it, of less than 126 bytes."""
    key = b"\x37\xfa\x21\x3d"
    masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(data))
    return bytes([first, 0x80 | len(data)]) + key + masked


def websocket() -> Iterator[bytes]:
    """Give scripts in which every step stands, with frames of every kind."""
    wire = b"".join(masked_frame(first, data) for frames in FRAMES for first, data in frames)
    accepted, take, send, close = 1 << 3, 4 << 3, 2 << 3, 3 << 3
    begin = [accepted | 1, 7]
    for options in (0, 1, 3, 4, 5, 8, 16, 17, 32, 64, 96, 128, 20, 36, 48):
        for step in range(14):
            for how in (0, 1, 5, 7):
                last = step << 3 | how
                script = bytes([*begin, take, send | 4, send | 6, last, 7, take, 5 << 3, last, 80])
                yield options.to_bytes(2, "little") + bytes([len(script)]) + script + wire
        for frames in FRAMES:
            sent = b"".join(masked_frame(first, data) for first, data in frames)
            for script in (
                bytes([*begin, 7, take, 5 << 3, 7, 80, 9 << 3 | 7, 9 << 3 | 7, 9 << 3 | 7]),
                bytes([*begin, 7, send | 5, send | 5, send | 5, 7, 80, take, 80, close | 1, 7, 80]),
                bytes([7, 12 << 3 | 1, accepted | 1, 12 << 3, send | 3, 12 << 3 | 1, send | 6, 7]),
                bytes([7, accepted | 4, accepted | 1, 12 << 3 | 2, 7, 11 << 3, take, take]),
            ):
                yield options.to_bytes(2, "little") + bytes([len(script)]) + script + sent * 3
    for fault in range(7):
        yield (256 + 512 * fault).to_bytes(2, "little") + bytes([2, 9, 7]) + wire


HALF_CLOSE, READ_LOW, WRITE_LOW, READ_PIECES, SCRIPT_ANSWERS, CUTS = 1, 2, 4, 8, 64, 128
BODY_LIMIT, BODY_RATE, REQUEST_LIMIT, CONN_LIMIT = 1 << 8, 1 << 9, 1 << 10, 1 << 11
BODY_ROOM, HAS_PREAMBLES = 1 << 14, 1 << 15
"""Options, as fuzz_conn.c calls them."""

WIRES = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
    b"HEAD /x?y HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n"
    + b"0123456789" * 2,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: v\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n" + b"x" * 200,
    b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n" * 2,
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
)
SCRIPTS = (
    (0, "S255 T S255 T a5 T a6 T a7 T H"),
    (0, "S255 T r f0 f1 b3 T e0 T H F T"),
    (0, "S255 T r f3 t r1 e T H v T"),
    (0, "S255 T r b10 B255 T H1 T B255 T H T c w T e1 T H S255 T a T"),
    (0, "S255 T r B255 B255 B255 B255 B255 B255 B255 B255 T P255 T T T H T P255 T P255 T"),
    (0, "S255 T r B254 B254 B254 B254 T H T P90 T T P90 T H T e T"),
    (0, "S255 T r b0 B255 b3 B253 l B255 e201 T H2 T H T"),
    (0, "S69 T w T S255 T c T r e3 T H"),
    (0, "S69 T P255 T S255 T H"),
    (0, "S58 T r b5 T S255 T H"),
    (0, "C1 S30 T a T C0 I P255 I S255 S30 T T a T"),
    (0, "I P80 I S255 C1 S255 C0 S60 T T T"),
    (0, "S20 T M128 S255 T M0"),
    (0, "S80 T P255 T T H S255 T"),
    (0, "S30 P255 T T H"),
    (0, "S255 T u0 T H T X T"),
    (0, "S255 T y T S255 T H F T"),
    (0, "S255 T r u3 T H k1 T"),
    (0, "S255 T r b5 x T H k T"),
    (0, "S255 T a3 D T H T"),
    (0, "D S255 T a3 T H A"),
    (0, "S255 T q P80 T P80 T T H"),
    (0, "I a5 S255 T I a6 T I n T H"),
    (0, "I n S255 T H T"),
    (0, "I k1 S255 T T"),
    (0, "I B255 I l I e255 S255 T H T"),
    (0, "C1 S60 T C2 S60 T C0 S255 T a C1 a C2 a L H C1 H A"),
    (0, "M128 S255 T r f0 e5 T H M0"),
    (0, "M3 S255 T r f0 B255 B255 e5 T H M0"),
    (0, "M6 S255 T r f0 B255 B255 e5 T H M0"),
    (0, "S255 T r5 e T H S255 T"),
    (0, "S255 T r4 e T H S255 T"),
    (0, "S255 T r f4 b5 T b6 e T H"),
    (0, "S255 T r f5 g18 e4 T H"),
    (0, "S255 T e5 b5 r9 r8 f9 f10 x T H"),
    (0, "S255 T r h b5 T e3 z0 T z1 T H r h e0 z3 H"),
    (0, "S255 T i r f0 i b3 i e T H"),
    (0, "S255 T r p100 T b3 p255 T H T H T p101 T H"),
    (0, "S255 T o r p100 T W T H p102 T P255 T T W H e T H"),
    (0, "O W O1 W O2 T W O O k X"),
    (0, "S255 T o r p200 p200 T k W T"),
    (0, "S255 T r f1 s3 T H T H"),
    (0, "S255 T o r p200 p201 T X W T W"),
    (BODY_LIMIT, "S80 T S255 T a T H"),
    (BODY_RATE, "S80 T S1 P40 T S1 P40 T T P50 T H"),
    (REQUEST_LIMIT, "S255 T a T a T a T H"),
    (CONN_LIMIT, "C1 C2 S255 T k C1 X T"),
    (READ_LOW, "S255 " + "T " * 14 + "c T T a T T"),
    (BODY_ROOM, "S255 " + "T " * 9 + "c T " * 9),
    (HAS_PREAMBLES, "S255 T a T S255 T"),
    (HAS_PREAMBLES, "C1 S255 T a T S255 T"),
)
"""What a client and an application do, in the letters of conn_script.c: S sends, T is a turn, a answers."""


_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_IPV4 = b"\1\2\3\4\5\6\7\x08\x12\x34\0\x50"
PREAMBLES = (
    b"PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r\n",
    b"PROXY TCP6 2001:db8::1 ::1 65535 80\r\n",
    b"PROXY UNKNOWN and so on\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n",
    b"PROXY TCP4 1.2.3.4.5 5.6.7.8 9 99999\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 09 80\n",
    b"PROXY UNKNOWN " + 100 * b"x",
    _SIGNATURE + b"\x21\x11\0\x0c" + _IPV4,
    _SIGNATURE + b"\x21\x12\0\x0f" + _IPV4 + b"\x04\0\0",
    _SIGNATURE + b"\x21\x21\0\x24" + 36 * b"a",
    _SIGNATURE + b"\x21\x31\0\xd8" + 216 * b"/",
    _SIGNATURE + b"\x20\0\0\0",
    _SIGNATURE + b"\x21\0\0\1x",
    _SIGNATURE + b"\x21\x11\0\x0b" + _IPV4,
    _SIGNATURE + b"\x22\x13\0\x0c" + _IPV4,
    _SIGNATURE + b"\x21\x11\xff\xff" + _IPV4,
    b"GET / HTTP/1.1\r\n",
)
TOLD = (
    (b"6.6.6.6", b"1.2.3.4, 10.0.0.1"),
    (b"[2001:db9::1]:80, 2001:db8::1", b"proxy , 10.0.0.1:443"),
    (b"unknown, _x:_y, unix:", b"[::1]:x, 1.2.3.4:99999, [1.2.3.4], [::1, ,"),
    (b"for=6.6.6.6;proto=wss", b'For="[2001:db9::1]:80"; Proto=https, for=10.0.0.1;by=_x'),
    (b'for="6.6.6.6', b'for=1.2.3.4;x="a,\\"b";proto="http", for="10.0.0.1"'),
    (b'proto=ws;proto=ws, for=x, "', b"proto=https, for=unknown;proto=gopher"),
    (b'for="1.2.3.4"x, for=1 a=2, =', b"for=, for"),
)

WS_DEFLATE, WS_CONTEXT, WS_FRAMES, WS_NO_MEMORY = 4, 8, 16, 32
"""Options, as fuzz_ws.c calls them."""

FRAMES = (
    ((0x81, b"text"), (0x82, b"\xff"), (0x89, b"ping"), (0x8A, b""), (0x88, b"\x03\xe8bye")),
    ((0x01, b"\xe2"), (0x89, b"x"), (0x00, b"\x82"), (0x80, b"\xac"), (0x88, b"")),
    ((0x02, b"0123456789"), (0x80, b"0"), (0x81, b"\xc3\xa4\xf0\x9f\x98\x80")),
    ((0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\0"), (0xC1, b"\xf2\0\x11\0\0"), (0x81, b"\xff")),
    ((0x41, b"\xf2\x48\xcd"), (0x89, b"in"), (0x00, b""), (0x80, b"\xc9\xc9\x07\0")),
    ((0xC2, b"\0\5\0\xfa\xffHello\0"), (0x42, b"\0\1\0\xfe\xffa"), (0x80, b"\0")),
    ((0xC1, b"\0\2\0\xfd\xff\xc3a\0"), (0x88, b"\x03\xed")),
    ((0xC2, b"\xf3\x48\xcd\xc9\xc9\x07\0\0"), (0x88, b"\x03\xe8\xff")),
    ((0xC2, b"\x0a\x03\x00" + 20 * b"\0"), (0x88, b"\3")),
    ((0x01, b"a"), (0x01, b"b")),
    ((0x80, b"a"),),
    ((0x83, b""),),
    ((0xF1, b""),),
    ((0x09, b""),),
    ((0xC9, b""),),
    ((0x8B, b"x"), (0x82, 125 * b"y")),
)
"""Frames of a client: the first byte, and the payload."""

SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "parser": parser,
    "writer": writer,
    "conn": conn,
    "proxies": proxies,
    "ws": ws,
    "websocket": websocket,
}
