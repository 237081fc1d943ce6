# SPDX-License-Identifier: MIT
"""X-Forwarded-For and X-Forwarded-Proto: as uvicorn reads them, in C and in the middleware, but for a list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware as UvicornsMiddleware

from cuvee.proxy_headers import ProxyHeadersMiddleware
from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, respond
from tests.support.raw import RawClient
from tests.support.server import RunningServer, running_server

Fields = tuple[tuple[str, str], ...]
Told = tuple[Any, str]
"""The client (the port of our own connection left out) and the scheme of a scope."""

FOR = "X-Forwarded-For"
PROTO = "X-Forwarded-Proto"
PEER = ("127.0.0.1", "peer")
NETWORKS = "127.0.0.1, ::1, 10.0.0.0/8, 2001:db8::/32, proxy.internal, _edge"

SAME: list[tuple[str, Fields]] = [
    (trusted, fields)
    for trusted in ("127.0.0.1", NETWORKS, "*", "127.0.0.0/8", "192.0.2.1", "::1,127.0.0.2")
    for fields in [
        (),
        ((FOR, "1.2.3.4"),),
        ((FOR, "1.2.3.4:5678"),),
        ((FOR, "  1.2.3.4\t"),),
        ((FOR, "2001:db9::1"),),
        ((FOR, "[2001:db9::1]"),),
        ((FOR, "[2001:db9::1]:443"),),
        ((FOR, "6.6.6.6, 1.2.3.4"),),
        ((FOR, "6.6.6.6,1.2.3.4, 10.1.2.3"),),
        ((FOR, "6.6.6.6, 1.2.3.4:99, 10.0.0.1:80, [2001:db8::9]:1"),),
        ((FOR, "10.0.0.1, 10.0.0.2"),),
        ((FOR, "6.6.6.6"), (FOR, "1.2.3.4")),
        ((FOR, "6.6.6.6, 1.2.3.4"), ("X-Other", "a"), (FOR, "10.0.0.1")),
        ((FOR, "1.2.3.4, _edge, 10.0.0.1"),),
        ((FOR, "unknown"),),
        ((FOR, "unix:"),),
        ((FOR, "_hidden"),),
        ((FOR, ""),),
        ((FOR, "0.0.0.0:0"),),
        ((PROTO, "https"),),
        ((PROTO, "http"),),
        ((PROTO, "wss"),),
        ((PROTO, "ws"),),
        ((PROTO, " https "),),
        ((PROTO, "HTTPS"),),
        ((PROTO, "gopher"),),
        ((PROTO, ""),),
        ((PROTO, "https, http"),),
        ((PROTO, "http"), (PROTO, "https")),
        ((PROTO, "https"), (PROTO, "gopher")),
        ((FOR, "1.2.3.4"), (PROTO, "https")),
        (("Forwarded", "for=6.6.6.6;proto=https"),),
        (
            ("X-Forwarded-Host", "a.example"),
            ("X-Forwarded-Port", "8443"),
            ("X-Forwarded-Prefix", "/a"),
        ),
        (("X-Real-IP", "6.6.6.6"), ("X-Forwarded-Ssl", "on")),
    ]
] + [
    (NETWORKS, ((FOR, "6.6.6.6, 1.2.3.4, proxy.internal"),)),
    (NETWORKS, ((FOR, "proxy.internal"),)),
    ("127.0.0.1, unix:", ((FOR, "1.2.3.4, unix:"),)),
]
"""Trusted hosts and fields from which both servers take the same."""

DIFFERENT: list[tuple[str, Fields, Told]] = [
    # What is no address is not taken for one: the client is the host behind it, if there is one.
    ("127.0.0.1", ((FOR, "<script>"),), (PEER, "http")),
    ("127.0.0.1", ((FOR, 'a" "b'),), (PEER, "http")),
    ("127.0.0.1", ((FOR, "1.2.3.4, example.com"),), (PEER, "http")),
    ("127.0.0.1", ((FOR, "1.2.3.4:99999"),), (PEER, "http")),
    ("127.0.0.1", ((FOR, "1.2.3.4:x"),), (PEER, "http")),
    ("127.0.0.1", ((FOR, "[::1]x"),), (PEER, "http")),
    ("127.0.0.1", ((FOR, "1.2.3.4, " + "_" + "x" * 253),), (PEER, "http")),
    ("*", ((FOR, "junk, 1.2.3.4"),), (("1.2.3.4", 0), "http")),
    ("*", ((FOR, "6.6.6.6, junk, 1.2.3.4"),), (("1.2.3.4", 0), "http")),
    (NETWORKS, ((FOR, "1.2.3.4, , 10.0.0.1"),), (("10.0.0.1", 0), "http")),
    # An IPv4 address is the same in its IPv6 form.
    (NETWORKS, ((FOR, "1.2.3.4, ::ffff:10.0.0.1"),), (("1.2.3.4", 0), "http")),
    ("::ffff:127.0.0.1", ((FOR, "1.2.3.4"),), (("1.2.3.4", 0), "http")),
]
"""... and others, with what cuvee takes."""


def identify(value: Any) -> str:
    """Name a case by what it is."""
    return str(value)[:80] or "nobody"


def told_by(middleware: Any, trusted: str, fields: Fields) -> Told:
    """What a middleware makes of a request's fields."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    headers = [(name.lower().encode(), value.strip().encode()) for name, value in fields]
    scope: Scope = {
        "type": "http",
        "client": ("127.0.0.1", "peer"),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "headers": headers,
    }
    asyncio.run(middleware(app, trusted_hosts=trusted)(scope, None, None))
    return seen[0]["client"], seen[0]["scheme"]


