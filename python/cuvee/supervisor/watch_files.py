# SPDX-License-Identifier: MIT
"""Watches directories with the package watchfiles, to which the system tells what changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import watchfiles

from cuvee.supervisor.watched import Watched
from cuvee.supervisor.watcher import Tell, Watcher

STEP_MILLISECONDS = 20
LOOKS = 50
"""After how many steps one looks whether the watched directories are still the same ones."""

Identity = tuple[int, int] | None

logger = logging.getLogger("uvicorn.error")


class FilesWatcher(Watcher):
    """Lets watchfiles watch the trees whole, and leaves out what is not watched."""

    name = "WatchFiles"

    def __init__(self, tell: Tell, watched: Watched) -> None:
        """Prepare to watch."""
        super().__init__(tell)
        self._watched = watched
        self._identities: dict[str, Identity] = {}
        self._changes: Iterator[set[watchfiles.main.FileChange]] = iter(())

    def _prepare(self) -> None:
        self._begin()

    def _begin(self) -> set[str]:
        """Watch the directories that are there; return what has changed already."""
        self._identities = {root: _identity(root) for root in self._watched.roots}
        there = [root for root, identity in self._identities.items() if identity is not None]
        if not there:
            self._changes = iter(())
            return set()
        self._changes = watchfiles.watch(
            *there,
            watch_filter=None,
            step=STEP_MILLISECONDS,
            debounce=STEP_MILLISECONDS,
            rust_timeout=STEP_MILLISECONDS,
            yield_on_timeout=True,
            stop_event=self._stopping,
            ignore_permission_denied=True,
        )
        return self._next()  # the generator begins to watch when it is asked for the first time

    def _next(self) -> set[str]:
        changes = next(self._changes, set())
        return {file for change, path in changes for file in self._files(change, path)}

    def _files(self, change: watchfiles.Change, path: str) -> Iterator[str]:
        """Return what of a change is watched: of a directory that is new here, its files."""
        if change == watchfiles.Change.added and os.path.isdir(path):
            candidates = self._watched.files(path)
        else:
            candidates = iter([path] if self._watched.wants(path) else [])
        return filter(self._watched.reaches, candidates)

    def _watch(self) -> None:
        looks = 0
        while not self._stopping.is_set():
            try:
                changed = self._next() if any(self._identities.values()) else self._rest()
                looks += 1
                if looks % LOOKS == 0 and self._is_stale():
                    changed |= self._begin() | {*self._watched.roots}
            except (OSError, RuntimeError) as exc:  # a directory is gone, or watchfiles has failed
                logger.debug("Watching begins anew: %s", exc)
                self._identities = dict.fromkeys(self._identities)
                changed = set()
            if changed:
                self._tell(changed)

    def _rest(self) -> set[str]:
        self._stopping.wait(STEP_MILLISECONDS / 1000)
        return set()

    def _is_stale(self) -> bool:
        return any(_identity(root) != was for root, was in self._identities.items())


def _identity(path: str) -> Identity:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
