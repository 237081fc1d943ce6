# SPDX-License-Identifier: MIT
"""Which event loop `--loop` means."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from cuvee.importer import ImportFromStringError, import_from_string

if TYPE_CHECKING:
    import asyncio

LoopFactory: TypeAlias = "Callable[[], asyncio.AbstractEventLoop]"
LoopType = Literal["none", "auto", "asyncio", "uvloop", "zuvloop"]

LOOPS = ("none", "auto", "asyncio", "uvloop", "zuvloop")
STARTUP_FAILURE = 3

logger = logging.getLogger("uvicorn.error")


def look_at(loop: object) -> None:
    """Raise ValueError unless `loop` is one of the names, or may name a factory."""
    if not isinstance(loop, str) or (loop not in LOOPS and ":" not in loop):
        raise ValueError(loop)


def find_factory(loop: str) -> LoopFactory | None:
    """Return what makes the loop; None: asyncio's own default.

    Logs an error and raises SystemExit(3) when there is no such thing.
    """
    if loop == "none":
        return None
    if loop == "auto":
        from cuvee.loop import new_event_loop

        return new_event_loop
    if loop == "asyncio":
        import asyncio

        return asyncio.SelectorEventLoop
    where = f"{loop}:new_event_loop" if loop in LOOPS else loop
    try:
        factory: LoopFactory = import_from_string(where)
    except ImportFromStringError as exc:
        logger.error("Error loading the event loop of --loop %s. %s", loop, exc)
        sys.exit(STARTUP_FAILURE)
    return factory
