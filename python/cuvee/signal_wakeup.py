# SPDX-License-Identifier: MIT
"""Signals that end an event loop's sleep, whichever loop it is and whenever they come."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Generator


@contextlib.contextmanager
def waking(loop: asyncio.AbstractEventLoop) -> Generator[None, None, None]:
    """Let signals wake `loop`, which runs, inside the block.

    asyncio's own loop looks for them only between two sleeps: one that comes at the very begin of a
    sleep, or to another thread, would be handled when something else happens. A loop that sees to
    it itself is left alone. Outside the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    present = signal.set_wakeup_fd(-1)
    if present != -1:
        signal.set_wakeup_fd(present, warn_on_full_buffer=False)
        yield
        return
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)
        loop.add_reader(reading, _drain, reading)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            loop.remove_reader(reading)
            latest = signal.set_wakeup_fd(-1)
            if latest != writing.fileno():
                signal.set_wakeup_fd(latest, warn_on_full_buffer=False)


def _drain(reading: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        reading.recv(4096)
