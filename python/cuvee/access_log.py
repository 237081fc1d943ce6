# SPDX-License-Identifier: MIT
"""Decides who writes the access log: C where our own format is wanted, else Python's logging."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from cuvee import _core
from cuvee.log_file import LogFileHandler
from cuvee.logging import ACCESS_FORMAT, ACCESS_MESSAGE, AccessFormatter, AccessLineFormatter

AccessCallable: TypeAlias = Callable[..., object]
"""Called with client, method, target, HTTP version and status; and with the line, if it is of
another format than uvicorn's.
"""

FLUSH_SECONDS = 1.0
"""How long the end of the server waits for a slow reader of the log."""
CHANGE_SECONDS = 0.1
"""How long a change of the writer does, so that the lines stay in order."""

logger = logging.getLogger("uvicorn.error")
access_logger = logging.getLogger("uvicorn.access")


class AccessRoute:
    """Who writes the access log of one server, from its start to its end.

    C does as long as logging is as our configuration left it. The application may change that at
    any time, and change it back: the server asks again, once a second, while there are requests.
    """

    def __init__(self, *, has_format: bool) -> None:
        """`has_format`: the lines are not uvicorn's."""
        self._callable: AccessCallable = (
            _log_line if has_format else functools.partial(access_logger.info, ACCESS_MESSAGE)
        )
        self._formatter_type = AccessLineFormatter if has_format else AccessFormatter
        self._log: _core.AccessLog | None = None
        self._log_to: tuple[int, bool, str] | None = None
        self._current: _core.AccessLog | AccessCallable | None = None

    def look(self) -> _core.AccessLog | AccessCallable | None:
        """Return what the C server is to write to; None when nobody listens."""
        found = self._find()
        if found is not self._current:
            if self._log is not None and self._log is self._current:
                self._log.flush(CHANGE_SECONDS)
            self._current = found
        return found

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Write out what is still held, for at most `seconds`, and say how much was lost."""
        self._current = None
        if self._log is None or self._log_to is None:
            return
        self._log.flush(seconds)
        self._log.close()
        if self._log.dropped:
            logger.warning(
                "%d access log lines were dropped: %s.", self._log.dropped, self._log_to[2]
            )
        self._log = None

    def _find(self) -> _core.AccessLog | AccessCallable | None:
        if not access_logger.hasHandlers() or not access_logger.isEnabledFor(logging.INFO):
            return None
        handler = self._own_handler()
        if handler is not None:
            try:
                return self._log_of(handler)
            except (OSError, ValueError):  # a standard output without a descriptor
                pass
        return self._callable

    def _log_of(self, handler: logging.StreamHandler[Any]) -> _core.AccessLog:
        """Return the C log that writes what `handler` would."""
        if isinstance(handler, LogFileHandler):
            fd, lost = handler.fileno(), f"{handler.path} could not be written"
        else:
            fd, lost = sys.stdout.fileno(), "standard output was not read fast enough"
        log_to = (fd, bool(getattr(handler.formatter, "use_colors", False)), lost)
        if self._log is None or log_to != self._log_to:
            self.close(CHANGE_SECONDS)
            self._log = _core.AccessLog(fd, colors=log_to[1])
            self._log_to = log_to
        return self._log

    def _own_handler(self) -> logging.StreamHandler[Any] | None:
        """Return the logger's handler if all is as our configuration leaves it."""
        plain_logger = (
            type(access_logger) is logging.Logger
            and not access_logger.filters
            and not access_logger.propagate
            and len(access_logger.handlers) == 1
            and logging.getLogRecordFactory() is logging.LogRecord
        )
        if not plain_logger:
            return None
        handler = access_logger.handlers[0]
        if handler.filters or handler.level > logging.INFO:
            return None
        formatter = handler.formatter
        if type(formatter) is not self._formatter_type or (
            type(formatter) is AccessFormatter and formatter._fmt != ACCESS_FORMAT
        ):
            return None
        if type(handler) is LogFileHandler:
            return handler
        if type(handler) is not logging.StreamHandler:
            return None
        return handler if handler.stream is sys.stdout is sys.__stdout__ else None


def _log_line(client: str, method: str, target: str, version: str, status: int, line: str) -> None:
    """Log a record with uvicorn's arguments that brings its line along."""
    access_logger.info(
        ACCESS_MESSAGE, client, method, target, version, status, extra={"access_line": line}
    )
