# SPDX-License-Identifier: MIT
"""The threads that WSGI applications run in."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

Job: TypeAlias = Callable[[], object]


class _Crew:
    """What the threads share. They hold this and not the pool, whose end is theirs."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.unfinished = 0
        self.size = 0

    def work(self) -> None:
        """Do jobs until the pool is gone."""
        while (job := self.jobs.get()) is not None:
            job()
            del job  # while waiting for the next one nothing is kept of it
            with self.lock:
                self.unfinished -= 1

    def dismiss(self) -> None:
        """Let every thread end."""
        for _ in range(self.size):
            self.jobs.put(None)


class Threads:
    """At most `most` threads, started when there is more to do than there are threads.

    They are daemons: a server that waits for its requests waits for them too, and one that was told
    not to wait any longer does not either. They end when the pool is let go of.
    """

    def __init__(self, most: int) -> None:
        """Start nothing yet."""
        self._most = most
        self._crew = _Crew()
        weakref.finalize(self, self._crew.dismiss)

    def submit(self, job: Job) -> None:
        """Have `job`, which raises nothing, called in a thread."""
        crew = self._crew
        with crew.lock:
            if crew.size < min(crew.unfinished + 1, self._most):
                self._start()
            crew.unfinished += 1
        crew.jobs.put(job)

    def _start(self) -> None:
        """Start a thread; where there can be no other, those that are there do."""
        crew = self._crew
        thread = threading.Thread(target=crew.work, name=f"wsgi-{crew.size + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if crew.size == 0:
                raise
            return
        crew.size += 1
