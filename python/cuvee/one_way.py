# SPDX-License-Identifier: MIT
"""Kinds of uvicorn's options for which there is one way here, or none yet.

Where uvicorn chooses between implementations of one thing, each choice is accepted. What would have to be
there and is not is refused: a server without it is not what was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cuvee.kinds import Choice, Kind, Whole

if TYPE_CHECKING:
    from cuvee.config import Config

NO_TLS = "TLS is not there yet, a proxy can end it"


class Reasoned(Choice):
    """One of some words, and why there are no others."""

    def __init__(self, words: Iterable[str], reason: str) -> None:
        """`reason` stands behind the words."""
        super().__init__(words)
        self.reason = reason

    @property
    def expected(self) -> str:
        """Name the words, and the reason."""
        return f"{super().expected}, {self.reason}"


class Nothing(Kind):
    """What has to stay as it is, because what it is for is not there yet."""

    def __init__(self, kind: Kind, only: Any, reason: str) -> None:
        """`only` is the one value that is accepted, of those that `kind` has."""
        super().__init__(kind.metavar, optional=kind.optional)
        self.kind = kind
        self.only = only
        self.reason = reason
        self.is_flag = kind.is_flag

    @property
    def expected(self) -> str:
        """Say what uvicorn would take."""
        return self.kind.expected

    def parse(self, text: str) -> Any:
        """Read what uvicorn reads."""
        return self._only(self.kind.parse(text))

    def accept(self, value: Any, shown: object) -> Any:
        """Look at the value as uvicorn's kind does first."""
        return self._only(self.kind.accept(value, shown))

    def _only(self, value: Any) -> Any:
        if value != self.only:  # which may be a password, and is not shown
            raise ValueError(f"must be left out: {self.reason}")
        return value


WORKERS = Whole(0, 2**30, optional=True)
"""How many processes serve; 0 is 1, and None asks WEB_CONCURRENCY."""
_HEARD = "(workers=1 is heard before it)"


def count_workers(workers: int | None) -> int:
    """Return how many processes serve: `workers`, else WEB_CONCURRENCY, else 1; or raise ValueError."""
    text = os.environ.get("WEB_CONCURRENCY")
    if workers is not None or text is None:
        return workers or 1
    try:
        return WORKERS.parse(text) or 1
    except ValueError as exc:
        raise ValueError(f"WEB_CONCURRENCY {exc} {_HEARD}") from None


def refuse_several_workers(config: Config) -> None:
    """Raise ValueError where several processes are to serve; with `reload` it is one in any case."""
    if config.workers == 1 or config.reload:
        return
    text = f"must be 1, since several workers are not there yet, not {config.workers}"
    if config.are_workers_given:
        raise ValueError(f"workers {text}")
    raise ValueError(f"WEB_CONCURRENCY {text} {_HEARD}")
