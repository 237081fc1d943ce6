# SPDX-License-Identifier: MIT
"""Reads the corpus of answers: what a client sends, what must come back, what the application sees, how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.wire.parser_corpus import request_bytes

CORPUS = Path(__file__).parent / "corpus" / "answers"

_TITLE = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(http|answer|events)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HALF_CLOSE = "The client then closes its side."
_WHOLE_ONLY = "Only in one piece:"
_LAST = "Nothing may follow"


@dataclass(frozen=True)
class AnswerCase:
    """A dialogue on one connection."""

    name: str
    steps: tuple[tuple[bytes, bytes], ...]
    """What is sent, and what must come back before more is sent."""
    requests: tuple[str, ...]
    """Method and target of each request that the application sees, in order."""
    open: bool
    """Whether the connection then serves another request; it must be closed otherwise."""
    half_close: bool
    """Whether the client ends its side behind the last step."""
    whole_only: bool
    """Whether the answer depends on the pieces that the request comes in."""
    last: bool
    """Whether a client that sent more at once would send a body, not a request."""


def _case(name: str, text: str) -> AnswerCase:
    blocks = [(match[1], match[2]) for match in _BLOCK.finditer(text)]
    *dialogue, (last, events) = blocks
    kinds = [kind for kind, _ in dialogue]
    lines = events.split("\n")[:-1]
    if (
        last != "events"
        or kinds != ["http", "answer"] * (len(kinds) // 2)
        or not kinds
        or not lines
    ):
        raise ValueError(
            f"{name}: http and answer blocks must take turns, an events block ends them"
        )
    if lines[-1] not in ("open", "closed"):
        raise ValueError(f"{name}: the last event must be open or closed")
    bodies = [request_bytes(block) for _, block in dialogue]
    return AnswerCase(
        name=name,
        steps=tuple(zip(bodies[::2], bodies[1::2], strict=True)),
        requests=tuple(lines[:-1]),
        open=lines[-1] == "open",
        half_close=_HALF_CLOSE in text,
        whole_only=_WHOLE_ONLY in text,
        last=_LAST in text,
    )


def read_answers(folder: Path = CORPUS) -> Iterator[AnswerCase]:
    """Give every case of every file."""
    for path in sorted(folder.glob("*.md")):
        _, *parts = _TITLE.split(path.read_text(encoding="utf-8"))
        for title, text in zip(parts[::2], parts[1::2], strict=True):
            yield _case(f"{path.stem}: {title}", text)