class Reporter:
    """An application that hands each scope to its test."""

    def __init__(self) -> None:
        self.notes = Notes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.notes.put(scope)
        await respond(send)


def told_by_server(reporter: Reporter, client: RawClient, fields: Fields) -> Told:
    """What the server makes of them."""
    assert client.ask("/", *(f"{name}: {value}" for name, value in fields)).status == 200
    scope = reporter.notes.get()
    host, port = scope["client"]
    is_peer = (host, port) == client.sock.getsockname()[:2]
    return (PEER if is_peer else (host, port)), scope["scheme"]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, tuple[RunningServer, Reporter]]]:
    """A server for each list of trusted hosts, made when it is first asked for."""
    running: dict[str, tuple[RunningServer, Reporter]] = {}
    yield running
    for server, _ in running.values():
        server.__exit__(None, None, None)


def ask_server(
    servers: dict[str, tuple[RunningServer, Reporter]], trusted: str, fields: Fields
) -> Told:
    """Ask the one that trusts `trusted`."""
    if trusted not in servers:
        reporter = Reporter()
        servers[trusted] = running_server(reporter, forwarded_allow_ips=trusted), reporter
        servers[trusted][0].__enter__()
    server, reporter = servers[trusted]
    with server.connect() as client:
        return told_by_server(reporter, client, fields)


@pytest.mark.parametrize(("trusted", "fields"), SAME, ids=identify)
def test_as_uvicorn_reads_it(
    servers: dict[str, tuple[RunningServer, Reporter]], trusted: str, fields: Fields
) -> None:
    told = told_by(UvicornsMiddleware, trusted, fields)
    assert told_by(ProxyHeadersMiddleware, trusted, fields) == told
    assert ask_server(servers, trusted, fields) == told


@pytest.mark.parametrize(("trusted", "fields", "expected"), DIFFERENT, ids=identify)
def test_not_as_uvicorn_reads_it(
    servers: dict[str, tuple[RunningServer, Reporter]],
    trusted: str,
    fields: Fields,
    expected: Told,
) -> None:
    assert told_by(UvicornsMiddleware, trusted, fields) != expected
    assert told_by(ProxyHeadersMiddleware, trusted, fields) == expected
    assert ask_server(servers, trusted, fields) == expected


# ---- the server ----------------------------------------------------------------------------------


