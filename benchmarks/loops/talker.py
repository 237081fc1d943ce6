"""A process that answers each line with a line of JSON."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from benchmarks.pinning import pinned
from benchmarks.servers import ServerError

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 20.0
"""Seconds that an answer may take longer than it was told to."""
END = 5.0


class Talker:
    """One such process, on a core of its own or of others like it."""

    def __init__(self, command: list[str], core: int) -> None:
        with pinned(core):
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def hear(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Return what it says next."""
        assert self.process.stdout is not None
        killer = threading.Timer(patience, self.process.kill)
        killer.start()
        line = self.process.stdout.readline()
        killer.cancel()
        if not line:
            raise ServerError(self._why_it_ended())
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            raise ServerError(f"it says {line.strip()[:100]}") from None
        return said

    def ask(self, line: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Tell it a line, and return what it says to that."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ServerError(self._why_it_ended()) from None
        return self.hear(patience)

    def _why_it_ended(self) -> str:
        self.process.kill()
        _, errors = self.process.communicate()
        *_, last = errors.strip().splitlines() or ["it hangs, or ends without a word"]
        return last

    def close(self) -> None:
        """Close its input, which is the end of it; one that does not end is killed."""
        try:
            self.process.communicate(timeout=END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
