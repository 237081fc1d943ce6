# SPDX-License-Identifier: MIT
"""The clock in an app: its steps count, what the server does in between does not."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TIMED = Path(__file__).resolve().parents[2] / "benchmarks" / "apps" / "timed.py"
HTTP = {"type": "http", "path": "/"}


class Now:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def timed(now: Now, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with an app that works 1 s, receives, works 2 s, sends, works 4 s."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        now.seconds += 1
        await receive()
        now.seconds += 2
        await send({"type": "http.response.body"})
        now.seconds += 4

    target = ModuleType("timed_target")
    target.app = app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timed_target", target)
    monkeypatch.setenv("TIMED_APP", "timed_target:app")
    monkeypatch.setenv("TIMED_CLOCK", "perf_counter")
    spec = spec_from_file_location("timed", TIMED)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "clock", now)
    return module


async def ask(timed: ModuleType) -> dict[str, float]:
    """What the app tells of its clock."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await timed.app({"type": "http", "path": "/-/inside"}, None, send)
    told: dict[str, float] = json.loads(sent[1]["body"])
    return told


def test_the_time_of_the_server_is_not_counted(timed: ModuleType, now: Now) -> None:
    async def receive() -> dict[str, Any]:
        now.seconds += 10
        # Others run meanwhile: a step of this request's app is not on.
        asyncio.get_running_loop().call_soon(lambda: setattr(now, "seconds", now.seconds + 100))
        await asyncio.sleep(0)
        now.seconds += 20
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        now.seconds += 40

    async def main() -> dict[str, float]:
        await timed.app(HTTP, receive, send)
        return await ask(timed)

    told = asyncio.run(main())
    assert told == {"seconds": 7.0, "requests": 1, "messages": 1}


def test_what_an_app_sends_to_others_is_the_servers_time_too(
    timed: ModuleType, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        sends.append(send)
        await receive()
        for other in sends:
            now.seconds += 1
            await other({"type": "websocket.send"})

    async def send(message: dict[str, Any]) -> None:
        now.seconds += 40

    async def main() -> dict[str, float]:
        said = asyncio.Event()
        scope = {"type": "websocket", "path": "/"}
        first = asyncio.create_task(timed.app(scope, asyncio.Event().wait, send))
        second = asyncio.create_task(timed.app(scope, said.wait, send))
        await asyncio.sleep(0)
        said.set()
        await second
        first.cancel()
        return await ask(timed)

    monkeypatch.setattr(timed, "timed_app", app)
    told = asyncio.run(main())
    assert told == {"seconds": 2.0, "requests": 1, "messages": 2}


def test_errors_of_the_server_reach_the_app(timed: ModuleType, now: Now) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(timed.app(HTTP, receive, None))


def test_cancellation_reaches_the_app(timed: ModuleType, now: Now) -> None:
    async def receive() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(timed.app(HTTP, receive, None))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
