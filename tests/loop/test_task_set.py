# SPDX-License-Identifier: MIT
"""asyncio's set of all tasks behaves as it did before its two methods were replaced."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import pytest

import cuvee
from cuvee import _asyncio_private as private
from tests.loop.support import turn

pytestmark = pytest.mark.skipif(private.task_set is None, reason="3.14 has no such set")


async def wait() -> None:
    """Wait for a turn."""
    await asyncio.sleep(0)


def count() -> int:
    """Return how many references the set holds, dead ones included."""
    tasks: Any = private.task_set
    return len(tasks.data)


def is_known(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> bool:
    """Tell whether a task is the one that asyncio lists; an assert would keep it alive."""
    return asyncio.all_tasks(loop) == {task}


def test_the_methods_are_replaced_once(own_loop: asyncio.AbstractEventLoop) -> None:
    tasks: Any = private.task_set
    methods = (tasks.add, tasks._remove)
    assert not any(hasattr(method, "__code__") for method in methods)
    cuvee.new_event_loop().close()
    assert (tasks.add, tasks._remove) == methods


def test_a_task_is_known_until_it_dies(own_loop: asyncio.AbstractEventLoop) -> None:
    before = count()
    task = own_loop.create_task(wait())
    assert is_known(own_loop, task)
    assert count() == before + 1
    turn(own_loop, 2)
    assert asyncio.all_tasks(own_loop) == set()
    assert count() == before + 1
    del task
    assert count() == before


def test_what_dies_during_an_iteration_leaves_after_it(own_loop: asyncio.AbstractEventLoop) -> None:
    tasks: Any = private.task_set
    kept, dying = own_loop.create_task(wait()), own_loop.create_task(wait())
    turn(own_loop, 2)
    before = count()
    iterator = iter(tasks)
    assert any(task is kept for task in iterator)
    del dying
    assert count() == before
    assert len(tasks) == before - 1
    iterator.close()
    assert count() == before - 1
    del kept


def test_adding_sweeps_what_waits_to_be_removed(own_loop: asyncio.AbstractEventLoop) -> None:
    tasks: Any = private.task_set
    dead = own_loop.create_task(wait())
    turn(own_loop, 2)
    tasks._pending_removals.append(weakref.ref(dead))
    before = count()
    task = own_loop.create_task(wait())
    assert tasks._pending_removals == []
    assert count() == before
    turn(own_loop, 2)
    del task


def test_only_what_can_be_referenced_weakly_is_added() -> None:
    tasks: Any = private.task_set
    cuvee.new_event_loop().close()
    with pytest.raises(TypeError):
        tasks.add(1)
