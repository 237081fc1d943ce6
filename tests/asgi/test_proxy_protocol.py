# SPDX-License-Identifier: MIT
"""The PROXY preamble: whose connection it is, from proxies that are trusted, and from nobody else."""

from __future__ import annotations

import ipaddress
import struct
import sys
from typing import Any

import pytest

from tests.asgi.test_scope import reporter
from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, hello, respond
from tests.support.raw import RawClient
from tests.support.server import RunningServer, running_server

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
UNTRUSTED = "Connection closed. (PROXY preamble from a peer that is not trusted)"


def v1(source: str = "1.2.3.4", port: int = 5678) -> bytes:
    """A preamble of version 1."""
    family, destination = ("TCP6", "::1") if ":" in source else ("TCP4", "127.0.0.1")
    return f"PROXY {family} {source} {destination} {port} 80\r\n".encode()


def v2(
    source: str = "1.2.3.4",
    port: int = 5678,
    *,
    command: int = 1,
    transport: int = 1,
    more: bytes = b"",
) -> bytes:
    """A preamble of version 2."""
    address = ipaddress.ip_address(source).packed
    family = 1 if len(address) == 4 else 2
    addresses = address * 2 + struct.pack("!HH", port, 80)
    return v2_of(family << 4 | transport, addresses + more, command)


def v2_of(family: int, rest: bytes, command: int = 1) -> bytes:
    """A preamble of version 2 with any bytes behind its fixed part."""
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(rest)) + rest


TAKEN: list[tuple[bytes, Any]] = [
    (v1(), ("1.2.3.4", 5678)),
    (v1("2001:db8::1", 0), ("2001:db8::1", 0)),
    (v2(), ("1.2.3.4", 5678)),
    (v2("2001:db8::1", 65535), ("2001:db8::1", 65535)),
    (v2(transport=2), ("1.2.3.4", 5678)),
    (v2(more=b"\x04\0\x01x" * 2000), ("1.2.3.4", 5678)),
    (v2_of(0x31, b"/run/a".ljust(216, b"\0")), None),
    (v2_of(0x32, bytes(216)), None),
    (b"PROXY UNKNOWN\r\n", "peer"),
    (b"PROXY UNKNOWN 1.2.3.4 and so on\r\n", "peer"),
    (v2_of(0, b"\x04\0\0"), "peer"),
    (v2(command=0), "peer"),
]

MALFORMED: list[tuple[bytes, str]] = [
    (b"PROXY TCP4 1.2.3.4 127.0.0.1 70000 80\r\n", "malformed PROXY preamble of version 1"),
    (b"PROXY TCP4 1.2.3.4 127.0.0.1 80\r\n", "malformed PROXY preamble of version 1"),
    (b"PROXY UNKNOWN " + b"x" * 200, "PROXY preamble of version 1 longer than 107 bytes"),
    (v2(command=2), "malformed PROXY preamble of version 2"),
    (v2_of(0x11, bytes(11)), "malformed PROXY preamble of version 2"),
    (v2(more=bytes(8181)), "PROXY preamble of version 2 longer than 8192 bytes"),
    (b"", "no PROXY preamble from a peer that --proxy-protocol trusts"),
]


@pytest.mark.parametrize(
    ("preamble", "expected", "pieces"),
    [
        (preamble, expected, pieces)
        for preamble, expected in TAKEN
        for pieces in (False, True)
        if not pieces or len(preamble) < 300
    ],
    ids=lambda value: str(value)[:60],
)
def test_the_client_of_a_preamble(
    serve: Serve, notes: Notes, preamble: bytes, expected: Any, pieces: bool
) -> None:
    with serve(reporter(notes), proxy_protocol=True) as server, server.connect() as client:
        data = preamble + GET
        client.send(*([bytes([byte]) for byte in data] if pieces else [data]))
        assert client.read_response().status == 200
        client.ask()  # the preamble is the connection's, not the request's
        for _ in range(2):
            scope = notes.get()
            peer = client.sock.getsockname()[:2]
            assert scope["client"] == (peer if expected == "peer" else expected)
            assert scope["server"] == ("127.0.0.1", server.port)


@pytest.mark.parametrize(("preamble", "rule"), MALFORMED, ids=lambda value: str(value)[:40])
def test_a_trusted_peer_that_sends_none_is_cut(serve: Serve, preamble: bytes, rule: str) -> None:
    with serve(hello, proxy_protocol=True) as server, server.connect() as client:
        client.send(preamble + GET)
        client.assert_closed()
        server.log.expect(f"Connection closed. ({rule})")


@pytest.mark.parametrize("preamble", [v1(), v2(), b"PROXY nonsense\r\n"])
def test_a_preamble_from_others_is_refused(serve: Serve, preamble: bytes) -> None:
    options = {"proxy_protocol": True, "forwarded_allow_ips": "10.0.0.1"}
    with serve(hello, **options) as server, server.connect() as client:
        client.send(preamble + GET)
        client.assert_closed()
        server.log.expect(UNTRUSTED)


def test_others_send_requests_without_one(serve: Serve, notes: Notes) -> None:
    options = {"proxy_protocol": True, "forwarded_allow_ips": "10.0.0.1"}
    with serve(reporter(notes), **options) as server, server.connect() as client:
        client.send(b"\r\n", *[bytes([byte]) for byte in GET])
        assert client.read_response().status == 200
        assert notes.get()["client"] == client.sock.getsockname()[:2]


@pytest.mark.parametrize("preamble", [v1(), v2()])
def test_a_preamble_that_nobody_asked_for_is_no_request(serve: Serve, preamble: bytes) -> None:
    with serve(hello) as server, server.connect() as client:
        client.send(preamble + GET)
        assert client.read_head().status in (400, 501)
        server.log.expect("Invalid HTTP request received.")


