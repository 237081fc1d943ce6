# SPDX-License-Identifier: MIT
"""`--reload`: a parent process that replaces the serving one whenever a watched file changes."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import logging
import math
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Sequence, Set
from types import FrameType

from cuvee.config import STARTUP_FAILURE, Config
from cuvee.early_signals import note_reopening, reopen_if_due
from cuvee.log_file import has_log_files
from cuvee.logging import style
from cuvee.supervisor.changes import Changes
from cuvee.supervisor.child import Child, describe_exit, make_job
from cuvee.supervisor.wakeup import Wakeup
from cuvee.supervisor.watched import Watched
from cuvee.supervisor.watcher import Watcher
from cuvee.supervisor.watchers import start_watchers

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)
GRACE_SECONDS = 1.0
"""How long requests may hold a reload, where timeout_graceful_shutdown does not say it."""
KILL_SECONDS = 5.0
"""How much longer the application's own end may hold it."""
SPARE_SECONDS = 1.0
"""How long after a reload the child for the next one is started: not while the application starts."""
SHOWN = 10
"""How many of the changed files the log names."""

logger = logging.getLogger("uvicorn.error")


class Reloader:
    """Runs children, one after the other, until a signal ends it. It never imports the application.

    The sockets listen all the time, so that whoever connects during a reload waits in the kernel
    until the next child accepts. That one is started ahead of time, and waits before it imports the
    application, until the changes have come to rest and the child before it is gone: there is never
    more than one application, and each begins with the files as they are then.
    """

    def __init__(self, config: Config, sockets: Sequence[socket.socket]) -> None:
        """Prepare to serve on `sockets`, which listen, and stay the caller's."""
        self.config = config
        self.sockets = sockets
        self._stops = 0  # signals to stop
        self._hangups = 0  # signals to reload
        self._rotations = 0  # signals to open log files again
        self._had_terminal = _has_terminal()
        self._name = ""
        self._serving: Child | None = None  # has the application
        self._waiting: Child | None = None  # will have it
        self._is_wanted = False  # the one that waits is to take over
        self._spare_due: float | None = None  # when the next one is to be started
        self._changes = Changes(config.reload_delay)
        self._stale: set[str] = set()  # what has changed since the application was imported

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        self._job = make_job(_pickled(_for_children(self.config)))
        self._wakeup = Wakeup(filter(_is_handled, SIGNALS), self._on_signal)
        watchers: list[Watcher] = []
        try:
            watchers = self._start_watchers()
            self._name = watchers[0].name
            _log_process("Started", f" using {self._name}", style(f" using {self._name}", "36;1"))
            self._reload()
            while not self._stops:
                self._step(time.monotonic())
                self._wakeup.sleep(self._until())
            self._stop_child()
        finally:
            for watcher in watchers:
                watcher.stop()
            self._kill_children()
            self._wakeup.close()
        _log_process("Stopping")

    def _start_watchers(self) -> list[Watcher]:
        config = self.config
        watched = Watched(
            config.reload_dirs,
            config.reload_includes,
            config.reload_excludes,
            config.reload_dirs_excludes,
        )
        return start_watchers(self._tell, watched, config.reload_extra_files)

    # ---- what happens ----------------------------------------------------------------------------

    def _tell(self, changed: Set[str]) -> None:
        """Take what a watcher has seen; in its thread."""
        self._changes.report(changed)
        self._wakeup.wake()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self._stops += 1
        elif number == signal.SIGUSR1:
            note_reopening(number, None)
            self._rotations += 1
        elif number == signal.SIGHUP:
            # A terminal that was closed says it with the same signal.
            if self._had_terminal and not _has_terminal():
                self._stops += 1
            else:
                self._hangups += 1

    def _step(self, now: float) -> None:
        """Look at all that may have happened, and do what follows from it."""
        self._reopen_logs()
        changed = self._changes.gather(now)
        if changed:
            self._stale |= changed
            self._await_successor()
        due = self._changes.due()
        if self._hangups:
            self._hangups = 0
            logger.info("Received SIGHUP, reloading.")
            self._reload()
        elif due is not None and now >= due:
            self._log_changes()
            self._reload()
        self._look_at_children(now)
        if self._is_wanted and self._serving is None:
            self._take_over(now)
        if self._spare_due is not None and now >= self._spare_due:
            self._await_successor()

    def _until(self) -> float | None:
        """When there will be something to do, though nothing happens."""
        times = [self._changes.due(), self._spare_due]
        if self._serving is not None:
            times.append(self._serving.deadline)
        return min((time for time in times if time is not None), default=None)

    # ---- children --------------------------------------------------------------------------------

    def _await_successor(self) -> Child:
        self._spare_due = None
        if self._waiting is None:
            self._waiting = Child(self.sockets)
        return self._waiting

    def _reload(self) -> None:
        self._changes.paths.clear()
        self._is_wanted = True
        self._await_successor()
        if self._serving is not None:
            self._serving.stop(_grace(self.config) + KILL_SECONDS)

    def _take_over(self, now: float) -> None:
        """Let the child that waits have the application, as the files are now."""
        successor = self._await_successor()
        self._forget_bytecode()
        successor.release(self._job)
        self._serving, self._waiting = successor, None
        self._is_wanted = False
        self._changes.settle(now)
        self._spare_due = now + SPARE_SECONDS

    def _forget_bytecode(self) -> None:
        """Remove what was compiled of changed files.

        Python compares their time in seconds: it would not see the second change of one.
        """
        for path in self._stale:
            if path.endswith(".py"):
                with contextlib.suppress(OSError, NotImplementedError):
                    os.unlink(importlib.util.cache_from_source(path))
        self._stale.clear()

    def _look_at_children(self, now: float) -> None:
        serving = self._serving
        if serving is not None:
            code = serving.ended()
            if code is not None:
                self._serving = None
                if not serving.is_stopping:
                    _log_end(serving.pid, code)
            elif serving.deadline is not None and now >= serving.deadline:
                serving.kill()
                logger.error("Child process [%d] does not stop, and is killed.", serving.pid)
        if self._waiting is not None:
            code = self._waiting.ended()
            if code is not None:
                _log_end(self._waiting.pid, code)
                self._waiting, self._is_wanted = None, False

    def _stop_child(self) -> None:
        """Stop the child that serves, and wait for it; who asks a third time has it killed."""
        serving = self._serving
        if serving is None:
            return
        serving.stop(math.inf)
        has_said_it = False
        while serving.ended() is None:
            if self._stops > 1 and not has_said_it:
                logger.info("Waiting for child process [%d]. (CTRL+C to kill it)", serving.pid)
                has_said_it = True
            if self._stops > 2:
                serving.kill()
            self._wakeup.sleep(None)
            self._reopen_logs()

    def _kill_children(self) -> None:
        for child in (self._serving, self._waiting):
            if child is not None and child.ended() is None:
                child.kill()
                child.wait()

    # ---- the log ---------------------------------------------------------------------------------

    def _reopen_logs(self) -> None:
        """Open log files again, here and in the child that writes too, if somebody has asked for it."""
        reopen_if_due()
        if self._rotations:
            self._rotations = 0
            if self._serving is not None:
                self._serving.reopen_logs()

    def _log_changes(self) -> None:
        paths = sorted(map(_display, self._changes.paths))
        more = len(paths) - SHOWN
        shown = ", ".join(paths[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        logger.warning("%s detected changes in %s. Reloading...", self._name, shown)


def _log_process(what: str, how: str = "", coloured: str = "") -> None:
    logger.info(
        f"{what} reloader process [%d]{how}",
        os.getpid(),
        extra={"color_message": f"{what} reloader process [{style('%d', '36;1')}]{coloured}"},
    )


def _log_end(process: int, code: int) -> None:
    logger.error(
        "Child process [%d] %s. Waiting for a change to start another one.",
        process,
        describe_exit(code),
    )


def _display(path: str) -> str:
    """Return a path as a log line has it: relative to the current directory where that is shorter."""
    here = os.path.join(os.getcwd(), "")
    return repr(path.removeprefix(here))


# ---- how it starts -------------------------------------------------------------------------------


def _grace(config: Config) -> float:
    limit = config.timeout_graceful_shutdown
    return GRACE_SECONDS if limit is None else limit


def _for_children(config: Config) -> Config:
    """Return the configuration of a child, whose open streams don't hold a reload."""
    theirs = copy.copy(config)
    theirs.timeout_graceful_shutdown = _grace(config)
    return theirs


def _pickled(config: Config) -> bytes:
    try:
        return pickle.dumps(config)
    except Exception as exc:
        logger.error("The configuration cannot be given to another process: %s", exc)
        sys.exit(STARTUP_FAILURE)


def _is_handled(number: int) -> bool:
    """Whether a signal is ours: nohup's is not, nor what is for log files where there are none."""
    if number == signal.SIGUSR1:
        return has_log_files()
    return number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN


def _has_terminal() -> bool:
    return any(map(os.isatty, (0, 1, 2)))
