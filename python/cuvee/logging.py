# SPDX-License-Identifier: MIT
"""Formats for the server's log and for the access log, with uvicorn's logger names and lines."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Literal

TRACE_LOG_LEVEL = 5
"""Below DEBUG: every ASGI message."""

LOG_LEVELS: dict[str, int] = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE_LOG_LEVEL,
}

ACCESS_FORMAT = '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'
"""How the access log looks; the C access log writes the same."""

ACCESS_MESSAGE = '%s - "%s %s HTTP/%s" %d'
"""The access record's message, for client, method, target, HTTP version and status."""

LOGGING_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "()": "cuvee.logging.DefaultFormatter",
            "fmt": "%(levelprefix)s %(message)s",
            "use_colors": None,
        },
        "access": {
            "()": "cuvee.logging.AccessFormatter",
            "fmt": ACCESS_FORMAT,
        },
    },
    "handlers": {
        "default": {
            "class": "logging.StreamHandler",
            "formatter": "default",
            "stream": "ext://sys.stderr",
        },
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "access",
            "stream": "ext://sys.stdout",
        },
    },
    "loggers": {
        "uvicorn": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}
"""What `Config(log_config=...)` is by default, for logging.config.dictConfig."""

_UNCHANGED = copy.deepcopy(LOGGING_CONFIG)


def style(text: str, code: str | None) -> str:
    """Wrap `text` in the terminal's escape sequence `code`; None leaves it alone."""
    return text if code is None else f"\x1b[{code}m{text}\x1b[0m"


def _colour(code: str) -> Callable[[Any], str]:
    return lambda value: style(str(value), code)


class ColourizedFormatter(logging.Formatter):
    """Adds `levelprefix`: the level's name in its colour, a colon and padding."""

    level_name_colors: ClassVar[dict[int, Callable[[str], str]]] = {
        TRACE_LOG_LEVEL: _colour("34"),
        logging.DEBUG: _colour("36"),
        logging.INFO: _colour("32"),
        logging.WARNING: _colour("33"),
        logging.ERROR: _colour("31"),
        logging.CRITICAL: _colour("91"),
    }

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        use_colors: bool | None = None,
    ) -> None:
        """Take logging.Formatter's arguments; `use_colors` None means: where a terminal reads."""
        self.use_colors = self.should_use_colors() if use_colors is None else bool(use_colors)
        super().__init__(fmt=fmt, datefmt=datefmt, style=style)

    def color_level_name(self, level_name: str, level_no: int) -> str:
        """Return the level's name in its colour."""
        colour = self.level_name_colors.get(level_no)
        return level_name if colour is None else colour(level_name)

    def should_use_colors(self) -> bool:
        """Say whether the stream that this format is meant for is a terminal."""
        return _is_terminal(sys.stdout)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format a copy of `record` that has the additional fields."""
        record = copy.copy(record)
        padding = " " * (8 - len(record.levelname))
        level = record.levelname
        if self.use_colors:
            level = self.color_level_name(level, record.levelno)
            color_message = record.__dict__.get("color_message")
            if color_message is not None:
                record.msg = color_message
                record.message = record.getMessage()
        record.__dict__["levelprefix"] = f"{level}:{padding}"
        return super().formatMessage(record)


class DefaultFormatter(ColourizedFormatter):
    """The format of the server's own lines, which go to standard error."""

    def should_use_colors(self) -> bool:
        """Say whether standard error is a terminal."""
        return _is_terminal(sys.stderr)


class AccessFormatter(ColourizedFormatter):
    """Adds `client_addr`, `request_line` and `status_code` ("200 OK") to an access record."""

    status_code_colours: ClassVar[dict[int, Callable[[str], str]]] = {
        1: _colour("97"),
        2: _colour("32"),
        3: _colour("33"),
        4: _colour("31"),
        5: _colour("91"),
    }

    def get_status_code(self, status_code: int) -> str:
        """Return a status with its phrase, in its colour."""
        from http import HTTPStatus  # seldom needed: as a rule C writes the access log

        try:
            text = f"{status_code} {HTTPStatus(status_code).phrase}"
        except ValueError:
            text = f"{status_code} "
        colour = self.status_code_colours.get(status_code // 100) if self.use_colors else None
        return text if colour is None else colour(text)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Take the record's five arguments apart."""
        record = copy.copy(record)
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, target, version, status = record.args
            request_line = f"{method} {target} HTTP/{version}"
            if self.use_colors:
                request_line = style(request_line, "1")
            record.__dict__.update(
                client_addr=client,
                request_line=request_line,
                status_code=self.get_status_code(int(str(status))),
            )
        return super().formatMessage(record)


class AccessLineFormatter(logging.Formatter):
    """Writes the lines of another format than uvicorn's, which C has made (`access_line`).

    What else the application logs there is written as its message, or as JSON.
    """

    def __init__(self, *, json: bool = False) -> None:
        """`json`: so are the lines."""
        super().__init__()
        self._others = logging.Formatter()
        if json:
            from cuvee.json_log import JsonFormatter

            self._others = JsonFormatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = record.__dict__.get("access_line")
        return line if isinstance(line, str) else self._others.format(record)


def _is_terminal(stream: Any) -> bool:
    # A process without standard streams has None there, and tests put in all sorts of things.
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


# ---- the default, without logging.config ---------------------------------------------------------


def configure_untouched(use_colors: bool | None) -> bool:
    """Apply LOGGING_CONFIG if nobody has changed it or set up a logger; say whether that was so.

    What comes of it is what logging.config.dictConfig makes. Importing that takes longer than all
    of cuvee.
    """
    if LOGGING_CONFIG != _UNCHANGED or not _is_untouched():
        return False
    streams = {"ext://sys.stderr": sys.stderr, "ext://sys.stdout": sys.stdout}
    formatters = {"default": DefaultFormatter, "access": AccessFormatter}
    handlers = {}
    for name, made in LOGGING_CONFIG["handlers"].items():
        formatter = made["formatter"]
        fmt = LOGGING_CONFIG["formatters"][formatter]["fmt"]
        handlers[name] = handler = logging.StreamHandler(streams[made["stream"]])
        handler.name = name
        handler.setFormatter(formatters[formatter](fmt, use_colors=use_colors))
    for name, made in LOGGING_CONFIG["loggers"].items():
        logger = logging.getLogger(name)
        logger.setLevel(made["level"])
        logger.propagate = made.get("propagate", True)
        for handler_name in made.get("handlers", ()):
            logger.addHandler(handlers[handler_name])
    return True


def _is_untouched() -> bool:
    """Say whether every logger is as it was made, so that there is nothing to undo."""
    loggers = [
        one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)
    ]
    return not logging.root.handlers and all(
        one.propagate and not (one.handlers or one.level or one.disabled) for one in loggers
    )
