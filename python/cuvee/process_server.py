# SPDX-License-Identifier: MIT
"""The server that a whole process is there for: it may freeze what it finds, and end the process."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
import threading

from cuvee.server import Server

FORCED_SECONDS = 2.0
"""How long threads and tasks may hold the process back after a forced stop."""

logger = logging.getLogger("uvicorn.error")


class ProcessServer(Server):
    """What the command, `cuvee.run` and workers run; who embeds a server has `Server`."""

    _has_frozen = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; once a stop is forced, stuck threads and tasks don't hold the process."""
        try:
            await super().serve(sockets)
        finally:
            if self._has_frozen:
                gc.unfreeze()
                self._has_frozen = False
            if self.force_exit:
                leave_soon(FORCED_SECONDS)

    def _application_started(self) -> None:
        """Collect garbage once, and keep what is left out of later collections.

        Not where somebody has frozen objects before: at the end nobody could tell theirs from ours.
        """
        if self.config.gc_freeze and gc.get_freeze_count() == 0:
            gc.collect()
            gc.freeze()
            self._has_frozen = True


def leave_soon(seconds: float) -> None:
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
