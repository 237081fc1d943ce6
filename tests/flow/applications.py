# SPDX-License-Identifier: MIT
"""The application of the tests of this folder; the path says what it does."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import socket
import threading
import time

from tests.support.asgi import Receive, Scope, Send, respond


class LogLines(logging.Handler):
    """The messages of the server."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.lines.append(record.getMessage())


def work(sock: socket.socket) -> None:
    """Work, without the loop's help, when a datagram comes."""
    with sock:
        message, sender = sock.recvfrom(100)
        for _ in range(10_000):
            message = bytes(reversed(message))
        sock.sendto(message, sender)


class FlowApplication:
    """Counts what waits, works in threads, tells what was logged and how much time it took."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = 0
        self.log = LogLines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what the path says."""
        name = scope["path"].split("/")[1]
        answer = getattr(self, f"answer_{name}", None)
        text = "hello" if answer is None else await answer()
        await respond(send, text.encode())

    async def answer_wait(self) -> str:
        """Wait for the gate."""
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        return "released"

    async def answer_waiting(self) -> str:
        """Tell how many wait."""
        return str(self.waiting)

    async def answer_release(self) -> str:
        """Open the gate."""
        self.gate.set()
        return "open"

    async def answer_thread(self) -> str:
        """Start a thread that works when a datagram comes, and answers it; return its port."""
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        threading.Thread(target=work, args=[sock]).start()
        return str(sock.getsockname()[1])

    async def answer_log(self) -> str:
        """Tell what was logged, from the first call on."""
        logger = logging.getLogger("uvicorn.error")
        if self.log not in logger.handlers:
            logger.addHandler(self.log)
        return json.dumps(self.log.lines)

    async def answer_limit(self) -> str:
        """Leave no descriptor for the next connection."""
        await self.answer_log()
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with open("/proc/self/stat") as file:
            free = file.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, self.limits[1]))
        return str(free)

    async def answer_lift(self) -> str:
        """Give the descriptors back."""
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)
        return "lifted"

    async def answer_cpu(self) -> str:
        """Tell the processor time of this process, in seconds."""
        return str(time.process_time())
