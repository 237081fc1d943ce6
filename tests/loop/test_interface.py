# SPDX-License-Identifier: MIT
"""A loop has every method of asyncio.AbstractEventLoop, and takes what the running version's takes."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Iterator
from functools import partial
from inspect import Parameter, Signature

import pytest

import cuvee

METHODS = [name for name, _ in inspect.getmembers(asyncio.AbstractEventLoop, inspect.isfunction)]


def differences(ours: Signature, theirs: Signature) -> Iterator[str]:
    """What a call that fits their signature may trip over in ours."""
    kinds = {parameter.kind for parameter in ours.parameters.values()}
    for name, wanted in theirs.parameters.items():
        found = ours.parameters.get(name)
        if wanted.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            if wanted.kind not in kinds:
                yield f"no {wanted}"
        elif found is None:
            if wanted.kind is not Parameter.KEYWORD_ONLY or Parameter.VAR_KEYWORD not in kinds:
                yield f"no {wanted}"
        elif found.kind not in (wanted.kind, Parameter.POSITIONAL_OR_KEYWORD):
            yield f"{name} is {found.kind.description}, not {wanted.kind.description}"
        elif found.default != wanted.default:
            yield f"{name} is {found.default} by default, not {wanted.default}"
    for name, found in ours.parameters.items():
        optional = found.default is not Parameter.empty or found.kind in (
            Parameter.VAR_POSITIONAL,
            Parameter.VAR_KEYWORD,
        )
        if name not in theirs.parameters and not optional:
            yield f"{name} has no default"


def positions(signature: Signature) -> list[str]:
    """The names of what may be given by position, in order."""
    by_position = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, one in signature.parameters.items() if one.kind in by_position]


def signature(kind: type, name: str) -> Signature:
    """How a method is called on a loop."""
    whole = inspect.signature(getattr(kind, name))
    return whole.replace(parameters=list(whole.parameters.values())[1:])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_there_with_its_signature(name: str) -> None:
    ours, theirs = signature(cuvee.Loop, name), signature(asyncio.SelectorEventLoop, name)
    assert list(differences(ours, theirs)) == []
    assert positions(ours)[: len(positions(theirs))] == positions(theirs)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_one_of_the_loop(name: str) -> None:
    """And not the abstract one, which raises NotImplementedError."""
    assert getattr(cuvee.Loop, name) is not getattr(asyncio.AbstractEventLoop, name)
    assert inspect.iscoroutinefunction(getattr(cuvee.Loop, name)) == inspect.iscoroutinefunction(
        getattr(asyncio.SelectorEventLoop, name)
    )


def test_differences_are_seen() -> None:
    def theirs(a, b=1, *args, c, d=None, **rest) -> None: ...
    def worse(a, /, b=2, *, c, e) -> None: ...
    def better(a, b=1, *args, c, d=None, e=5, **rest) -> None: ...

    assert list(differences(inspect.signature(worse), inspect.signature(theirs))) == [
        "a is positional-only, not positional or keyword",
        "b is 2 by default, not 1",
        "no *args",
        "no d=None",
        "no **rest",
        "e has no default",
    ]
    assert list(differences(inspect.signature(better), inspect.signature(theirs))) == []


def test_arguments_by_name() -> None:
    """Those of methods in C, whose signature is a text of ours."""
    loop = cuvee.new_event_loop()
    here, there = socket.socketpair()
    calls: list[str] = []

    async def work() -> str:
        return "task"

    try:
        there.send(b"x")
        loop.set_debug(enabled=True)
        assert loop.get_debug()
        loop.set_debug(enabled=False)
        loop.add_reader(fd=here, callback=partial(calls.append, "reader"))
        loop.add_writer(here, callback=partial(calls.append, "writer"))
        loop.call_soon(callback=partial(calls.append, "soon"))
        loop.call_later(callback=partial(calls.append, "later"), delay=0)
        loop.call_at(when=0, callback=partial(calls.append, "at"))
        loop.call_soon_threadsafe(callback=partial(calls.append, "threadsafe"))
        assert loop.run_until_complete(loop.create_task(coro=work())) == "task"  # type: ignore[call-arg]
        assert set(calls) == {"reader", "writer", "soon", "later", "at", "threadsafe"}
        assert loop.remove_reader(fd=here) and loop.remove_writer(fd=here)
    finally:
        loop.close()
        here.close()
        there.close()


@pytest.mark.parametrize("method", ["set_debug", "add_reader", "remove_reader", "create_task"])
def test_wrong_names(method: str) -> None:
    loop = cuvee.new_event_loop()
    try:
        for args, keywords in (
            ((), {}),
            ((), {"other": 1}),
            ((1,), {"fd": 1, "enabled": 1, "coro": 1}),
            ((1,), {"callback": print, "fd": 1, "enabled": 1, "coro": 1}),
            ((1, 2), {"other": 1}),
        ):
            with pytest.raises(TypeError, match=rf"({method}|Task)\(\)"):
                getattr(loop, method)(*args, **keywords)
    finally:
        loop.close()


def test_more_than_fifty_methods_are_compared() -> None:
    assert len(METHODS) > 50
