# SPDX-License-Identifier: MIT
"""What a program does with the loop, and a server's whole life, leave nothing in the process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.leaks.conftest import Effort
from tests.leaks.loop_scenarios import NAMES
from tests.support.measured import ROOT, Measure


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left(effort: Effort, name: str) -> None:
    command = [sys.executable, "-m", "tests.leaks.loop_scenarios", name]
    for number in range(3):  # a leak is there each time; caches and free lists settle in the end
        counts = [str(effort.warm_up + number * effort.runs), str(effort.runs)]
        output = subprocess.run(
            [*command, *counts], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=290
        )
        before, after = (Measure(**measured) for measured in json.loads(output.stdout))
        grown = effort.grown(before, after)
        if not grown:
            return
    raise AssertionError(f"after {effort.runs} runs more: {grown}")
