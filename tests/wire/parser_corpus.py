# SPDX-License-Identifier: MIT
"""Reads the Markdown corpus: a heading, a request block, and the events expected of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus" / "http"

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "s": b" ", "\\": b"\\"}
_CASE = re.compile(
    r"^## (?P<title>.+?)\n(?P<text>.*?)^```http\n(?P<request>.*?)^```\n\s*"
    r"^```events\n(?P<events>.*?)^```\n",
    re.DOTALL | re.MULTILINE,
)
_LIMITS = re.compile(r"^Limits: line (\d+), head (\d+), fields (\d+)\.$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One request, or several on one connection."""

    name: str
    request: bytes
    limits: tuple[str, ...]
    events: str


def _unescape(match: re.Match[str]) -> str:
    word = match[1]
    if word[0] == "x" and len(word) == 3:
        return chr(int(word[1:], 16))
    return _ESCAPES[word].decode()


def request_bytes(block: str) -> bytes:
    """Turn a request block into bytes: every line ends with CRLF unless a backslash is its last."""
    parts = []
    for line in block.splitlines():
        joined = line.endswith("\\") and not line.endswith("\\\\")
        text = _ESCAPE.sub(_unescape, line[:-1] if joined else line)
        parts.append(text.encode("latin-1") + (b"" if joined else b"\r\n"))
    return b"".join(parts)


def read_corpus(folder: Path = CORPUS) -> Iterator[Case]:
    """Give every case of every file."""
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        cases = list(_CASE.finditer(text))
        if len(cases) != len(re.findall(r"^## ", text, re.MULTILINE)):
            raise ValueError(f"{path.name}: a heading without a request block and an events block")
        for case in cases:
            limits = _LIMITS.search(case["text"])
            yield Case(
                name=f"{path.stem}: {case['title']}",
                request=request_bytes(case["request"]),
                limits=limits.groups() if limits else (),
                events=case["events"],
            )
