# SPDX-License-Identifier: MIT
"""What has changed, and when a reload for it is due."""

from __future__ import annotations

import threading
from collections.abc import Set

SETTLE_SECONDS = 0.05
"""Changes have come to rest when nothing has changed for so long."""


class Changes:
    """Gathers what the watchers' threads see, so that a burst of changes is one reload.

    A burst ends when it has come to rest, or has lasted for `delay`; two reloads are no nearer to each
    other than that.
    """

    def __init__(self, delay: float) -> None:
        """Begin with none."""
        self._delay = delay
        self._lock = threading.Lock()
        self._reported: set[str] = set()
        self._first = self._last = 0.0
        self._earliest = 0.0
        self.paths: set[str] = set()
        """What a reload is to be made for."""

    def report(self, paths: Set[str]) -> None:
        """Add changes; from any thread."""
        with self._lock:
            self._reported |= paths

    def gather(self, now: float) -> set[str]:
        """Take what was reported, and return it."""
        with self._lock:
            reported, self._reported = self._reported, set()
        if reported:
            if not self.paths:
                self._first = now
            self._last = now
            self.paths |= reported
        return reported

    def due(self) -> float | None:
        """Return when the reload is due; None: there is nothing to reload for."""
        if not self.paths:
            return None
        at_rest = min(self._last + SETTLE_SECONDS, self._first + self._delay)
        return max(at_rest, self._earliest)

    def settle(self, now: float) -> None:
        """Have none any more: the application is imported as the files are now."""
        self.paths.clear()
        self._earliest = now + self._delay
