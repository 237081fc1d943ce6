# SPDX-License-Identifier: MIT
"""A server process on cuvee's loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.measured import MeasuredServer


@pytest.fixture
def server() -> Iterator[MeasuredServer]:
    """A server process with the applications of this folder, warmed up."""
    with MeasuredServer("tests.flow.applications:FlowApplication") as running:
        for _ in range(20):
            running.served()
        yield running
