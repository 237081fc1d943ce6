# SPDX-License-Identifier: MIT
"""A server in a process of its own that tells what it uses: memory, allocations, descriptors.

The process runs this module with the application, the event loop and the listening socket's
descriptor as arguments. `GET /measure` is answered by the module itself, after a collection.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.asgi import WAIT, App, Receive, Scope, Send, respond
from tests.support.raw import RawClient

ROOT = Path(__file__).resolve().parent.parent.parent


SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
"""A sanitizer keeps memory that was freed: the size of its process says nothing."""


def process_status(pid: int | str = "self") -> dict[str, str]:
    """Return what the kernel says of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":", 1) for line in text.splitlines())


@dataclass
class Measure:
    """What a process holds."""

    blocks: int
    refs: int | None
    rss: int
    fds: int
    threads: int

    @classmethod
    def take(cls) -> Measure:
        """Measure this process."""
        for _ in range(3):
            gc.collect()
        status = process_status()
        total = getattr(sys, "gettotalrefcount", None)
        fds = os.listdir("/proc/self/fd")
        return cls(
            blocks=sys.getallocatedblocks(),
            refs=total() if total else None,
            rss=0 if SANITIZED else int(status["VmRSS"].split()[0]) * 1024,
            fds=len(fds) - 1,
            threads=int(status["Threads"]),
        )


class MeasuredServer:
    """The parent's end: starts the process, connects to it, asks it for its figures, stops it."""

    def __init__(self, app: str, *, loop: str = "cuvee", **config: Any) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = listener.getsockname()[:2]
        command = [sys.executable, "-m", "tests.support.measured"]
        arguments = [app, loop, str(listener.fileno()), json.dumps(config)]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        listener.close()

    def connect(
        self,
        *,
        rcvbuf: int | None = None,
        sndbuf: int | None = None,
        source: str | None = None,
    ) -> RawClient:
        """Open a connection."""
        return RawClient(self.address, rcvbuf=rcvbuf, sndbuf=sndbuf, source=source)

    def served(self, path: str = "/hello") -> bytes:
        """Get an answer on a connection of its own."""
        with self.connect() as client:
            response = client.ask(path, "Connection: close")
            assert response.status == 200
            client.assert_closed()
            return response.body

    def measure(self) -> Measure:
        """Return what the process holds now."""
        return Measure(**json.loads(self.served("/measure")))

    def forget_peak(self) -> None:
        """Let the most memory at a time be counted from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Return the most memory that the process had at a time."""
        status = process_status(self.process.pid)
        return 0 if SANITIZED else int(status["VmHWM"].split()[0]) * 1024

    def release(self) -> None:
        """Let the requests of flow_app that wait go on."""
        self.served("/release")

    def __enter__(self) -> MeasuredServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            code = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if kind is None:
            assert code == 0, code


class FlowApp:
    """Takes nothing, gives too much, and tells how far it came."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.sent = 0
        self.stuck = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what the path says."""
        path = scope["path"]
        if path == "/ignore":
            await self.gate.wait()
            await respond(send, b"ignored", headers=[(b"connection", b"close")])
        elif path == "/wait":
            await self.gate.wait()
            await respond(send, b"released")
        elif path == "/release":
            self.gate.set()
            await respond(send)
        elif path == "/gibibyte":
            await self.send_gibibyte(send)
        elif path == "/progress-when-stuck":
            await self.stuck.wait()
            await respond(send, json.dumps({"sent": self.sent, "stuck": True}).encode())
        elif path == "/numbers":
            await self.send_numbers(send)
        else:
            await respond(send)

    async def send_gibibyte(self, send: Send) -> None:
        """Send 1 GiB in pieces of 64 KiB; note when one has waited for half a second."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        piece = b"x" * 65536
        loop = asyncio.get_running_loop()
        for _ in range((1 << 30) // len(piece)):
            timer = loop.call_later(0.5, self.stuck.set)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            timer.cancel()
            self.sent += len(piece)
        await send({"type": "http.response.body", "body": b""})

    async def send_numbers(self, send: Send) -> None:
        """Send 32 MiB that say where they belong, in pieces of odd sizes."""
        data = b"".join(b"%015d\n" % number for number in range((32 << 20) // 16))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        at, size = 0, 1
        while at < len(data):
            piece = data[at : at + size]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            at += len(piece)
            size = size * 3 % 199_999 + 1
        await send({"type": "http.response.body", "body": b""})


flow_app = FlowApp


def measuring(app: App) -> App:
    """Wrap an application so that /measure is answered here."""

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/measure":
            await asyncio.sleep(0)
            await respond(send, json.dumps(asdict(Measure.take())).encode())
        else:
            await app(scope, receive, send)

    return outer


def main() -> None:
    """Serve until standard input ends."""
    import cuvee
    from tests.support.server import loop_factory

    name, kind, fd, config = sys.argv[1:]
    module, _, attribute = name.partition(":")
    made = getattr(importlib.import_module(module), attribute)
    app = made() if isinstance(made, type) else made
    options: dict[str, Any] = {"lifespan": "off", "timeout_graceful_shutdown": 1}
    server = cuvee.Server(cuvee.Config(measuring(app), **options | json.loads(config)))

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(0)
            server.should_exit = True

        loop.add_reader(0, stop)
        await server.serve(sockets=[socket.socket(fileno=int(fd))])

    with asyncio.Runner(loop_factory=loop_factory(kind)) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
