# SPDX-License-Identifier: MIT
"""The dict of limits that the C server is given: it checks for itself what would do harm."""

from __future__ import annotations

from typing import Any

import pytest

import cuvee
from cuvee import _core
from cuvee.option_groups import LIMITS
from tests.server import applications


def make(limits: Any) -> dict[str, int]:
    """Make a server with these limits, and return its counters."""
    loop = cuvee.new_event_loop()
    try:
        core = _core.Server(applications.hello, loop, limits=limits, log=print)
        try:
            return core.limited
        finally:
            core.close()
    finally:
        loop.close()


def test_each_limit_is_known() -> None:
    counters = make(dict.fromkeys(LIMITS, 1))
    assert set(counters.values()) == {0}
    assert counters == make(None) == make({})


@pytest.mark.parametrize(
    ("limits", "kind", "message"),
    [
        ([], TypeError, "limits must be a dict or None"),
        ({"limit_nothing": 1}, TypeError, "there is no limit 'limit_nothing'"),
        ({1: 1}, TypeError, "there is no limit 1"),
        ({"limit_request_line": "1"}, TypeError, "must be real number, not str"),
        ({"limit_request_line": 0}, ValueError, "limit_request_line is out of range: 0"),
        ({"limit_max_requests": 0}, ValueError, "limit_max_requests is out of range: 0"),
        ({"limit_request_fields": 257}, ValueError, "limit_request_fields is out of range: 257"),
        ({"timeout_body": -0.5}, ValueError, "timeout_body is out of range: -0.5"),
        ({"timeout_body": float("nan")}, ValueError, "timeout_body is out of range: nan"),
        ({"timeout_body": 1e10}, ValueError, "timeout_body is out of range: 10000000000.0"),
    ],
)
def test_wrong_limits(limits: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        make(limits)
    assert str(caught.value) == message
