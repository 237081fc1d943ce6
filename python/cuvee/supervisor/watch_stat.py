# SPDX-License-Identifier: MIT
"""Watches files by looking at them again and again, at a bounded cost; it needs nothing else."""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from cuvee.supervisor.watched import Watched
from cuvee.supervisor.watcher import Tell, Watcher

LEAST_PAUSE = 0.05
MOST_PAUSE = 2.0
PAUSE_FACTOR = 40
"""How many times as long as a look took the pause behind it is: 2.5 % of a core at the most."""
RECENT_NS = 2_000_000_000
"""A directory that has changed within so long may change again without another time stamp."""

Stamp: TypeAlias = "tuple[int, int, int, int]"


@dataclass
class Directory:
    """What was found in one directory."""

    changed: int = -1
    files: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)


class StatWatcher(Watcher):
    """Compares the time stamps, sizes and numbers of files.

    `watched` are trees of them; `extra` are patterns of single files, wherever they are.
    """

    name = "StatReload"

    def __init__(self, tell: Tell, watched: Watched, extra: Iterable[str] = ()) -> None:
        """Prepare to watch."""
        super().__init__(tell)
        self._watched = watched
        self._extra = [os.path.abspath(pattern) for pattern in extra]
        self._directories: dict[str, Directory] = {}
        self._stamps: dict[str, Stamp] = {}

    def _prepare(self) -> None:
        self._stamps = self._look()

    def _watch(self) -> None:
        pause = LEAST_PAUSE
        while not self._stopping.wait(pause):
            before = time.thread_time()
            changed = self.look_again()
            if changed:
                self._tell(changed)
            cost = time.thread_time() - before
            # Where something changes, more will: whoever waits for the end of it gets it soon.
            pause = (
                LEAST_PAUSE if changed else min(max(LEAST_PAUSE, PAUSE_FACTOR * cost), MOST_PAUSE)
            )

    def look_again(self) -> set[str]:
        """Return the files that are new, gone, or other ones than at the last look."""
        stamps = self._look()
        changed = {path for path, _ in stamps.items() ^ self._stamps.items()}
        self._stamps = stamps
        return changed

    def _look(self) -> dict[str, Stamp]:
        stamps = {}
        for path in self._files():
            try:
                found = os.stat(path)
            except OSError:
                continue  # it is gone, or a link to nowhere
            if not stat.S_ISDIR(found.st_mode):
                stamps[path] = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
        return stamps

    def _files(self) -> Iterator[str]:
        known, self._directories = self._directories, {}
        seen: set[tuple[int, int]] = set()
        pending = list(self._watched.roots)
        while pending:
            path = pending.pop()
            try:
                found = os.stat(path)
            except OSError:
                continue
            if (found.st_dev, found.st_ino) in seen:
                continue  # by way of a link
            seen.add((found.st_dev, found.st_ino))
            directory = known.get(path)
            if directory is None or directory.changed != found.st_mtime_ns:
                directory = self._read(path, found.st_mtime_ns)
            self._directories[path] = directory
            pending += directory.directories
            yield from directory.files
        for pattern in self._extra:
            yield from glob.glob(pattern, recursive=True, include_hidden=True)

    def _read(self, path: str, changed: int) -> Directory:
        directory = Directory()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir():
                        if self._watched.enters(entry.path):
                            directory.directories.append(entry.path)
                    elif self._watched.wants(entry.path):
                        directory.files.append(entry.path)
        except OSError:
            return directory  # it may not be read, or has just gone: it is tried again
        if changed < time.time_ns() - RECENT_NS:
            directory.changed = changed
        return directory
