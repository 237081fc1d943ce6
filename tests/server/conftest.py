# SPDX-License-Identifier: MIT
"""The loops that a server is embedded in, and what it reloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.embedded import LoopFactory
from tests.support.reload_project import Project
from tests.support.server import LOOPS, loop_factory, missing_loop


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> LoopFactory:
    """Makes each kind of loop that a server works on."""
    reason = missing_loop(request.param)
    if reason:
        pytest.skip(reason)
    return loop_factory(request.param)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An application in a folder of its own."""
    path = tmp_path / "project"
    path.mkdir()
    return Project(path)
