# SPDX-License-Identifier: MIT
"""WSGI applications behind a server, on cuvee's loop and on a foreign one."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conftest import Serve


@pytest.fixture(params=["cuvee", "asyncio"])
def loop_kind(request: pytest.FixtureRequest) -> str:
    """The event loop that the server runs on."""
    kind: str = request.param
    return kind


@pytest.fixture
def serve_wsgi(serve: Serve) -> Serve:
    """`with serve_wsgi(app, **config) as server:` serves a WSGI application."""
    return partial(serve, interface="wsgi")
