"""Tasks that hold a WebSocket scope and wait: what a connection takes at least, without any server.

    bare_tasks.py COUNT

It says when it is ready, makes the tasks at the next line on stdin, says that they wait, and ends
with stdin. A few have come and gone before, for whatever is allocated once.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

WARM_UP = 64
SERVER = ("127.0.0.1", 8000)
KEY = b"dGhlIHNhbXBsZSBub25jZQ"

waited_for: list[asyncio.Future[None]] = []


def scope_of(port: int) -> dict[str, Any]:
    """What a server tells of the clients in native/websocket.c.

    What is the same for all connections is one object where an app could not change it; the host and
    the key are not, since clients may send others.
    """
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "server": SERVER,
        "client": ("127.0.0.1", port),
        "scheme": "ws",
        "root_path": "",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:%d" % SERVER[1]),
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-key", b"%b==" % KEY),
            (b"sec-websocket-version", b"13"),
        ],
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


async def app(scope: dict[str, Any]) -> None:
    """Hold the scope, and wait."""
    waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waited_for.append(waited)
    await waited


async def start(count: int) -> list[asyncio.Task[None]]:
    """Let so many begin to wait."""
    tasks = [asyncio.create_task(app(scope_of(1024 + number))) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def main(count: int) -> None:
    """Make them when it is time."""
    for waited, task in zip(waited_for, await start(WARM_UP), strict=False):
        waited.set_result(None)
        await task
    waited_for.clear()
    gc.collect()
    print("ready", flush=True)
    sys.stdin.readline()
    tasks = await start(count)
    print(f"{len(waited_for)} wait", flush=True)
    sys.stdin.read()
    for waited, task in zip(waited_for, tasks, strict=True):
        waited.set_result(None)
        await task


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
