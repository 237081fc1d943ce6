# SPDX-License-Identifier: MIT
"""getaddrinfo and getnameinfo: numbers are answered at once, as the socket module answers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

Loop = asyncio.AbstractEventLoop

LITERALS = [
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "8.8.8.8",
    "::",
    "::1",
    "2001:db8::8",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "fe80::1",
    "fe80::1%lo",
    "fe80::1%1",
    "::1%1",
    "fe80::1%nowhere",
    "fe80::1%",
]
PORTS: list[Any] = [None, 0, 80, 65535, 65536, -1, "0", "80", "080", "70000", True]
KINDS = [0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, 77]
FAMILIES = [socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6]
PROTOS = [0, socket.IPPROTO_TCP, socket.IPPROTO_UDP]
FLAGS = [0, socket.AI_PASSIVE, socket.AI_NUMERICHOST | socket.AI_NUMERICSERV, socket.AI_CANONNAME]

SPECIAL = [
    ("127.1", 80, {}),
    ("0x7f000001", 80, {}),
    ("2130706433", 80, {}),
    ("127.0.0.1 ", 80, {"flags": socket.AI_NUMERICHOST}),
    ("", 80, {"flags": socket.AI_NUMERICHOST}),
    (None, 80, {}),
    (None, None, {}),
    (None, 80, {"flags": socket.AI_PASSIVE, "type": socket.SOCK_STREAM}),
    ("127.0.0.1", "http", {}),
    ("127.0.0.1", "", {}),
    ("127.0.0.1", "no such service", {}),
    ("127.0.0.1", b"80", {}),
    (b"127.0.0.1", 80, {}),
    (b"::1", "80", {}),
    ("127.0.0.1", 80, {"family": socket.AF_INET6, "flags": socket.AI_V4MAPPED}),
    ("127.0.0.1", 80, {"flags": socket.AI_ADDRCONFIG}),
    ("127.0.0.1", 1 << 70, {}),
    ("127.0.0.1", 1.5, {}),
    ("127.0.0.1", [], {}),
    ("127.0.0.1", "٨٠", {}),
    ("127.0.0.1\0", 80, {}),
    ("\udc80", 80, {}),
    ("x" * 100, 80, {"flags": socket.AI_NUMERICHOST}),
    (1, 80, {}),
    ("127.0.0.1", 80, {"family": 12345}),
    ("127.0.0.1", 80, {"flags": 1 << 30}),
]


def answer(call: Callable[[], Any]) -> tuple[Any, ...]:
    """What a call returns or raises, in a form that can be compared."""
    try:
        found = call()
    except Exception as error:
        return type(error), error.args
    return found, [[type(part) for part in entry] for entry in found]


def ask(loop: Loop, host: Any, port: Any, **options: Any) -> Any:
    """Look up on a loop."""
    return loop.run_until_complete(loop.getaddrinfo(host, port, **options))


@pytest.mark.parametrize("host", LITERALS)
def test_literals_are_answered_as_by_the_socket_module(own_loop: Loop, host: str) -> None:
    for port, family, kind, proto, flags in itertools.product(
        PORTS, FAMILIES, KINDS, PROTOS, FLAGS
    ):
        options = {"family": family, "type": kind, "proto": proto, "flags": flags}
        wanted = answer(lambda: socket.getaddrinfo(host, port, **options))  # type: ignore[arg-type]  # noqa: B023
        for _ in range(2):  # the second time it is remembered
            found = answer(lambda: ask(own_loop, host, port, **options))  # noqa: B023
            assert found == wanted, (port, options)
    assert own_loop._default_executor is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(("host", "port", "options"), SPECIAL)
def test_others_are_answered_as_by_the_socket_module(
    loop: Loop, host: Any, port: Any, options: Any
) -> None:
    wanted = answer(lambda: socket.getaddrinfo(host, port, **options))
    assert answer(lambda: ask(loop, host, port, **options)) == wanted


def test_answer_is_the_callers_own(own_loop: Loop) -> None:
    first = ask(own_loop, "127.0.0.1", 80)
    first.clear()
    assert ask(own_loop, "127.0.0.1", 80) == socket.getaddrinfo("127.0.0.1", 80)


def test_ports_that_are_equal_are_not_the_same(own_loop: Loop) -> None:
    """What is remembered of 1 must not answer for True or "1"."""
    for port in (1, True, "1", 1):
        wanted = answer(lambda: socket.getaddrinfo("127.0.0.1", port))  # noqa: B023
        assert answer(lambda: ask(own_loop, "127.0.0.1", port)) == wanted  # noqa: B023


def test_who_replaces_getaddrinfo_is_asked(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(loop, "127.0.0.1", 80)
    asked = []

    def stand_in(*args: Any) -> list[Any]:
        asked.append(args)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stand_in)
    assert ask(loop, "127.0.0.1", 80) == []
    assert asked == [("127.0.0.1", 80, 0, 0, 0, 0)]


def test_name_is_looked_up_in_a_thread(loop: Loop) -> None:
    found = ask(loop, "localhost", 80, type=socket.SOCK_STREAM)
    assert found == socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    assert loop._default_executor is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize("limit", [0, 1000])
def test_debug_mode_logs(loop: Loop, caplog: pytest.LogCaptureFixture, limit: float) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = limit  # type: ignore[attr-defined]
    with caplog.at_level(logging.DEBUG, "asyncio"):
        found = ask(loop, "127.0.0.1", 80, type=socket.SOCK_STREAM)
    assert found == socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    about = [record for record in caplog.records if "address info 127.0.0.1:80" in record.message]
    began, ended = about
    assert began.message.startswith("Get address info 127.0.0.1:80, type=")
    assert ended.message.endswith(f"ms: {found!r}")
    assert ended.levelno == (logging.DEBUG if limit else logging.INFO)


NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


@pytest.mark.parametrize(
    ("address", "flags"),
    [
        (("127.0.0.1", 80), NUMERIC),
        (("::1", 80, 0, 0), NUMERIC),
        (("fe80::1", 80, 0, 1), NUMERIC),
        (("127.0.0.1", 80), NUMERIC | socket.NI_DGRAM),
        (("a name", 80), NUMERIC),
        (("127.0.0.1", 80, 0, 0), NUMERIC),
        (("127.0.0.1",), NUMERIC),
        (("127.0.0.1", "80"), NUMERIC),
        ("127.0.0.1", NUMERIC),
        (("127.0.0.1", 80), socket.NI_NUMERICHOST),
        (("127.0.0.1", 9), socket.NI_NUMERICHOST | socket.NI_DGRAM),
    ],
)
def test_names_are_those_of_the_socket_module(loop: Loop, address: Any, flags: int) -> None:
    def answer_of(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            return type(error), error.args

    wanted = answer_of(lambda: socket.getnameinfo(address, flags))
    found = answer_of(lambda: loop.run_until_complete(loop.getnameinfo(address, flags)))
    assert found == wanted


def test_connections_to_literals_need_no_thread(own_loop: Loop) -> None:
    async def main() -> None:
        server = await own_loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transports: list[asyncio.BaseTransport] = []
        transport, _ = await own_loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        transports.append(transport)
        transport, _ = await own_loop.create_connection(
            asyncio.Protocol, "127.0.0.1", port, local_addr=("127.0.0.1", 0)
        )
        transports.append(transport)
        endpoint, _ = await own_loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
        )
        transports.append(endpoint)
        assert await own_loop.getnameinfo(("127.0.0.1", port), NUMERIC) == ("127.0.0.1", str(port))
        with pytest.raises(OSError):
            await own_loop.create_connection(asyncio.Protocol, "fe80::1%nowhere", port)
        for opened in transports:
            opened.close()
        server.close()
        await server.wait_closed()

    own_loop.run_until_complete(main())
    assert own_loop._default_executor is None  # type: ignore[attr-defined]
