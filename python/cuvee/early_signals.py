# SPDX-License-Identifier: MIT
"""Signals that come before there is a server for them: while the application is imported."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from cuvee.log_file import has_log_files, reopen_log_files

_is_reopening_due = False


class EarlyExit:
    """What SIGTERM does while there is something to remove: an exit, and then the end by the signal.

    A handler of somebody else's is left alone, and outside the main thread this does nothing.
    """

    def __init__(self) -> None:
        """Handle nothing yet."""
        self._was_asked = False

    def begin(self) -> None:
        """Handle SIGTERM."""
        if _is_free(signal.SIGTERM):
            signal.signal(signal.SIGTERM, self._leave)

    def check(self) -> None:
        """Leave if somebody has swallowed the exit, as a bare `except` does."""
        if self._was_asked:
            sys.exit(128 + signal.SIGTERM)

    def hand_over(self, former: dict[int, Any]) -> None:
        """Say to who handles SIGTERM now what was there before us."""
        if former.get(signal.SIGTERM) == self._leave:
            former[signal.SIGTERM] = signal.SIG_DFL

    def end(self) -> None:
        """Give SIGTERM back, and die of it if it has come."""
        if signal.getsignal(signal.SIGTERM) == self._leave:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._was_asked:
            signal.raise_signal(signal.SIGTERM)

    def _leave(self, number: int, _: FrameType | None) -> None:
        if not self._was_asked:
            self._was_asked = True
            sys.exit(128 + number)


@contextlib.contextmanager
def noting_sigusr1() -> Iterator[None]:
    """Note inside the block that log files are to be opened again; nothing where there are none."""
    if not has_log_files() or not _is_free(signal.SIGUSR1):
        yield
        return
    signal.signal(signal.SIGUSR1, note_reopening)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGUSR1) is note_reopening:
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def note_reopening(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGUSR1; not at once, since this may be in the middle of a line of the log."""
    global _is_reopening_due
    _is_reopening_due = True


def reopen_if_due() -> None:
    """Do what was noted."""
    global _is_reopening_due
    if _is_reopening_due:
        _is_reopening_due = False
        reopen_log_files()


def _is_free(number: int) -> bool:
    """Whether nobody handles a signal, and this thread may."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(number) is signal.SIG_DFL
