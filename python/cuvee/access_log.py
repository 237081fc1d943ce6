# SPDX-License-Identifier: MIT
"""Decides who writes the access log: C where our own format is wanted, else Python's logging."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import TypeAlias

from cuvee import _core
from cuvee.logging import ACCESS_FORMAT, ACCESS_MESSAGE, AccessFormatter

AccessCallable: TypeAlias = Callable[[str, str, str, str, int], object]
"""Called with client, method, target, HTTP version and status."""

FLUSH_SECONDS = 1.0
"""How long the end of the server waits for a slow reader of the log."""

logger = logging.getLogger("uvicorn.error")
access_logger = logging.getLogger("uvicorn.access")


def open_access_log() -> _core.AccessLog | AccessCallable | None:
    """Return what the C server writes its access log to; None when nobody listens."""
    if not access_logger.hasHandlers() or not access_logger.isEnabledFor(logging.INFO):
        return None
    formatter = _plain_formatter()
    if formatter is not None:
        try:
            return _core.AccessLog(sys.stdout.fileno(), colors=formatter.use_colors)
        except (OSError, ValueError):  # a standard output without a descriptor
            pass
    return functools.partial(access_logger.info, ACCESS_MESSAGE)


def close_access_log(log: _core.AccessLog | AccessCallable | None) -> None:
    """Write out what is still held, and say how much was lost."""
    if not isinstance(log, _core.AccessLog):
        return
    log.flush(FLUSH_SECONDS)
    log.close()
    if log.dropped:
        logger.warning(
            "%d access log lines were dropped: standard output was not read fast enough.",
            log.dropped,
        )


def _plain_formatter() -> AccessFormatter | None:
    """Return the access formatter if logging is as LOGGING_CONFIG leaves it: C writes the same."""
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
    plain_handler = (
        type(handler) is logging.StreamHandler
        and handler.stream is sys.stdout
        and sys.stdout is sys.__stdout__
        and not handler.filters
        and handler.level <= logging.INFO
    )
    formatter = handler.formatter
    if not plain_handler or type(formatter) is not AccessFormatter:
        return None
    return formatter if formatter._fmt == ACCESS_FORMAT else None
