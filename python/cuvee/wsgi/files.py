# SPDX-License-Identifier: MIT
"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling")."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any


class FileWrapper:
    """A file as the iterable of an answer. Where the server can, the kernel sends it."""

    def __init__(self, filelike: Any, block_size: int = 65536) -> None:
        """Wrap what has `read`; its `close`, if there is one, is this object's."""
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        """Read it piece by piece."""
        while data := self.filelike.read(self.block_size):
            yield data


def regular_file(filelike: Any) -> tuple[int, int] | None:
    """Return the descriptor of a file on a disk and where it stands; None for anything else."""
    try:
        descriptor: int = filelike.fileno()
        position: int = filelike.tell()
        is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except (AttributeError, OSError, ValueError):
        return None
    return (descriptor, position) if is_regular else None
