# SPDX-License-Identifier: MIT
"""A server inside a loop that the test itself runs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cuvee
from cuvee.server import Server
from tests.server import applications
from tests.support.asgi import WAIT

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def make_server(app: Any = applications.hello, **options: Any) -> Server:
    """Return a server on a free port that leaves logging alone."""
    return Server(cuvee.Config(app, **({"port": 0, "log_config": None} | options)))


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition()` is true."""
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0)


def port_of(server: Server) -> int:
    """Return the port that a started server listens on."""
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


async def fetch(port: int) -> bytes:
    """Get "/" from the same loop."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), WAIT)
    writer.close()
    return answer


def run(new_loop: LoopFactory, main: Any) -> None:
    """Run `main()` on a loop of this kind."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@contextlib.contextmanager
def in_thread(server: Server, target: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run `target` in a thread, wait until the server has started, and for the end at the end."""
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    give_up = threading.Event()
    timer = threading.Timer(WAIT, give_up.set)
    timer.start()
    while not server.started and thread.is_alive() and not give_up.is_set():
        give_up.wait(0.001)
    timer.cancel()
    assert server.started
    yield thread
    thread.join(WAIT)
    assert not thread.is_alive()


def serve_once(config: cuvee.Config, listener: socket.socket, ready: Any) -> None:
    """Serve in a spawned process until the one answer."""

    class Once(cuvee.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            ready.set()

        async def on_tick(self, counter: int) -> bool:
            return self.server_state.total_requests > 0

    Once(config).run(sockets=[listener])
