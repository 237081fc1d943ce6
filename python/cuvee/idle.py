# SPDX-License-Identifier: MIT
"""Stops a server that nobody wants anything of, for who starts it again when somebody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cuvee import _core


class IdleWatch:
    """Calls `stop` when there has been no connection and no request for some seconds.

    Nothing runs while there are any, but a look when the last one ends.
    """

    def __init__(
        self,
        core: _core.Server,
        sockets: list[int],
        seconds: float,
        loop: asyncio.AbstractEventLoop,
        stop: Callable[[], None],
    ) -> None:
        """`sockets` are the numbers of those that `core` listens on."""
        self._core = core
        self._sockets = sockets
        self._seconds = seconds
        self._loop = loop
        self._stop = stop
        self._handle: asyncio.TimerHandle | None = None
        self._since = 0.0
        core.on_idle = self._begin
        self._begin()

    def _begin(self) -> None:
        """Something has ended, perhaps the last of all."""
        self._since = self._loop.time()
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        self._handle = None
        if self._loop.time() < self._since + self._seconds:
            again = self._since + self._seconds
            self._handle = self._loop.call_at(again, self._look)
            return
        for listener in self._sockets:
            self._core.accept_waiting(listener)
        if not self._core.connections and not self._core.requests:
            self._stop()

    def cancel(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()
        self._core.on_idle = None
