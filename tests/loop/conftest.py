# SPDX-License-Identifier: MIT
"""Loops for the tests: what asyncio promises is checked on its own loop too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

import cuvee
from tests.loop.support import Contexts

MakeLoop = Callable[[], asyncio.AbstractEventLoop]
FACTORIES: dict[str, MakeLoop] = {
    "cuvee": cuvee.new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}


@pytest.fixture(params=FACTORIES)
def loop_factory(request: pytest.FixtureRequest) -> MakeLoop:
    """What makes a loop; the test closes it."""
    return FACTORIES[request.param]


def _closing(factory: MakeLoop) -> Iterator[asyncio.AbstractEventLoop]:
    loop = factory()
    yield loop
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def loop(loop_factory: MakeLoop) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of cuvee's, then one of asyncio's, closed after the test."""
    yield from _closing(loop_factory)


@pytest.fixture
def own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of cuvee's, for what it promises beyond asyncio."""
    yield from _closing(cuvee.new_event_loop)


@pytest.fixture
def contexts(loop: asyncio.AbstractEventLoop) -> Contexts:
    """What the exception handler of `loop` is told."""
    contexts = Contexts()
    loop.set_exception_handler(contexts.keep)
    return contexts