def test_each_request_of_a_connection_has_its_own_client(serve: Serve) -> None:
    reporter = Reporter()
    with serve(reporter) as server, server.connect() as client:
        assert told_by_server(reporter, client, ((FOR, "1.2.3.4"), (PROTO, "https"))) == (
            ("1.2.3.4", 0),
            "https",
        )
        assert told_by_server(reporter, client, ()) == (PEER, "http")
        assert told_by_server(reporter, client, ((FOR, "[2001:db8::1]:9"),)) == (
            ("2001:db8::1", 9),
            "http",
        )


def test_the_types_are_those_of_any_scope(serve: Serve) -> None:
    reporter = Reporter()
    with serve(reporter) as server, server.connect() as client:
        client.ask("/", f"{FOR}: 1.2.3.4:5", f"{PROTO}: wss")
        scope = reporter.notes.get()
    host, port = scope["client"]
    assert (type(scope["client"]), type(host), type(port)) == (tuple, str, int)
    assert type(scope["scheme"]) is str
    assert (b"x-forwarded-for", b"1.2.3.4:5") in scope["headers"]


def test_they_are_left_alone_where_nobody_wants_them(serve: Serve) -> None:
    reporter = Reporter()
    with serve(reporter, proxy_headers=False) as server, server.connect() as client:
        fields = ((FOR, "1.2.3.4"), (PROTO, "https"))
        assert told_by_server(reporter, client, fields) == (PEER, "http")


def test_a_list_of_hosts_is_as_good_as_a_text(serve: Serve) -> None:
    reporter = Reporter()
    trusted = ["10.0.0.0/8", "127.0.0.1"]
    with serve(reporter, forwarded_allow_ips=trusted) as server, server.connect() as client:
        told = told_by_server(reporter, client, ((FOR, "1.2.3.4, 10.0.0.1"),))
        assert told == (("1.2.3.4", 0), "http")


def test_the_peer_of_a_dual_stack_socket_is_an_ipv4_address(loop_kind: str) -> None:
    reporter = Reporter()
    with running_server(reporter, loop=loop_kind, bind="::") as server:
        with RawClient(("127.0.0.1", server.port)) as client:
            client.ask("/", f"{FOR}: 1.2.3.4")
            assert reporter.notes.get()["client"] == ("1.2.3.4", 0)
        with RawClient(("::1", server.port)) as client:
            client.ask("/", f"{FOR}: 1.2.3.4")
            assert reporter.notes.get()["client"] == ("1.2.3.4", 0)


def test_a_unix_sockets_peers_are_trusted_when_asked_for(loop_kind: str) -> None:
    for trusted, expected in (
        ("127.0.0.1", None),
        ("unix:", ("1.2.3.4", 0)),
        ("*", ("1.2.3.4", 0)),
        ("/other", None),
        ("unix:/other", None),
    ):
        reporter = Reporter()
        with running_server(
            reporter, loop=loop_kind, bind="unix", forwarded_allow_ips=trusted
        ) as server:
            with server.connect() as client:
                client.ask("/", f"{FOR}: 1.2.3.4")
                assert reporter.notes.get()["client"] == expected, trusted


def test_a_unix_sockets_peers_are_trusted_by_its_path(loop_kind: str, tmp_path: Path) -> None:
    for prefix in ("", "unix:"):
        reporter = Reporter()
        path = str(tmp_path / f"socket{prefix}")
        with running_server(
            reporter, loop=loop_kind, bind=path, forwarded_allow_ips=prefix + path
        ) as server:
            with server.connect() as client:
                client.ask("/", f"{FOR}: 1.2.3.4")
                assert reporter.notes.get()["client"] == ("1.2.3.4", 0)


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 5.5.5.5", "1.2.3.4"),
        (2, "6.6.6.6, 127.0.0.1, 127.0.0.1", "127.0.0.1"),
        (3, "1.2.3.4", "1.2.3.4"),
        (3, "1.2.3.4, junk, 5.5.5.5", "5.5.5.5"),
    ],
)
def test_so_many_entries_count(hops: int, forwarded: str, expected: str) -> None:
    reporter = Reporter()
    with running_server(reporter, forwarded_hops=hops) as server, server.connect() as client:
        client.ask("/", f"{FOR}: {forwarded}")
        assert reporter.notes.get()["client"] == (expected, 0)
    with running_server(reporter, forwarded_hops=hops, forwarded_allow_ips="10.0.0.1") as server:
        with server.connect() as client:
            assert told_by_server(reporter, client, ((FOR, forwarded),)) == (PEER, "http")


