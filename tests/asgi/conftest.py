# SPDX-License-Identifier: MIT
"""Every ASGI promise is checked on cuvee's own loop and on two foreign ones."""

from __future__ import annotations

import pytest

from tests.support.server import LOOPS, missing_loop


@pytest.fixture(params=LOOPS)
def loop_kind(request: pytest.FixtureRequest) -> str:
    """The event loop that the server runs on."""
    kind: str = request.param
    reason = missing_loop(kind)
    if reason:
        pytest.skip(reason)
    return kind
