# SPDX-License-Identifier: MIT
"""How often a scenario runs, and how much a process may have grown by then."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.measured import Measure

BLOCKS = 50
REFERENCES = 50
RSS = 256 * 1024


@dataclass(frozen=True)
class Effort:
    """How often a scenario runs before the first measurement and between it and the second."""

    warm_up: int
    runs: int
    full: bool

    def grown(self, before: Measure, after: Measure) -> dict[str, int]:
        """Return what grew by more than it may, and by how much.

        A short run has not warmed the allocator up: resident memory says something in full runs only.
        """
        grown = {
            "allocated blocks": (after.blocks - before.blocks, BLOCKS),
            "references": ((after.refs or 0) - (before.refs or 0), REFERENCES),
            "descriptors": (after.fds - before.fds, 0),
            "threads": (after.threads - before.threads, 0),
        }
        if self.full:
            grown["resident bytes"] = (after.rss - before.rss, RSS)
        return {what: by for what, (by, limit) in grown.items() if by > limit}


@pytest.fixture
def effort(request: pytest.FixtureRequest) -> Effort:
    """2,000 and 8,000 runs with --full, a tenth of that without."""
    full: bool = request.config.getoption("--full")
    return Effort(2000, 8000, True) if full else Effort(200, 800, False)
