# SPDX-License-Identifier: MIT
"""A server whose application is watched by a tool that changes the whole process: it has one of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess

FACTORIES = ["plain", "eager"]
"""Whether the loop has asyncio's factory for eager tasks before the tool comes."""


class Watched:
    """An HTTP client of such a server, and what the tool has recorded there."""

    def __init__(self, client: httpx.Client, question: str) -> None:
        self.client = client
        self._question = question
        self._recorded: list[Any] = []

    def recorded(self, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """Ask until that is enough, and return it; a tool records behind the end of an answer."""
        taken: list[Any] = []
        for _ in range(2000):
            taken += self.client.get(self._question).json()
            if enough(taken):
                return taken
        raise AssertionError(f"not enough: {taken}")


@contextmanager
def watched(module: str, factory: str, question: str) -> Iterator[Watched]:
    """Serve `application` of a module of this folder."""
    if factory == "eager" and sys.version_info < (3, 12):
        pytest.skip("tasks start eagerly from Python 3.12 on")
    environment = {"EAGER": "1"} if factory == "eager" else {}
    name = f"tests.frameworks.{module}:application"
    with ServerProcess(name, "--port", "0", env=environment) as process:
        base = f"http://127.0.0.1:{process.wait_until_running()}"
        with httpx.Client(base_url=base, timeout=WAIT, trust_env=False) as client:
            yield Watched(client, question)
        assert process.stop() == 0
