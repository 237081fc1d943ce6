"""A file of results, written after every part, so that a run that is broken off leaves what it has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


class ResultsError(Exception):
    """What the file has and what is measured now do not go together."""


class File:
    """The machine, the works and other parts; without a path it only lives here."""

    def __init__(
        self,
        path: Path | None,
        machine: dict[str, Any],
        keep: bool,
        parts: tuple[str, ...] = ("works", "footprint", "idle_websockets"),
    ) -> None:
        self.path = path
        self.content: dict[str, Any] = {"machine": machine} | {part: [] for part in parts}
        if keep and path is not None and path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            for what in ("cpu", "system", "python"):
                if before["machine"][what] != machine[what]:
                    raise ResultsError(f"{path} is about another {what}")
            machine["packages"] = _joined(before["machine"]["packages"], machine["packages"])
            self.content |= {part: before.get(part, []) for part in parts}

    def add(self, part: str, key: str, result: dict[str, Any]) -> None:
        """Add a result in place of the one of the same name."""
        rows = self.content[part]
        names = [row[key] for row in rows]
        if result[key] in names:
            rows[names.index(result[key])] = result
        else:
            rows.append(result)
        if self.path is not None:
            self.path.write_text(_text(self.content), encoding="utf-8")


def _text(content: dict[str, Any]) -> str:
    """JSON in which a list of numbers takes one line."""
    lines = json.dumps(content, indent=1, ensure_ascii=False)
    return re.sub(r"\[[-+.\de,\s]+\]", lambda match: " ".join(match[0].split()), lines) + "\n"


def _joined(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    for package in before.keys() & now.keys():
        if before[package] != now[package]:
            raise ResultsError(f"the file has {package} {before[package]}, not {now[package]}")
    return dict(sorted((before | now).items()))
