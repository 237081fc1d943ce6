# SPDX-License-Identifier: MIT
"""permessage-deflate: what is agreed on, and what is sent then (RFC 7692)."""

from __future__ import annotations

import random
import re
import zlib
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes
from tests.support.measured import MeasuredServer
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
    connect,
    fragments,
    frame,
    handshake,
)
from tests.web_sockets.applications import echo, noted_echo

RSV1 = 4
TAIL = b"\0\0\xff\xff"
OFFER = "permessage-deflate; client_max_window_bits"
Parameters = dict[str, str | None]


def compressed(payload: bytes, window: int = 15, packer: Any = None) -> bytes:
    """Return a payload as RFC 7692 section 7.2.1 makes it."""
    if packer is None:
        packer = zlib.compressobj(wbits=-window)
    data: bytes = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(TAIL)
    return data[:-4] or b"\0"


def agreed(head: Any) -> Parameters | None:
    """Return the parameters in an answer, which must be well formed; without an agreement, None."""
    value = head.get(b"sec-websocket-extensions")
    if value is None:
        return None
    name, *parameters = [part.strip() for part in value.decode().split(";")]
    assert name == "permessage-deflate"
    found: Parameters = {}
    for parameter in parameters:
        key, equals, number = parameter.partition("=")
        assert key not in found, "a parameter stands there twice"
        found[key] = number if equals else None
        if key.endswith("_max_window_bits"):
            assert re.fullmatch("[89]|1[0-5]", number), parameter
        else:
            assert key in ("server_no_context_takeover", "client_no_context_takeover")
            assert not equals
    return found


class Deflating(WebSocketClient):
    """A client that compresses as it was agreed on."""

    parameters: Parameters | None = None

    def negotiate(self, *offers: str) -> Parameters | None:
        """Shake hands, and return what was agreed on."""
        head = self.open("/", *(f"Sec-WebSocket-Extensions: {offer}" for offer in offers))
        self.parameters = agreed(head)
        if self.parameters is not None:
            self.window = int(self.parameters.get("server_max_window_bits") or 15)
            self.own = int(self.parameters.get("client_max_window_bits") or 15)
            self.unpacker = zlib.decompressobj(-self.window)
            self.packer = zlib.compressobj(wbits=-max(self.own, 9))
        return self.parameters

    def pack(self, payload: bytes) -> bytes:
        """Compress the next message; what was sent before is forgotten if that was agreed on."""
        assert self.parameters is not None
        if "client_no_context_takeover" in self.parameters:
            self.packer = zlib.compressobj(wbits=-max(self.own, 9))
        return compressed(payload, packer=self.packer)

    def unpack(self, data: bytes) -> bytes:
        """Take the next compressed message apart."""
        assert self.parameters is not None
        if "server_no_context_takeover" in self.parameters:
            self.unpacker = zlib.decompressobj(-self.window)
        return self.unpacker.decompress(data + TAIL)

    def read_either(self) -> tuple[bytes, bool, int]:
        """Read a message; return it, whether it was compressed, and its length on the wire."""
        first = last = self.read_frame()
        assert first.opcode in (TEXT, BINARY) and first.rsv in (0, RSV1), first
        data = first.payload
        while not last.fin:
            last = self.read_frame()
            assert last.opcode == CONTINUATION and not last.rsv, last
            data += last.payload
        return self.unpack(data) if first.rsv else data, bool(first.rsv), len(data)


def deflating(server: Any, *offers: str) -> Deflating:
    """Open a WebSocket with these offers."""
    client = Deflating(server.address)
    try:
        client.negotiate(*offers)
    except BaseException:
        client.close()
        raise
    return client


# ---- what is agreed on


def test_nothing_is_agreed_on_that_was_not_offered(serve: Serve) -> None:
    with serve(echo) as server, Deflating(server.address) as client:
        assert client.negotiate() is None
        client.send(frame(TEXT, compressed(b"hi"), rsv=RSV1))
        assert client.read_close().code == 1002


def test_without_context_unless_it_is_asked_for(serve: Serve) -> None:
    """Where uvicorn keeps a context, nothing is kept between messages."""
    with serve(echo) as server, deflating(server, OFFER) as client:
        assert client.parameters is not None
        assert {"server_no_context_takeover", "client_no_context_takeover"} <= set(
            client.parameters
        )
        client.say_goodbye()
    with serve(echo, ws_deflate_context=True) as server, deflating(server, OFFER) as client:
        assert client.parameters is not None
        assert not {"server_no_context_takeover", "client_no_context_takeover"} & set(
            client.parameters
        )
        client.say_goodbye()


