# SPDX-License-Identifier: MIT
"""The demo application inside every event loop; its own test, beside it, runs it by the command."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.frameworks.support import ON_EVERY_LOOP, at_once, client_of

MAIN = Path(__file__).resolve().parents[2] / "examples" / "fastapi_demo" / "main.py"


@pytest.fixture(scope="module")
def demo() -> Iterator[Any]:
    """The demo's application."""
    name = "fastapi_demo_main"
    spec = importlib.util.spec_from_file_location(name, MAIN)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.app
    del sys.modules[name]


@ON_EVERY_LOOP
def test_the_demo_runs_inside_any_loop(serve: Serve, demo: Any, loop_kind: str) -> None:
    with serve(demo, lifespan="on") as server, client_of(server) as client:
        assert client.get("/api/hello").json()["loop"] == loop_kind
        assert client.post("/api/items", json={"name": "cork", "price": 2}).status_code == 201
        assert client.get("/api/journal", params={"count": 1}).json() == ["cork at 2.00"]
        assert client.post("/api/items", json={"name": ""}).status_code == 422
        paths = ["/api/hello", "/api/stream?lines=3&interval=0", "/api/sync?pause=0", "/"] * 5
        assert {answer.status_code for answer in at_once(server, paths)} == {200}
