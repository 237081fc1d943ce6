# SPDX-License-Identifier: MIT
"""The server that a whole process is there for: it may freeze what it finds, and end the process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Generator

from cuvee import _core
from cuvee.config import Config
from cuvee.early_signals import EarlyExit
from cuvee.notify import Watchdog, find_notifier, watchdog_seconds
from cuvee.server import Server
from cuvee.sockets import Bound

FORCED_SECONDS = 2.0
"""How long threads and tasks may hold the process back after a forced stop."""

logger = logging.getLogger("uvicorn.error")


class ProcessServer(Server):
    """What the command, `cuvee.run` and workers run; who embeds a server has `Server`."""

    _has_frozen = False

    def __init__(
        self,
        config: Config,
        bound: list[Bound] | None = None,
        clean_up: Callable[[], None] | None = None,
        early: EarlyExit | None = None,
    ) -> None:
        """`bound` is what was bound for the process already, in place of the configuration's.

        `clean_up` is called in the end, before signals that have come are raised again. `early` has
        handled them until now.
        """
        super().__init__(config)
        self._clean_up = clean_up
        self._early = early
        self._bound_before = bound
        self._has_parent = False
        self._notifier = find_notifier(os.environ)
        self._watchdog: Watchdog | None = None
        self._leaving: threading.Timer | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; once a stop is forced, stuck threads and tasks don't hold the process.

        `sockets` are those that a parent has bound.
        """
        self._has_parent = sockets is not None
        try:
            await super().serve(sockets)
        finally:
            if self._watchdog is not None:
                self._watchdog.stop()
            if self._has_frozen:
                gc.unfreeze()
                self._has_frozen = False
            if self.force_exit:
                self._leaving = leave_soon(FORCED_SECONDS)

    def stay(self) -> None:
        """Let the process go on: what still runs has not held back who ran the server."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell the service manager when clients may come."""
        await super().startup(sockets)
        if self._notifier is None or not self.started:
            return
        self._notifier.send("READY=1", "STATUS=Serving")
        seconds = watchdog_seconds(os.environ)
        if seconds is not None:
            self._watchdog = Watchdog(self._notifier, seconds, asyncio.get_running_loop())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the service manager, and stop."""
        if self._notifier is not None:
            self._notifier.send("STOPPING=1", "STATUS=Shutting down")
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals; who has handled them before the application was there does it no more."""
        with super().capture_signals():
            if self._early is not None:
                self._early.hand_over(self._former_handlers)
            yield

    async def _bind(self) -> list[Bound]:
        return await super()._bind() if self._bound_before is None else self._bound_before

    def _accept_waiting(self, core: _core.Server) -> None:
        if not self._has_parent:  # the next child takes who waits there
            super()._accept_waiting(core)

    def _release(self, sockets: list[socket.socket] | None) -> None:
        super()._release(sockets)
        if self._clean_up is not None:
            self._clean_up()

    def _application_started(self) -> None:
        """Collect garbage once, and keep what is left out of later collections.

        Not where somebody has frozen objects before: at the end nobody could tell theirs from ours.
        """
        if self.config.gc_freeze and gc.get_freeze_count() == 0:
            gc.collect()
            gc.freeze()
            self._has_frozen = True


def leave_soon(seconds: float) -> threading.Timer:
    """End the process after `seconds`, if it has not ended by itself."""

    def leave() -> None:
        others = {*threading.enumerate()} - {timer, threading.main_thread()}
        names = ", ".join(sorted(thread.name for thread in others if not thread.daemon))
        logger.error("Forced to stop while this still ran: %s", names or "a cancelled task")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
    return timer