def test_the_client_needs_no_window_of_its_own(serve: Serve) -> None:
    """A client that did not say that it can limit its window must not be told to (section 7.1.2.2)."""
    with serve(echo) as server, deflating(server, "permessage-deflate") as client:
        assert client.parameters is not None
        assert "client_max_window_bits" not in client.parameters
        client.say_goodbye()


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("bits", range(8, 16))
@pytest.mark.parametrize("whose", ["server", "client"])
def test_windows(serve: Serve, whose: str, bits: int, context: bool) -> None:
    """The window is never larger than the client wants it; an offer of 8 may be turned down."""
    with serve(echo, ws_deflate_context=context, ws_deflate_window=15) as server:
        with deflating(server, f"permessage-deflate; {whose}_max_window_bits={bits}") as client:
            if client.parameters is None:
                assert bits == 8
            else:
                said = client.parameters.get(f"{whose}_max_window_bits")
                # What the client sends it may be left to make smaller.
                if said is None:
                    assert whose == "client" or bits == 15
                else:
                    assert int(said) <= bits
                talk(client)
            client.say_goodbye()


@pytest.mark.parametrize("window", range(9, 16))
def test_the_window_of_the_option(serve: Serve, window: int) -> None:
    with serve(echo, ws_deflate_window=window, ws_deflate_context=True) as server:
        with deflating(server, OFFER) as client:
            assert client.parameters is not None
            assert int(client.parameters.get("server_max_window_bits") or 15) == window
            talk(client)
            client.say_goodbye()


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("whose", ["server", "client"])
def test_takeover(serve: Serve, whose: str, context: bool) -> None:
    """A client that wants no context gets none (section 7.1.1)."""
    with serve(echo, ws_deflate_context=context) as server:
        offer = f"permessage-deflate; {whose}_no_context_takeover"
        with deflating(server, offer) as client:
            assert client.parameters is not None
            if whose == "server" or not context:
                assert f"{whose}_no_context_takeover" in client.parameters
            talk(client)
            client.say_goodbye()


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=10; client_max_window_bits=10",
        "permessage-deflate;client_max_window_bits;server_no_context_takeover",
        'permessage-deflate; client_max_window_bits="10"',
        "permessage-deflate ; server_max_window_bits = 12",
        "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits",
        "permessage-deflate; bad=1, permessage-deflate",
        "permessage-deflate; server_max_window_bits=16, permessage-deflate",
        "permessage-deflate, permessage-deflate; server_no_context_takeover",
        'unknown; a="b"; c, permessage-deflate',
        "permessage-bzip2, permessage-deflate, permessage-foo; x; y=z",
    ],
)
def test_offers_that_are_taken(serve: Serve, offer: str) -> None:
    with serve(echo) as server, deflating(server, offer) as client:
        assert client.parameters is not None
        talk(client)
        client.say_goodbye()


def test_offers_in_several_fields(serve: Serve) -> None:
    with serve(echo) as server:
        with deflating(server, "x-unknown", "permessage-deflate; client_max_window_bits") as client:
            assert client.parameters is not None
            talk(client)
            client.say_goodbye()


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=x",
        "permessage-deflate; server_max_window_bits=4294967305",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=010",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "x-webkit-deflate-frame",
        "permessage-deflated",
        "x-permessage-deflate",
    ],
)
def test_offers_that_are_turned_down(serve: Serve, offer: str) -> None:
    """The connection opens all the same (section 7.1)."""
    with serve(echo) as server, deflating(server, offer) as client:
        assert client.parameters is None
        client.text("hi")
        assert client.read_message() == "hi"
        client.say_goodbye()


@pytest.mark.parametrize(
    "offer", ["permessage-deflate;;", ";", "permessage-deflate; =1", 'a="', ",,,", "\x7f", "a b"]
)
def test_offers_that_are_none(serve: Serve, offer: str) -> None:
    with serve(echo) as server, connect(server) as client:
        client.send(handshake("/", f"Sec-WebSocket-Extensions: {offer}"))
        head = client.read_head()
        assert head.status in (101, 400)
        if head.status == 101:
            assert head.get(b"sec-websocket-extensions") is None
            client.say_goodbye()


def test_switched_off(serve: Serve) -> None:
    with serve(echo, ws_per_message_deflate=False) as server, deflating(server, OFFER) as client:
        assert client.parameters is None
        client.text("hi")
        assert client.read_message() == "hi"
        client.send(frame(TEXT, compressed(b"hi"), rsv=RSV1))
        assert client.read_close().code == 1002


# ---- messages


