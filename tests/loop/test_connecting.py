# SPDX-License-Identifier: MIT
"""Names, addresses and the order in which they are tried."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.loop.streams_support import on_both_loops, run_on

Address = tuple[str, int]


def addresses(*found: Address) -> Any:
    """A getaddrinfo() that finds these."""

    async def getaddrinfo(*_args: object, **_options: object) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (host, port),
            )
            for host, port in found
        ]

    return getaddrinfo


def refused() -> Address:
    """An address at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address: Address = sock.getsockname()
        return address


@contextmanager
def silent() -> Iterator[Address]:
    """An address that never answers: its queue of connections is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()


@on_both_loops
def test_the_next_address_is_tried_while_the_first_one_is_silent(factory) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        open_address = server.sockets[0].getsockname()
        with silent() as never:
            loop.getaddrinfo = addresses(never, open_address)
            transport, _ = await loop.create_connection(
                asyncio.Protocol, "name", 80, happy_eyeballs_delay=0.01
            )
        assert transport.get_extra_info("peername") == open_address
        transport.close()
        server.close()

    run_on(factory, main())


@on_both_loops
def test_the_next_address_is_tried_after_one_that_refuses(factory) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        open_address = server.sockets[0].getsockname()
        loop.getaddrinfo = addresses(refused(), open_address)
        for options in ({}, {"happy_eyeballs_delay": 3600}):
            transport, _ = await loop.create_connection(asyncio.Protocol, "name", 80, **options)
            assert transport.get_extra_info("peername") == open_address
            transport.close()
        server.close()

    run_on(factory, main())


@pytest.mark.skipif(not socket.has_ipv6, reason="needs sockets for IPv6")
@on_both_loops
@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, ["::1", "::2", "127.0.0.1"]),
        ({"interleave": 1}, ["::1", "127.0.0.1", "::2"]),
        ({"happy_eyeballs_delay": 3600}, ["::1", "127.0.0.1", "::2"]),
        ({"happy_eyeballs_delay": 3600, "interleave": 2}, ["::1", "::2", "127.0.0.1"]),
    ],
)
def test_families_take_turns(factory, options: dict[str, Any], order: list[str]) -> None:
    tried: list[str] = []

    async def sock_connect(_sock: socket.socket, address: Address) -> None:
        tried.append(address[0])
        raise OSError(f"no {address[0]}")

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.getaddrinfo = addresses(("::1", 80), ("::2", 80), ("127.0.0.1", 80))
        loop.sock_connect = sock_connect
        with pytest.raises(OSError, match="no ::1"):
            await loop.create_connection(asyncio.Protocol, "name", 80, **options)

    run_on(factory, main())
    assert tried == order


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all_errors is new in 3.12")
@on_both_loops
def test_all_errors(factory) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.getaddrinfo = addresses(refused(), refused())
        with pytest.raises(ExceptionGroup) as caught:
            await loop.create_connection(asyncio.Protocol, "name", 80, all_errors=True)
        assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError] * 2

    run_on(factory, main())


@on_both_loops
def test_the_scope_of_an_address_is_kept(factory) -> None:
    """A link-local address means nothing without its interface."""
    name = socket.if_nameindex()[0][1]
    number = socket.if_nametoindex(name)
    tried: list[object] = []

    async def sock_connect(_sock: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("not reached")

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.sock_connect = sock_connect
        found = await loop.getaddrinfo(f"fe80::1%{name}", 80, type=socket.SOCK_STREAM)
        assert [info[4] for info in found] == [("fe80::1", 80, 0, number)]
        for host in (f"fe80::1%{name}", f"fe80::1%{number}"):
            with pytest.raises(OSError, match="not reached"):
                await loop.create_connection(asyncio.Protocol, host, 80)
        assert (await loop.getnameinfo(("fe80::1", 80, 0, number), socket.NI_NUMERICHOST))[0] == (
            f"fe80::1%{name}"
        )

    run_on(factory, main())
    assert tried == [("fe80::1", 80, 0, number)] * 2


@on_both_loops
@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("", {}),
        (None, {}),
        (None, {"flags": socket.AI_PASSIVE}),
        ("", {"family": socket.AF_INET, "type": socket.SOCK_STREAM}),
        ("127.0.0.1", {"type": socket.SOCK_DGRAM}),
        (b"127.0.0.1", {}),
        ("::1", {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}),
        ("127.0.0.1", {"family": socket.AF_INET6}),
        ("localhost", {"type": socket.SOCK_STREAM}),
        ("1.2.3.4\0", {}),
        ("256.256.256.256", {"flags": socket.AI_NUMERICHOST}),
    ],
)
@pytest.mark.parametrize("port", [80, "80", b"80", "http", None, "", 0, -1, 70000, "no port"])
def test_names_are_found_as_socket_finds_them(
    factory, host: Any, port: Any, options: dict[str, Any]
) -> None:
    def found(call: Any) -> object:
        try:
            return call()
        except (OSError, ValueError, OverflowError) as error:
            return type(error), str(error)

    with asyncio.Runner(loop_factory=factory) as runner:
        loop = runner.get_loop()
        ours = found(lambda: runner.run(_await(loop.getaddrinfo(host, port, **options))))
    assert ours == found(lambda: socket.getaddrinfo(host, port, **options))


async def _await(found: Any) -> object:
    return await found
