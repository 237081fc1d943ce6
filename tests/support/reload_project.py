# SPDX-License-Identifier: MIT
"""A folder with an application that `--reload` watches."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from tests.support.raw import RawClient
from tests.support.server_process import ServerProcess

STARTED = "Started server process"
COMPLETE = "Application startup complete."
RELOADING = "Reloading..."

APPLICATION = """
import os
import sys
from pathlib import Path

VERSION = b"{version}"

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({{"type": message["type"] + ".complete"}})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({{"type": "websocket.accept"}})
        await send({{"type": "websocket.send", "bytes": VERSION}})
        while (message := await receive())["type"] != "websocket.disconnect":
            pass
        print("closed with", message["code"], file=sys.stderr, flush=True)
        return
    path = scope["path"]
    if path == "/exit":
        os._exit(7)
    if path == "/crash":
        os.abort()
    if path == "/body":
        while (await receive()).get("more_body"):
            pass
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    if path == "/stream":
        await send({{"type": "http.response.body", "body": b"begun", "more_body": True}})
        while (await receive())["type"] != "http.disconnect":
            pass
    await send({{"type": "http.response.body", "body": VERSION}})
"""


class Project:
    """A folder with an application, and the server that reloads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.main = path / "main.py"
        self.save("1")

    def save(self, version: str, more: str = "") -> None:
        """Write the application, as an editor does that writes in place."""
        self.main.write_text(APPLICATION.format(version=version) + more)

    def replace(self, version: str, second: int | None = None) -> None:
        """Put another file in its place, as other editors do: that is one change, never two."""
        new = self.path.parent / "saved.py"
        new.write_text(APPLICATION.format(version=version))
        if second is not None:
            os.utime(new, (second, second))
        new.replace(self.main)

    def serve(self, *arguments: str, **options: Any) -> ServerProcess:
        """Start the command on a free port."""
        command = ["main:app", "--reload", "--port", "0", *arguments]
        return ServerProcess(*command, cwd=self.path, **options)


def ask(address: tuple[str, int], path: str = "/") -> bytes:
    """Send one request on a connection of its own; it waits while nobody serves."""
    with RawClient(address) as client:
        client.get(path, "Connection: close")
        return client.read_response().body


def begin_body(client: RawClient) -> None:
    """Send a request without the byte that is its body, and wait until the application asks for it."""
    client.request("POST", "/body", "Content-Length: 1", "Expect: 100-continue")
    assert client.read_head().status == 100


def address_of(server: ServerProcess) -> tuple[str, int]:
    return "127.0.0.1", server.wait_until_running()


def child_of(server: ServerProcess, count: int = 1) -> int:
    """Wait for the `count`-th child, and return its process number."""
    server.stderr.expect(COMPLETE, nth=count)
    server.stderr.expect(STARTED, nth=count)
    started = [line for line in server.stderr.lines if STARTED in line]
    found = re.search(r"\[(\d+)\]", started[-1])
    assert found is not None
    return int(found[1])