def payloads() -> list[bytes]:
    """Return what compresses well, and what does not."""
    chance = random.Random(8)
    words = b" ".join(chance.choice([b"one", b"two", b"three", b"four"]) for _ in range(20_000))
    noise = chance.randbytes(70_000)
    far = noise[:40_000] + noise[:40_000]
    return [b"", b"x", b"hello" * 3, b"a" * 200, b"a" * 65536, words, noise, far, bytes(300_000)]


PAYLOADS = payloads()


def talk(client: Deflating) -> None:
    """Messages of every kind come back."""
    for payload in PAYLOADS:
        client.send(frame(BINARY, client.pack(payload), rsv=RSV1))
        assert client.read_either()[0] == payload
    client.send(frame(TEXT, client.pack(b"text"), rsv=RSV1) + frame(TEXT, b"plain"))
    assert client.read_either()[0] == b"text"
    assert client.read_either()[0] == b"plain"


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("context", [False, True])
def test_messages(serve: Serve, level: int, context: bool) -> None:
    with serve(echo, ws_deflate_level=level, ws_deflate_context=context) as server:
        with deflating(server, OFFER) as client:
            talk(client)
            talk(client)
            client.say_goodbye()


def test_what_compresses_is_compressed(serve: Serve) -> None:
    with serve(echo, ws_deflate_threshold=100) as server, deflating(server, OFFER) as client:
        client.text("a" * 10_000)
        payload, packed, length = client.read_either()
        assert (payload, packed) == (b"a" * 10_000, True) and length < 1000
        client.text("a" * 99)
        assert client.read_either() == (b"a" * 99, False, 99)
        client.text("a" * 101)
        assert client.read_either()[:2] == (b"a" * 101, True)
        client.say_goodbye()


def test_a_context_makes_the_second_message_small(serve: Serve) -> None:
    words = b"%r" % random.Random(8).randbytes(400)
    with serve(echo, ws_deflate_context=True, ws_deflate_threshold=0) as server:
        with deflating(server, OFFER) as client:
            client.text(words.decode())
            first = client.read_either()
            client.text(words.decode())
            second = client.read_either()
            assert first[0] == second[0] == words and second[2] * 5 < first[2]
            client.say_goodbye()


def test_without_a_context_every_message_stands_alone(serve: Serve) -> None:
    with serve(echo, ws_deflate_threshold=0) as server, deflating(server, OFFER) as client:
        for _ in range(3):
            client.text("a word and a word and a word")
            reply = client.read_frame()
            assert reply.rsv == RSV1
            data = zlib.decompressobj(-15).decompress(reply.payload + TAIL)
            assert data == b"a word and a word and a word"
        client.say_goodbye()


def test_fragments_cut_anywhere(serve: Serve) -> None:
    payload = b"a message that is compressed, a message that is cut"
    with serve(echo) as server, deflating(server, OFFER) as client:
        for at in range(len(compressed(payload)) + 1):
            data = client.pack(payload)
            client.send(*fragments(TEXT, [data[:at], data[at:]], rsv=RSV1))
            assert client.read_either()[0] == payload
        data = client.pack(payload)
        pieces = [data[at : at + 1] for at in range(len(data))]
        client.send(b"".join(fragments(BINARY, pieces, rsv=RSV1)))
        assert client.read_either()[0] == payload
        client.say_goodbye()


def test_control_frames_between_compressed_fragments(serve: Serve) -> None:
    payload = bytes(range(256)) * 4
    with serve(echo) as server, deflating(server, OFFER) as client:
        data = client.pack(payload)
        pieces = [data[at : at + 100] for at in range(0, len(data), 100)]
        client.send(frame(PING, b"?").join(fragments(BINARY, pieces, rsv=RSV1)))
        for _ in pieces[1:]:
            assert client.read_frame() == Frame(PONG, b"?")
        assert client.read_either()[0] == payload
        client.say_goodbye()


@pytest.mark.parametrize(
    "data",
    [
        b"\0",  # nothing but an empty stored block's head
        b"\x02\0",  # an empty block of fixed codes, then that
        b"\0\x05\0\xfa\xffHello\0",  # section 7.2.3.3: a stored block
        b"\xf3\x48\xcd\xc9\xc9\x07\0",  # section 7.2.3.4: the last block says that it is
        b"\xf2\x48\x05\0\0\0\xff\xff\xca\xc9\xc9\x07\0",  # section 7.2.3.5: two blocks
    ],
    ids=ascii,
)
def test_every_kind_of_block(serve: Serve, data: bytes) -> None:
    with serve(echo) as server, deflating(server, OFFER) as client:
        for _ in range(2):
            client.send(frame(TEXT, data, rsv=RSV1))
            assert client.read_either()[0] in (b"Hello", b"")
        client.send(frame(TEXT, client.pack(b"goes on"), rsv=RSV1))
        assert client.read_either()[0] == b"goes on"
        client.say_goodbye()


