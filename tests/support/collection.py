# SPDX-License-Identifier: MIT
"""Garbage that does something when it is collected, in the middle of something else."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator

THRESHOLDS = gc.get_threshold()


class Garbage:
    """Part of a cycle; does something when it is collected."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.me = self
        self.do = do

    def __del__(self) -> None:
        self.do()


@contextlib.contextmanager
def collection_at(allocation: int, do: Callable[[], object]) -> Iterator[None]:
    """Run `do` in a collection that begins at about that allocation. (Later versions than Python
    3.11 collect between instructions only: there it runs sooner or later.)"""
    spare = [{"dict": number} for number in range(100)]  # none is spare: the next one is made
    gc.collect()
    Garbage(do)
    gc.set_threshold(allocation)
    try:
        yield
    finally:
        gc.set_threshold(*THRESHOLDS)
        gc.collect()
        del spare