# ---- Forwarded (RFC 7239) ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (["for=1.2.3.4"], (("1.2.3.4", 0), "http")),
        (['for="[2001:db8::1]:443";proto=https;by=_x;host=a'], (("2001:db8::1", 443), "https")),
        (
            ["for=6.6.6.6;proto=ws, for=1.2.3.4;proto=https, for=10.0.0.1"],
            (("1.2.3.4", 0), "https"),
        ),
        (["for=6.6.6.6, for=1.2.3.4", "for=10.0.0.1;proto=https"], (("1.2.3.4", 0), "http")),
        (['for="6.6.6.6, for=1.2.3.4'], (("1.2.3.4", 0), "http")),
        (["for=_hidden;proto=https"], (("_hidden", 0), "https")),
        (["proto=https"], (PEER, "https")),
        (["for=1.2.3.4, for=junk;proto=https"], (PEER, "http")),
        (["for=1.2.3.4:80"], (PEER, "http")),
    ],
)
def test_forwarded(serve: Serve, forwarded: list[str], expected: Told) -> None:
    reporter = Reporter()
    options = {"forwarded_headers": "forwarded", "forwarded_allow_ips": "127.0.0.1,10.0.0.0/8"}
    ignored = ((FOR, "7.7.7.7"), (PROTO, "wss"))
    with serve(reporter, **options) as server, server.connect() as client:
        fields = tuple(("Forwarded", value) for value in forwarded)
        assert told_by_server(reporter, client, ignored + fields) == expected


# ---- the middleware ------------------------------------------------------------------------------


def run_middleware(scope: Scope, **options: Any) -> Scope:
    """Run one scope through it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    asyncio.run(ProxyHeadersMiddleware(app, **options)(scope, None, None))  # type: ignore[arg-type]
    return scope


def test_a_websocket_has_the_scheme_of_one() -> None:
    scope = {
        "type": "websocket",
        "client": ("127.0.0.1", 1),
        "scheme": "ws",
        "headers": [(b"x-forwarded-proto", b"https")],
    }
    assert run_middleware(scope)["scheme"] == "wss"


def test_a_lifespan_has_no_client() -> None:
    assert run_middleware({"type": "lifespan"}) == {"type": "lifespan"}


@pytest.mark.parametrize(
    ("server", "trusted", "expected"),
    [
        (("/run/a", None), "/run/a", ("1.2.3.4", 0)),
        (("/run/a", None), ["unix:/run/a"], ("1.2.3.4", 0)),
        (("/run/a", None), "unix:", ("1.2.3.4", 0)),
        (("/run/a", None), "/run/b", None),
        (None, "unix:", None),
        (("127.0.0.1", 80), "unix:", None),
        (None, "*", ("1.2.3.4", 0)),
    ],
)
def test_the_middleware_behind_a_unix_socket(server: Any, trusted: Any, expected: Any) -> None:
    headers = [(b"x-forwarded-for", b"1.2.3.4")]
    scope = {"type": "http", "client": None, "server": server, "scheme": "http", "headers": headers}
    assert run_middleware(scope, trusted_hosts=trusted)["client"] == expected


def test_a_peer_may_have_a_name() -> None:
    for name, expected in ("testclient", ("1.2.3.4", 0)), ("other", ("other", 1)):
        headers = [(b"x-forwarded-for", b"1.2.3.4")]
        scope = {"type": "http", "client": (name, 1), "scheme": "http", "headers": headers}
        assert run_middleware(scope, trusted_hosts="testclient")["client"] == expected