# ---- what is wrong


def refused(serve: Serve, notes: Notes, data: bytes, codes: set[int], **options: Any) -> None:
    """These bytes end the connection with one of `codes`."""
    with serve(noted_echo(notes), **options) as server, deflating(server, OFFER) as client:
        client.send(data)
        close = client.read_frame()
        assert close.opcode == CLOSE and close.code in codes, close
        client.discard_to_end()
        assert notes.get()[0] == close.code


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"a", fin=False, rsv=RSV1) + frame(CONTINUATION, b"b", rsv=RSV1),
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=RSV1),
        frame(PING, b"", rsv=RSV1),
        frame(PONG, b"", rsv=RSV1),
        frame(CLOSE, b"\x03\xe8", rsv=RSV1),
        frame(TEXT, compressed(b"hi"), rsv=6),
        frame(TEXT, compressed(b"hi"), rsv=5),
    ],
    ids=range(7),
)
def test_bits_where_they_must_not_be(serve: Serve, notes: Notes, data: bytes) -> None:
    refused(serve, notes, data, {1002})


@pytest.mark.parametrize(
    "payload", [b"\xff", b"\xff" * 1000, b"\x07", b"\0\x05\0\xfa\xfeHello"], ids=ascii
)
def test_what_is_no_deflate(serve: Serve, notes: Notes, payload: bytes) -> None:
    refused(serve, notes, frame(BINARY, payload, rsv=RSV1), {1002, 1007})


def test_a_distance_beyond_what_was_sent(serve: Serve, notes: Notes) -> None:
    """Without a context, a message cannot point into the one before it."""
    packer = zlib.compressobj(wbits=-15)
    words = b"%r" % random.Random(8).randbytes(300)
    first, second = (compressed(words, packer=packer) for _ in range(2))
    assert len(second) < 20
    with serve(noted_echo(notes)) as server, deflating(server, OFFER) as client:
        client.send(frame(TEXT, first, rsv=RSV1))
        assert client.read_either()[0] == words
        client.send(frame(TEXT, second, rsv=RSV1))
        close = client.read_frame()
        assert close.opcode == CLOSE and close.code in (1002, 1007)
        client.discard_to_end()
        assert notes.get()[0] == close.code


@pytest.mark.parametrize("bad", [b"\xff", b"good \xc3", b"x" * 5000 + b"\xed\xa0\x80", b"\xe2\x82"])
def test_text_that_is_none_when_inflated(serve: Serve, notes: Notes, bad: bytes) -> None:
    refused(serve, notes, frame(TEXT, compressed(bad), rsv=RSV1), {1007})
    data = compressed(bad)
    whole = b"".join(fragments(TEXT, [data[:1], data[1:]], rsv=RSV1))
    refused(serve, notes, whole, {1007})


@pytest.mark.parametrize("excess", [0, 1])
def test_the_most_holds_for_what_is_inflated(serve: Serve, notes: Notes, excess: int) -> None:
    data = frame(BINARY, compressed(bytes(100_000 + excess)), rsv=RSV1)
    if excess:
        refused(serve, notes, data, {1009}, ws_max_size=100_000)
        return
    with serve(echo, ws_max_size=100_000) as server, deflating(server, OFFER) as client:
        client.send(data)
        assert client.read_either()[0] == bytes(100_000)
        client.say_goodbye()


def test_a_bomb(serve: Serve) -> None:
    """A gibibyte in a mebibyte: it is not held in memory, and not even inflated."""
    packer = zlib.compressobj(wbits=-15)
    zeros = bytes(1 << 20)
    data = b"".join(packer.compress(zeros) for _ in range(1024)) + packer.flush(zlib.Z_SYNC_FLUSH)
    bomb = frame(BINARY, data[:-4], rsv=RSV1)
    assert len(bomb) < 1 << 21
    app = "tests.web_sockets.applications:echo"
    with MeasuredServer(app, ws_max_size=4 << 20) as server:
        server.served()
        before = server.measure().rss
        server.forget_peak()
        for _ in range(3):
            with deflating(server, OFFER) as client:
                try:
                    client.send(bomb)
                except ConnectionError:
                    pass  # the server has seen enough
                received = client.read_to_end()
                assert received[2:4] == b"\x03\xf1" or client.reset
        assert server.peak() - before < 32 << 20
        with deflating(server, OFFER) as client:
            talk(client)
            client.send(close_frame())
            assert client.read_close().code == 1000
