# SPDX-License-Identifier: MIT
"""Datagrams come and go: addresses, families, order, and what an event of the loop brings."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from cuvee import _core
from tests.loop.datagrams_support import (
    COUNTS_HEADERS,
    Endpoint,
    bound,
    connected,
    given,
    run,
    unix_bound,
    unix_pair,
)
from tests.loop.support import WAIT, Contexts

Loop = asyncio.AbstractEventLoop


def has_ipv6() -> bool:
    """Whether ::1 is there."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
hosts = pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])


# ---- addresses


@hosts
def test_datagrams_go_both_ways(loop: Loop, host: str) -> None:
    async def main() -> None:
        one = await bound(host)
        two = await connected(one.address)
        two.transport.sendto(b"there")
        assert await one.first("received") == (b"there", two.address)
        one.transport.sendto(b"back", one.values("received")[0][1])
        assert await two.first("received") == (b"back", one.address)
        assert two.transport.get_extra_info("peername") == one.address
        await one.close()
        await two.close()

    run(loop, main())


@hosts
def test_two_without_a_peer(loop: Loop, host: str) -> None:
    async def main() -> None:
        one, two = await bound(host), await bound(host)
        for number in range(5):
            one.transport.sendto(b"%d" % number, two.address)
            two.transport.sendto(b"%d" % number, one.address)
        await one.until(lambda me: len(me.data) == 5)
        await two.until(lambda me: len(me.data) == 5)
        assert one.data == two.data == [b"0", b"1", b"2", b"3", b"4"]
        assert {address for _, address in one.values("received")} == {two.address}
        assert one.transport.get_extra_info("peername") is None
        await one.close()
        await two.close()

    run(loop, main())


@needs_ipv6
def test_parts_of_an_ipv6_address(loop: Loop) -> None:
    async def main() -> None:
        one, two = await bound("::1"), await bound("::1")
        port = one.address[1]
        addresses = [
            ("::1", port),
            ("::1", port, 0),
            ("::1", port, 0, 0),
            ("0::1", port),
        ]
        for address in addresses:
            two.transport.sendto(b"x", address)
        await one.until(lambda me: len(me.data) == len(addresses))
        await one.close()
        await two.close()

    run(loop, main())


