"""WebSocket clients: a program of ours that holds connections, and works when it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from benchmarks import native
from benchmarks.pinning import pinned
from benchmarks.servers import ServerError

PATIENCE = 60
"""Seconds beyond those it was told, before it is ended; it gives up by itself after 20 without anything."""


@dataclass(frozen=True)
class Talk:
    """What the clients do: how many they are, and what they send."""

    mode: Literal["echo", "broadcast", "idle"]
    connections: int
    size: int = 64
    depth: int = 1
    """Messages that are sent at once; when all are back, again."""
    text: bool = False
    offer: bool = False
    """Offer permessage-deflate. Nothing may come back compressed."""

    def arguments(self, port: int, path: str) -> list[str]:
        """The command line."""
        words = [self.mode, str(port), path, str(self.connections)]
        words += ["-s", str(self.size), "-d", str(self.depth)]
        return words + ["-t"] * self.text + ["-z"] * self.offer


class Clients:
    """They are connected in a `with` block; whatever goes wrong with a connection is an error."""

    def __init__(self, talk: Talk, port: int, path: str = "/", core: int | None = None) -> None:
        self._command = talk.arguments(port, path)
        self._core = core
        self.deflated = 0
        """With how many of them the server agreed to compress."""

    def __enter__(self) -> Clients:
        """Connect all."""
        program = str(native.program("websocket_clients", sys.executable))
        with nullcontext() if self._core is None else pinned(self._core):
            self._process = subprocess.Popen(
                [program, *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        try:
            self.deflated = self._answer(PATIENCE)["deflate"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let them say goodbye."""
        self._end()

    def go_on(self, seconds: float) -> dict[str, Any]:
        """Let them send, or rest, for so long; return what they counted."""
        return self._ask(f"for {round(seconds * 1000)}", seconds)

    def count(self, messages: int) -> dict[str, Any]:
        """Let them send until so many messages, or a few more, have come back."""
        return self._ask(f"count {messages}", PATIENCE)

    def _ask(self, line: str, seconds: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it says why on stderr
        return self._answer(seconds + PATIENCE)

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        killer = threading.Timer(seconds, self._process.kill)
        killer.start()
        line = self._process.stdout.readline()
        killer.cancel()
        if not line:
            said = self._process.stderr.read().strip()
            raise ServerError(f"websocket_clients: {said or 'it hangs'}")
        told: dict[str, Any] = json.loads(line)
        return told

    def _end(self) -> None:
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
