# SPDX-License-Identifier: MIT
"""Log files that can be renamed under the server: a signal has them opened again."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import weakref

logger = logging.getLogger("uvicorn.error")

_open_handlers: weakref.WeakSet[LogFileHandler] = weakref.WeakSet()


def open_log_file(path: str) -> int:
    """Open `path` to append to it, and return the descriptor. Never waits. Raises OSError."""
    # A named pipe that nobody reads would be waited for: it is an error here.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    fd = os.open(path, flags, 0o666)
    os.set_blocking(fd, True)
    return fd


def check_log_file(option: str, path: str) -> None:
    """Raise ValueError, in the name of `option`, if `path` can't be written."""
    if not path:
        raise ValueError(f"{option} must be the path of a file, or - for the standard stream")
    try:
        os.close(open_log_file(path))
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ValueError(f"{option} can't be opened: {path!r}: {reason}") from None


class LogFileHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Appends to a file.

    Its descriptor keeps its number when the file is opened again, so that the C access log, which
    writes to that number, needs not be told.
    """

    def __init__(self, path: str) -> None:
        """Open the file. Raises OSError."""
        self.path = os.path.abspath(path)
        self._fd = open_log_file(self.path)
        # The stream is never closed by a collection in the middle of the C log's work: close() is.
        super().__init__(os.fdopen(self._fd, "w", encoding="utf-8", errors="backslashreplace"))
        _open_handlers.add(self)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def reopen(self) -> None:
        """Write to what `path` names now. Raises OSError: the old file is then written on."""
        fd = open_log_file(self.path)
        try:
            self.acquire()
            try:
                self.flush()
                os.dup2(fd, self._fd, inheritable=False)
            finally:
                self.release()
        finally:
            os.close(fd)

    def give_away(self, user: int) -> None:
        """Let `user` open the file again, where it is one. Raises OSError."""
        if stat.S_ISREG(os.fstat(self._fd).st_mode):  # devices stay whose they are
            os.fchown(self._fd, user, -1)

    def close(self) -> None:
        """Close the file."""
        _open_handlers.discard(self)
        self.acquire()
        try:
            if not self.stream.closed:
                self.flush()
                self.stream.close()
        finally:
            self.release()
        super().close()


def has_log_files() -> bool:
    """Say whether there is anything to open again."""
    return len(_open_handlers) > 0


def give_log_files_away(user: int) -> None:
    """Let `user`, whom this process is about to become, open every log file again."""
    for handler in list(_open_handlers):
        with contextlib.suppress(OSError):  # it is told when the file is opened again
            handler.give_away(user)


def reopen_log_files() -> None:
    """Open every log file again; says so where one can't be."""
    for handler in list(_open_handlers):
        try:
            handler.reopen()
        except OSError as exc:
            logger.error(
                "Log file %s can't be opened again, the old one is used: %s",
                handler.path,
                exc.strerror,
            )
