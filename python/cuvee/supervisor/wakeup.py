# SPDX-License-Identifier: MIT
"""What lets a process sleep until a signal or one of its threads has something for it."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


class Wakeup:
    """A pipe of the process to itself, into which signals are written too while it is open.

    Only the main thread may open it.
    """

    def __init__(self, signals: Iterable[int], handler: Handler) -> None:
        """Open the pipe, and let `handler` handle `signals`."""
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._former_fd = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, handler) for number in signals}
        self._poll = select.poll()
        self._poll.register(self._reading, select.POLLIN)

    def close(self) -> None:
        """Give the signals back."""
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
        signal.set_wakeup_fd(self._former_fd)
        os.close(self._reading)
        os.close(self._writing)

    def wake(self) -> None:
        """End a sleep; from any thread."""
        try:
            os.write(self._writing, b"\0")
        except BlockingIOError:
            pass  # it is full of reasons to wake up

    def sleep(self, until: float | None) -> None:
        """Sleep until something happens, or the monotonic clock says `until`."""
        milliseconds = None if until is None else max(0, until - time.monotonic()) * 1000 + 1
        if self._poll.poll(milliseconds):
            os.read(self._reading, 65536)
