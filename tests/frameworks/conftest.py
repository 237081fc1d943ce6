# SPDX-License-Identifier: MIT
"""What several of the framework tests are given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with static files."""
    (tmp_path / "small.txt").write_text("small")
    (tmp_path / "large.bin").write_bytes(os.urandom(1 << 20))
    return tmp_path
