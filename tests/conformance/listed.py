# SPDX-License-Identifier: MIT
"""A suite's tests as pytest's parameters: those on its list have to fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from tests.conformance.process import LIMIT, SHORT_LIMIT


def parameters(names: Iterable[str], left_out: Mapping[str, str]) -> list[object]:
    """Give each test a name and the seconds that it has."""
    given: list[object] = []
    for name in names:
        reason = left_out.get(name)
        marks = [] if reason is None else [pytest.mark.xfail(strict=True, reason=reason)]
        limit = LIMIT if reason is None else SHORT_LIMIT
        given.append(pytest.param(name, limit, marks=marks, id=name))
    return given