def link_local() -> tuple[str, int] | None:
    """A link-local address of this machine, and the number of its interface."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            address, index, *_ = line.split()
            if address.startswith("fe80"):
                return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address)), int(index, 16)
    return None


@pytest.mark.skipif(link_local() is None, reason="no link-local address here")
def test_scope_of_a_link_local_address_is_kept(loop: Loop) -> None:
    async def main() -> None:
        found = link_local()
        assert found is not None
        host, scope = found
        one = await bound(f"{host}%{scope}")
        two = await bound(f"{host}%{scope}")
        assert one.address[3] == scope
        two.transport.sendto(b"there", one.address)
        _, address = await one.first("received")
        assert address == two.address
        one.transport.sendto(b"back", address)
        assert await two.first("received") == (b"back", one.address)
        one.transport.sendto(b"by name", (f"{host}%{socket.if_indextoname(scope)}", address[1]))
        await two.until(lambda me: me.data == [b"back", b"by name"])
        await one.close()
        await two.close()

    run(loop, main())


def test_host_name_is_looked_up(loop: Loop) -> None:
    async def main() -> None:
        one, two = await bound(), await bound()
        two.transport.sendto(b"x", ("localhost", one.address[1]))
        two.transport.sendto(b"y", ("127.1", one.address[1]))
        await one.until(lambda me: len(me.data) == 2)
        assert one.data == [b"x", b"y"]
        await one.close()
        await two.close()

    run(loop, main())


def test_address_of_odd_types(loop: Loop) -> None:
    """Whatever the socket module takes is taken, also right after a plain one."""

    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    async def main() -> None:
        one, two = await bound(), await bound()
        host, port = one.address
        addresses: list[Any] = [
            (host, port),
            (Text(host), port),
            (host, Number(port)),
            (bytearray(host, "ascii"), port),
            (host.encode(), port),
        ]
        for address in addresses:
            two.transport.sendto(b"x", address)
        await one.until(lambda me: len(me.data) == len(addresses))
        await one.close()
        await two.close()

    run(loop, main())


def test_same_sender_has_the_same_object(own_loop: Loop) -> None:
    async def main() -> None:
        one = await bound()
        two, three = await connected(one.address), await connected(one.address)
        for end in (two, two, three, two):
            end.transport.sendto(b"x")
        await one.until(lambda me: len(me.data) == 4)
        senders = [address for _, address in one.values("received")]
        assert senders == [two.address, two.address, three.address, two.address]
        assert senders[0] is senders[1]
        for end in (one, two, three):
            await end.close()

    run(own_loop, main())


# ---- Unix sockets


def test_unix_sockets_with_names(loop: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        paths = [str(tmp_path / name) for name in ("one", "zwéi")]
        one = await given(unix_bound(paths[0]))
        two = await given(unix_bound(paths[1]))
        assert one.address == paths[0]
        one.transport.sendto(b"there", paths[1])
        assert await two.first("received") == (b"there", paths[0])
        two.transport.sendto(b"back", two.values("received")[0][1])
        two.transport.sendto(b"again", os.fsencode(paths[0]))
        await one.until(lambda me: len(me.data) == 2)
        assert one.values("received") == [(b"back", paths[1]), (b"again", paths[1])]
        await one.close()
        await two.close()

    run(loop, main())


def test_unix_endpoint_by_path(loop: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        here = asyncio.get_running_loop()
        family = socket.AF_UNIX
        _, one = await here.create_datagram_endpoint(
            Endpoint,
            path,  # type: ignore[arg-type]
            family=family,
        )
        _, two = await here.create_datagram_endpoint(
            Endpoint,
            remote_addr=path,  # type: ignore[arg-type]
            family=family,
        )
        two.transport.sendto(b"there")
        assert await one.first("received") == (b"there", None)
        assert two.transport.get_extra_info("peername") == path
        await one.close()
        await two.close()

    run(loop, main())


@pytest.mark.skipif(sys.platform != "linux", reason="names without a path are Linux's")
def test_unix_sockets_with_abstract_names(loop: Loop) -> None:
    async def main() -> None:
        names = [f"\0cuvee-{os.getpid()}-{number}" for number in range(2)]
        one, two = [await given(unix_bound(name)) for name in names]
        one.transport.sendto(b"there", names[1])
        data, sender = await two.first("received")
        assert (data, sender) == (b"there", names[0].encode())
        two.transport.sendto(b"back", sender)
        assert await one.first("received") == (b"back", names[1].encode())
        await one.close()
        await two.close()

    run(loop, main())


def test_pair_without_names(own_loop: Loop) -> None:
    """Where asyncio closes, asked to send to nobody in particular: there is a peer."""

    async def main() -> None:
        left, right = unix_pair()
        one, two = await given(left), await given(right)
        one.transport.sendto(b"there")
        assert await two.first("received") == (b"there", None)
        two.transport.sendto(b"back")
        assert await one.first("received") == (b"back", None)
        await one.close()
        await two.close()

    run(own_loop, main())


def test_large_unix_datagram(loop: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        one = await given(unix_bound(str(tmp_path / "one")))
        two = await given(unix_bound(str(tmp_path / "two")))
        two.transport.sendto(b"x" * 100_000, one.address)
        assert await one.first("received") == (b"x" * 100_000, two.address)
        await one.close()
        await two.close()

    run(loop, main())


# ---- families that only the socket module knows

RTM_GETLINK, RTM_NEWLINK = 18, 16
NLM_F_REQUEST_DUMP = 0x301


def netlink() -> socket.socket | None:
    """A socket to ask the kernel for its interfaces."""
    if not hasattr(socket, "AF_NETLINK"):
        return None
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0)
    except OSError:
        return None
    sock.bind((0, 0))
    return sock


def test_other_family(loop: Loop) -> None:
    sock = netlink()
    if sock is None:
        pytest.skip("no netlink here")

    async def main() -> None:
        end = await given(sock)
        question = struct.pack("=IHHIIBxxx", 20, RTM_GETLINK, NLM_F_REQUEST_DUMP, 7, 0, 0)
        end.transport.sendto(question, (0, 0))
        answer, sender = await end.first("received")
        assert struct.unpack_from("=IHHI", answer)[1] == RTM_NEWLINK
        assert sender == (0, 0)
        await end.close()

    run(loop, main())


# ---- what can be sent


def test_kinds_of_data(loop: Loop) -> None:
    class Octets(bytes):
        pass

    async def main() -> None:
        one = await bound()
        two = await connected(one.address)
        view = memoryview(b"<abcd>")
        for data in (b"a", bytearray(b"b"), view, view[1:-1], Octets(b"c")):
            two.transport.sendto(data)
        two.transport.sendto(data=b"named", addr=None)
        two.transport.sendto(b"x", two.transport.get_extra_info("peername"))
        await one.until(lambda me: len(me.data) == 7)
        assert one.data == [b"a", b"b", b"<abcd>", b"abcd", b"c", b"named", b"x"]
        assert {type(data) for data in one.data} == {bytes}
        await one.close()
        await two.close()

    run(loop, main())


def test_empty_datagram(loop: Loop) -> None:
    """Sent since CPython 3.13; before, nothing was."""

    async def main() -> None:
        one = await bound()
        two = await connected(one.address)
        for data in (b"", bytearray(), memoryview(b""), b"x"):
            two.transport.sendto(data)
        await one.until(lambda me: me.data and me.data[-1] == b"x")
        assert one.data == ([b""] * 3 if COUNTS_HEADERS else []) + [b"x"]
        await one.close()
        await two.close()

    run(loop, main())


def test_largest_datagram(loop: Loop) -> None:
    async def main() -> None:
        one = await bound()
        two = await connected(one.address)
        two.transport.sendto(b"x" * 65_507)
        assert (await one.first("received"))[0] == b"x" * 65_507
        await one.close()
        await two.close()

    run(loop, main())


# ---- what one event brings


def test_pause_in_a_burst(loop: Loop) -> None:
    """What was sent before counts for nothing: the rest comes after resume_reading()."""

    class Pauses(Endpoint):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if len(self.data) == 20:
                self.transport.pause_reading()  # type: ignore[attr-defined]

    async def main() -> None:
        one = await bound(make=Pauses)
        two = await connected(one.address)
        reading: Any = one.transport
        for number in range(60):
            two.transport.sendto(b"%d" % number)
        await one.until(lambda me: len(me.data) == 20)
        assert not reading.is_reading()
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(one.data) == 20
        reading.pause_reading()
        reading.resume_reading()
        assert reading.is_reading()
        await one.until(lambda me: len(me.data) == 60)
        assert one.data == [b"%d" % number for number in range(60)]
        await one.close()
        await two.close()
        reading.pause_reading()
        reading.resume_reading()
        assert not reading.is_reading()

    run(loop, main())


@pytest.mark.parametrize("way", ["close", "abort"])
def test_end_in_a_burst(loop: Loop, way: str) -> None:
    class Ends(Endpoint):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if len(self.data) == 20:
                getattr(self.transport, way)()

    async def main() -> None:
        one = await bound(make=Ends)
        two = await connected(one.address)
        for _ in range(60):
            two.transport.sendto(b"x")
        assert await one.first("lost") is None
        assert len(one.data) == 20
        await two.close()

    run(loop, main())


def test_stop_in_a_burst(loop: Loop) -> None:
    class Stops(Endpoint):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if len(self.data) == 20:
                loop.stop()

    one = run(loop, bound(make=Stops))
    two = run(loop, connected(one.address))
    for _ in range(60):
        two.transport.sendto(b"x")
    loop.run_forever()
    assert len(one.data) == 20
    run(loop, one.until(lambda me: len(me.data) == 60))
    run(loop, one.close())
    run(loop, two.close())


def test_burst_leaves_room_for_others(own_loop: Loop) -> None:
    async def main() -> None:
        one = await bound()
        two = await connected(one.address)
        sizes = []
        for _ in range(100):
            two.transport.sendto(b"x")
        while len(one.data) < 100:
            before = len(one.data)
            await asyncio.sleep(0)
            sizes.append(len(one.data) - before)
        assert 1 < max(sizes) <= 32
        await one.close()
        await two.close()

    run(own_loop, main())


def test_order_of_calls(loop: Loop) -> None:
    """The protocol is connected before anything comes, and who opened it goes on before that too."""
    one = run(loop, bound())
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with other:
        other.bind(("127.0.0.1", 0))
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        other.sendto(b"early", sock.getsockname())

        async def main() -> None:
            end = await given(sock)
            assert [name for name, _ in end.calls] == ["made"]
            assert (await end.first("received"))[0] == b"early"
            await end.close()
            await one.close()

        run(loop, main())


def test_what_is_ready_goes_first(loop: Loop) -> None:
    """A coroutine that is started after a datagram was sent has begun when that comes."""
    one = run(loop, bound())
    two = run(loop, connected(one.address))

    async def main() -> None:
        assert one.data == []
        await asyncio.wait_for(one.first("received"), WAIT)

    for _ in range(3):
        one.calls.clear()
        two.transport.sendto(b"x")
        loop.run_until_complete(main())
    run(loop, one.close())
    run(loop, two.close())


def test_context_of_the_protocol(loop: Loop, contexts: Contexts) -> None:
    """What the protocol is told, it is told in the context in which it was made."""
    variable = contextvars.ContextVar("variable", default="outside")

    class Looks(Endpoint):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.note("received", variable.get())

    async def main() -> None:
        variable.set("inside")
        one = await bound(make=Looks)
        variable.set("later")
        two = await connected(one.address)
        two.transport.sendto(b"x")
        assert await one.first("received") == "inside"
        await one.close()
        await two.close()

    run(loop, main())
    assert not contexts


def test_class_of_the_transport(own_loop: Loop) -> None:
    async def main() -> None:
        end = await bound()
        assert type(end.transport) is _core.DatagramTransport
        assert isinstance(end.transport, asyncio.DatagramTransport)
        with pytest.raises(NotImplementedError):
            end.transport.write(b"x")
        await end.close()

    run(own_loop, main())
