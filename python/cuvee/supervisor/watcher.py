# SPDX-License-Identifier: MIT
"""What the two ways of watching share: a thread that tells of changes until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Set

STOP_SECONDS = 1.0

Tell = Callable[[Set[str]], None]


class Watcher:
    """A thread that calls `tell` with the paths that have changed since `start`."""

    name = ""

    def __init__(self, tell: Tell) -> None:
        """Prepare; nothing is watched before `start`."""
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name=f"cuvee-{self.name.lower()}", daemon=True
        )

    def start(self) -> None:
        """Remember how everything is now, and begin."""
        self._prepare()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that waits for a file system is left alone."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _prepare(self) -> None:
        raise NotImplementedError

    def _watch(self) -> None:
        raise NotImplementedError
