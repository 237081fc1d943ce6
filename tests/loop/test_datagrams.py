# SPDX-License-Identifier: MIT
"""Datagram endpoints, which are asyncio's own on this loop."""

from __future__ import annotations

import asyncio
from typing import Any

import cuvee
from tests.support.asgi import WAIT


class Collect(asyncio.DatagramProtocol):
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take one datagram."""
        self.received.put_nowait((data, addr))


def test_datagrams_go_both_ways() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, first = await loop.create_datagram_endpoint(Collect, local_addr=("127.0.0.1", 0))
        address = one.get_extra_info("sockname")
        two, second = await loop.create_datagram_endpoint(Collect, remote_addr=address)
        two.sendto(b"there")
        data, sender = await asyncio.wait_for(first.received.get(), WAIT)
        assert data == b"there"
        one.sendto(b"back", sender)
        assert await asyncio.wait_for(second.received.get(), WAIT) == (b"back", address)
        assert repr(one).endswith(" open>")
        one.close()
        assert repr(one).endswith(" closing>")
        await asyncio.sleep(0)
        two.close()
        await asyncio.sleep(0)
        assert repr(one).endswith(" closed>")

    with asyncio.Runner(loop_factory=cuvee.new_event_loop) as runner:
        runner.run(main())
