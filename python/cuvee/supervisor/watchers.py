# SPDX-License-Identifier: MIT
"""Which watchers there are for a configuration: watchfiles where it is installed, and ours."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cuvee.supervisor.watch_stat import StatWatcher
from cuvee.supervisor.watched import Watched
from cuvee.supervisor.watcher import Tell, Watcher

if TYPE_CHECKING:
    from cuvee.supervisor.watch_files import FilesWatcher

logger = logging.getLogger("uvicorn.error")


def start_watchers(tell: Tell, watched: Watched, extra: Sequence[str]) -> list[Watcher]:
    """Begin to watch the trees of `watched` and the files that `extra` names; the former first."""
    first = _start_watchfiles(tell, watched)
    if first is None:
        ours = StatWatcher(tell, watched, extra)
        ours.start()
        return [ours]
    if not extra:
        return [first]
    beside = StatWatcher(tell, Watched([], [], [], []), extra)
    beside.start()
    return [first, beside]


def _start_watchfiles(tell: Tell, watched: Watched) -> FilesWatcher | None:
    try:
        module = importlib.import_module("cuvee.supervisor.watch_files")
    except ImportError:
        return None
    watcher: FilesWatcher = module.FilesWatcher(tell, watched)
    try:
        watcher.start()
    except (OSError, RuntimeError) as exc:  # such as no more than so many watches for a user
        logger.warning("watchfiles cannot watch (%s): looking at the files instead.", exc)
        return None
    return watcher
