# SPDX-License-Identifier: MIT
"""Log lines as JSON: one object a line."""

from __future__ import annotations

import logging
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """Writes time (RFC 3339, UTC), level, logger, message, and exception where there is one."""

    def __init__(self) -> None:
        """Take nothing: there is one form."""
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Return the object, without an end of line."""
        import json

        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        members = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage().rstrip("\n"),
        }
        if record.exc_info:
            members["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            members["exception"] = record.exc_text
        if record.stack_info:
            members["stack"] = self.formatStack(record.stack_info)
        return json.dumps(members, separators=(",", ":"))
