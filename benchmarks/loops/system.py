"""Works for which the system is asked: other programs and names."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping


async def spawn(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """A program that ends at once, waited for."""
    while True:
        process = await asyncio.create_subprocess_exec("/bin/true")
        if await process.wait() != 0:
            raise RuntimeError("/bin/true fails")
        yield 1


async def resolve(settings: Mapping[str, str]) -> AsyncIterator[int]:
    """The addresses of a host."""
    loop = asyncio.get_running_loop()
    host = settings["host"]
    while True:
        if not await loop.getaddrinfo(host, 80, type=socket.SOCK_STREAM):
            raise RuntimeError(f"{host} has no address")
        yield 1