@pytest.mark.parametrize("second", [v1("9.9.9.9"), v2("9.9.9.9")])
def test_there_is_only_one(serve: Serve, second: bytes) -> None:
    with serve(hello, proxy_protocol=True) as server, server.connect() as client:
        client.send(v1() + second + GET)
        assert client.read_head().status in (400, 501)
        server.log.expect("Invalid HTTP request received.")


def test_half_of_one_has_the_time_of_a_head(serve: Serve) -> None:
    server = serve(hello, proxy_protocol=True, timeout_head=0.05)
    client = server.connect()
    client.send(b"PROXY TCP4 1.2.3.4")  # is there before the server is
    with server, client:
        client.assert_closed()
        server.log.expect("Connection closed. (PROXY preamble not complete within --timeout-head)")


def test_who_leaves_in_it_is_not_worth_a_line(serve: Serve) -> None:
    """Health checks of load balancers do it all the time."""
    for said in b"", b"PROXY TCP4":
        with serve(hello, proxy_protocol=True) as server, server.connect() as client:
            client.send(said)
            client.fin()
            client.assert_closed()
            assert not [line for line in server.log.lines() if "onnection closed" in line]


def test_fields_count_when_the_client_of_the_preamble_is_a_proxy(
    serve: Serve, notes: Notes
) -> None:
    """A proxy that reads HTTP behind one that does not."""
    options = {"proxy_protocol": True, "forwarded_allow_ips": "127.0.0.1,10.0.0.0/8"}
    with serve(reporter(notes), **options) as server:
        for source, expected in ("10.0.0.1", ("7.7.7.7", 0)), ("1.2.3.4", ("1.2.3.4", 5678)):
            for make in v1, v2:
                with server.connect() as client:
                    client.send(make(source))
                    client.ask("/", "X-Forwarded-For: 7.7.7.7")
                    assert notes.get()["client"] == expected
        for own in b"PROXY UNKNOWN\r\n", v2(command=0):
            with server.connect() as client:
                client.send(own)
                client.ask("/", "X-Forwarded-For: 7.7.7.7")
                assert notes.get()["client"] == ("7.7.7.7", 0)
        with server.connect() as client:
            client.send(v2_of(0x31, bytes(216)))
            client.ask("/", "X-Forwarded-For: 7.7.7.7")
            assert notes.get()["client"] is None


def test_fields_alone_can_be_left_out(serve: Serve, notes: Notes) -> None:
    options = {"proxy_protocol": True, "proxy_headers": False}
    with serve(reporter(notes), **options) as server, server.connect() as client:
        client.send(v1("127.0.0.1", 9))
        client.ask("/", "X-Forwarded-For: 7.7.7.7")
        assert notes.get()["client"] == ("127.0.0.1", 9)


def test_a_unix_socket(loop_kind: str, notes: Notes) -> None:
    for trusted, expected in ("unix:", ("1.2.3.4", 5678)), ("127.0.0.1", None):
        options = {"proxy_protocol": True, "forwarded_allow_ips": trusted}
        with running_server(reporter(notes), loop=loop_kind, bind="unix", **options) as server:
            with server.connect() as client:
                client.send((v1() if expected else b"") + GET)
                assert client.read_response().status == 200
                assert notes.get()["client"] == expected


@pytest.mark.parametrize(
    ("preamble", "expected"),
    [
        (v1(), ("1.2.3.4", 5678)),
        (v2("2001:db8::1"), ("2001:db8::1", 5678)),
        (v2(command=0), "peer"),
    ],
    ids=["v1", "v2", "own"],
)
def test_who_was_looked_at_before_the_preamble(
    serve: Serve, notes: Notes, preamble: bytes, expected: Any
) -> None:
    """Both the scope and the handle that somebody holds say who stands behind the proxy."""
    servers: list[RunningServer] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/look":
            notes.put([(c, c.client) for c in servers[0].server.server_state.connections])
        else:
            notes.put(scope)
        await respond(send)

    with (
        serve(app, proxy_protocol=True) as server,
        server.connect() as client,
        server.connect() as other,
    ):
        servers.append(server)
        other.send(v1())
        other.assert_open("/look")
        peer = client.sock.getsockname()[:2]
        found = [connection for connection, who in notes.get() if who == peer]
        client.send(preamble + GET)
        assert client.read_response().status == 200
        wanted = peer if expected == "peer" else expected
        assert notes.get()["client"] == wanted
        assert found[0].client == found[0].get_extra_info("peername") == wanted


@pytest.mark.skipif(sys.platform != "linux", reason="other addresses of 127.0.0.0/8")
def test_trust_is_that_of_each_peer(serve: Serve, notes: Notes) -> None:
    options = {"proxy_protocol": True, "forwarded_allow_ips": "127.0.0.2"}
    with serve(reporter(notes), **options) as server:
        with RawClient(("127.0.0.1", server.port), source="127.0.0.2") as client:
            client.send(v2() + GET)
            assert client.read_response().status == 200
            assert notes.get()["client"] == ("1.2.3.4", 5678)
        with RawClient(("127.0.0.1", server.port), source="127.0.0.3") as client:
            client.send(v2() + GET)
            client.assert_closed()
        server.log.expect(UNTRUSTED)


def test_a_drain_ends_connections_that_said_nothing(serve: Serve) -> None:
    with serve(hello, proxy_protocol=True, timeout_head=0) as server:
        with server.connect() as first, server.connect() as client:
            first.send(v1() + GET)
            assert first.read_response().status == 200
            server.settle()
            server.server.should_exit = True
            client.assert_closed()
            assert server.join() is None
