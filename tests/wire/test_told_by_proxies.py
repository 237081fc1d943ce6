# SPDX-License-Identifier: MIT
"""nginx and HAProxy tell the server whose requests they forward, in each way that they know."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.asgi.test_scope import reporter
from tests.conftest import Serve
from tests.support.asgi import Notes
from tests.support.raw import RawClient
from tests.support.services import MissingError
from tests.wire.proxies import HAProxy, Nginx, Proxy

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="each client has an address of its own in 127.0.0.0/8"
)

CLIENTS = ("127.7.0.1", "127.7.0.2")
TRUSTED = "127.0.0.1"

WAYS: list[tuple[str, Callable[[int], Proxy], dict[str, object]]] = [
    (
        "nginx: X-Forwarded-For",
        lambda port: Nginx(
            port,
            forwarding="proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
            "proxy_set_header X-Forwarded-Proto https;",
        ),
        {},
    ),
    (
        "nginx: X-Forwarded-For with a port",
        lambda port: Nginx(
            port,
            forwarding="proxy_set_header X-Forwarded-For $remote_addr:$remote_port;"
            "proxy_set_header X-Forwarded-Proto https;",
        ),
        {},
    ),
    (
        "nginx: Forwarded",
        lambda port: Nginx(
            port,
            forwarding='proxy_set_header Forwarded "$http_forwarded, '
            'for=\\"$remote_addr:$remote_port\\";proto=https";',
        ),
        {"forwarded_headers": "forwarded"},
    ),
    (
        "HAProxy: X-Forwarded-For",
        lambda port: HAProxy(
            port,
            forwarding="option forwardfor\n                "
            "http-request set-header X-Forwarded-Proto https",
        ),
        {},
    ),
    (
        "HAProxy: Forwarded",
        lambda port: HAProxy(
            port, forwarding="http-request add-header Forwarded for=%[src];proto=https"
        ),
        {"forwarded_headers": "forwarded"},
    ),
    (
        "HAProxy: PROXY protocol 1",
        lambda port: HAProxy(port, server_options="send-proxy"),
        {"proxy_protocol": True},
    ),
    (
        "HAProxy: PROXY protocol 2",
        lambda port: HAProxy(port, server_options="send-proxy-v2"),
        {"proxy_protocol": True},
    ),
    (
        "HAProxy: PROXY protocol 2 with all that it tells",
        lambda port: HAProxy(
            port, server_options="send-proxy-v2 proxy-v2-options unique-id,crc32c,authority"
        ),
        {"proxy_protocol": True},
    ),
]


@contextmanager
def in_front(*proxies: Callable[[int], Proxy], port: int) -> Iterator[Proxy]:
    """Run proxies, the last one in front of the others."""
    with ExitStack() as stack:
        try:
            for make in proxies:
                proxy = make(port)
                proxy.stop_signal = signal.SIGTERM
                stack.enter_context(proxy)
                port = proxy.port
        except MissingError as missing:
            pytest.skip(str(missing))
        yield proxy


def ask(proxy: Proxy, source: str, *fields: str) -> tuple[str, int]:
    """Send a request through a proxy; return the client's address."""
    with RawClient((proxy.host, proxy.port), source=source) as client:
        client.get("/", *fields)
        client.read_until(b"hello")
        name: tuple[str, int] = client.sock.getsockname()[:2]
        return name


@pytest.mark.parametrize(
    ("make", "options"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS]
)
def test_the_client_is_the_proxys(
    serve: Serve, notes: Notes, make: Callable[[int], Proxy], options: dict[str, object]
) -> None:
    """Also when clients share a connection of the proxy, and when they tell lies."""
    lies = ("X-Forwarded-For: 6.6.6.6", 'Forwarded: for="6.6.6.6')
    with serve(reporter(notes), forwarded_allow_ips=TRUSTED, **options) as server:
        with in_front(make, port=server.port) as proxy:
            for source in CLIENTS * 2:
                for fields in (), lies:
                    client = ask(proxy, source, *fields)
                    scope = notes.get()
                    host, port = scope["client"]
                    assert (host, port or client[1]) == client


def test_the_scheme_is_the_proxys(serve: Serve, notes: Notes) -> None:
    for _, make, options in WAYS[:4]:
        with serve(reporter(notes), forwarded_allow_ips=TRUSTED, **options) as server:
            with in_front(make, port=server.port) as proxy:
                ask(proxy, CLIENTS[0])
                assert notes.get()["scheme"] == "https"


def test_two_proxies_in_a_row(serve: Serve, notes: Notes) -> None:
    """One that reads HTTP before one that only passes its connections on, and the other way round."""
    nginx, _ = WAYS[0][1:]
    for options in "send-proxy", "send-proxy-v2":
        with serve(reporter(notes), proxy_protocol=True) as server:

            def haproxy(port: int, options: str = options) -> Proxy:
                return HAProxy(port, server_options=options)

            with in_front(haproxy, nginx, port=server.port) as proxy:
                for source in CLIENTS:
                    client = ask(proxy, source, "X-Forwarded-For: 6.6.6.6")
                    assert notes.get()["client"] == (client[0], 0)
    with serve(reporter(notes), forwarded_hops=2) as server:
        with in_front(nginx, nginx, port=server.port) as proxy:
            client = ask(proxy, CLIENTS[0], "X-Forwarded-For: 6.6.6.6")
            assert notes.get()["client"] == (client[0], 0)


def test_health_checks_are_served(serve: Serve, notes: Notes) -> None:
    """HAProxy's own checks have a preamble that says LOCAL."""

    def haproxy(port: int) -> Proxy:
        return HAProxy(
            port,
            forwarding="option httpchk GET /health",
            server_options="send-proxy-v2 check inter 100",
        )

    with serve(reporter(notes), proxy_protocol=True) as server:
        with in_front(haproxy, port=server.port):
            scope = notes.get()
            assert scope["path"] == "/health"
            assert scope["client"][0] == "127.0.0.1"
