# SPDX-License-Identifier: MIT
"""Signal handlers of a loop, and which descriptor CPython writes signal numbers to, and when.

While a loop runs in the main thread, and as long as it has signal handlers, the descriptor is the
loop's own: a signal then ends the poll, whatever it is for. Otherwise it is whatever it was before.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from cuvee import _core

if TYPE_CHECKING:
    from cuvee._core import Handle


def _do_nothing(_signum: int, _frame: object) -> None:
    """Stand as the Python handler of a signal that a loop handles."""


class SignalsMixin(_core.LoopCore):
    """`add_signal_handler` and `remove_signal_handler`."""

    def __init__(self) -> None:
        super().__init__()
        self._signal_handlers: dict[int, Handle] = {}
        self._former_wakeup_fd: int | None = None  # None: ours is not installed

    def _install_wakeup_fd(self) -> None:
        """Let signals write to this loop; ValueError off the main thread."""
        if self._former_wakeup_fd is None:
            self._former_wakeup_fd = signal.set_wakeup_fd(
                self._signal_fd(), warn_on_full_buffer=False
            )

    def _restore_wakeup_fd(self) -> None:
        """Undo `_install_wakeup_fd`, unless someone else put theirs in meanwhile."""
        former, self._former_wakeup_fd = self._former_wakeup_fd, None
        if former is None:
            return
        with contextlib.suppress(ValueError, OSError):  # the former one was closed since
            current = signal.set_wakeup_fd(-1)
            ours = current == self._signal_fd()
            signal.set_wakeup_fd(former if ours else current, warn_on_full_buffer=False)

    def _signals_start(self) -> None:
        """Begin a run."""
        if threading.current_thread() is threading.main_thread():
            with contextlib.suppress(ValueError):  # not the main interpreter
                self._install_wakeup_fd()

    def _signals_stop(self) -> None:
        """End a run."""
        if not self._signal_handlers:
            self._restore_wakeup_fd()

    def _signals_close(self) -> None:
        """Remove every handler, before the loop is closed."""
        if sys.is_finalizing():
            if self._signal_handlers:
                warnings.warn(
                    f"Closing the loop {self!r} on interpreter shutdown stage, "
                    f"skipping signal handlers removal",
                    ResourceWarning,
                    stacklevel=3,
                    source=self,
                )
                self._signal_handlers.clear()
            return
        for sig in list(self._signal_handlers):
            self.remove_signal_handler(sig)
        self._restore_wakeup_fd()

    def _handle_signal(self, signum: int) -> None:
        """Make the handler of a signal ready; called by the C half."""
        handle = self._signal_handlers.get(signum)
        if handle is None:
            return
        if handle.cancelled():
            self.remove_signal_handler(signum)
        else:
            self._add_callback(handle)

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: object) -> None:
        """Call `callback(*args)` in the loop when the signal comes.

        ValueError for a number that is no signal, RuntimeError for one that cannot be caught and
        off the main thread.
        """
        function: object = callback
        if asyncio.iscoroutine(function) or inspect.iscoroutinefunction(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        _check_signal(sig)
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        try:
            self._install_wakeup_fd()
        except (ValueError, OSError) as exc:
            raise RuntimeError(str(exc)) from exc
        self._signal_handlers[sig] = self._make_handle(callback, *args)
        try:
            signal.signal(sig, _do_nothing)
            signal.siginterrupt(sig, False)  # system calls go on: fewer EINTR for the program
        except (ValueError, OSError) as exc:
            del self._signal_handlers[sig]
            if not self._signal_handlers and not self.is_running():
                self._restore_wakeup_fd()
            if isinstance(exc, OSError) and exc.errno == errno.EINVAL:
                raise RuntimeError(f"sig {sig} cannot be caught") from exc
            if isinstance(exc, ValueError):
                raise RuntimeError(str(exc)) from exc
            raise

    def remove_signal_handler(self, sig: int) -> bool:
        """Give the signal its default back; return whether the loop had handled it."""
        _check_signal(sig)
        try:
            del self._signal_handlers[sig]
        except KeyError:
            return False
        default = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
        try:
            signal.signal(sig, default)
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                raise RuntimeError(f"sig {sig} cannot be caught") from exc
            raise
        if not self._signal_handlers and not self.is_running():
            self._restore_wakeup_fd()
        return True


def _check_signal(sig: object) -> None:
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")
