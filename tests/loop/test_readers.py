# SPDX-License-Identifier: MIT
"""add_reader, add_writer and their removal, also with descriptors that are closed meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.loop.support import Contexts, turn

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
Pair = tuple[socket.socket, socket.socket]


class Numbered:
    """A file object, as far as fileno() goes."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def fileno(self) -> Any:
        """Return what it was made with."""
        return self.number


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets."""
    first, second = socket.socketpair()
    first.setblocking(False)
    second.setblocking(False)
    yield first, second
    first.close()
    second.close()


def turn_after_events(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is readable or writable now; asyncio's loop queues it in one turn and runs it."""
    turn(loop, 2)


def test_reader(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    here, there = pair
    got: list[bytes] = []

    def read() -> None:
        got.append(here.recv(100))
        loop.stop()

    loop.add_reader(here, read)
    turn(loop, 3)
    assert got == []
    for message in (b"one", b"two"):
        there.send(message)
        loop.run_forever()
    assert got == [b"one", b"two"]
    assert loop.remove_reader(here) is True
    assert loop.remove_reader(here) is False
    there.send(b"three")
    turn(loop, 3)
    assert got == [b"one", b"two"]


def test_a_reader_is_called_as_long_as_there_is_data(
    loop: asyncio.AbstractEventLoop, pair: Pair
) -> None:
    here, there = pair
    got: list[bytes] = []

    def read() -> None:
        got.append(here.recv(1))
        if len(got) == 5:
            loop.stop()

    loop.add_reader(here.fileno(), read)
    there.send(b"abcde")
    loop.run_forever()
    assert b"".join(got) == b"abcde"
    loop.remove_reader(here.fileno())


def test_a_reader_that_reads_nothing_does_not_hold_up_others(
    loop: asyncio.AbstractEventLoop, pair: Pair
) -> None:
    here, there = pair
    calls: list[str] = []
    loop.add_reader(here, calls.append, "read")
    there.send(b"data")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert len(calls) > 1
    loop.remove_reader(here)


def test_end_of_file(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    here, there = pair
    got: list[bytes] = []

    def read() -> None:
        got.append(here.recv(10))
        loop.remove_reader(here)
        loop.stop()

    loop.add_reader(here, read)
    loop.call_soon(there.close)
    loop.run_forever()
    assert got == [b""]


def test_writer(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    here, there = pair
    while True:
        try:
            here.send(bytes(65536))
        except BlockingIOError:
            break
    calls: list[str] = []

    def write() -> None:
        calls.append("writable")
        loop.stop()

    loop.add_writer(here, write)
    turn(loop, 3)
    assert calls == []

    def drain() -> None:
        try:
            while there.recv(65536):
                pass
        except BlockingIOError:
            pass

    loop.call_soon(drain)
    loop.run_forever()
    assert calls == ["writable"]
    assert loop.remove_writer(here) is True
    assert loop.remove_writer(here) is False
    turn(loop, 3)
    assert calls == ["writable"]


def test_reader_and_writer_of_one_descriptor(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    here, there = pair
    calls: list[str] = []
    loop.add_reader(here, calls.append, "read")
    loop.add_writer(here, calls.append, "write")
    turn_after_events(loop)
    assert set(calls) == {"write"}
    there.send(b"data")
    calls.clear()
    turn(loop)
    assert calls == ["read", "write"]
    loop.remove_writer(here)
    calls.clear()
    turn_after_events(loop)
    assert set(calls) == {"read"}
    loop.add_writer(here, calls.append, "write")
    loop.remove_reader(here)
    calls.clear()
    turn_after_events(loop)
    assert set(calls) == {"write"}
    assert loop.remove_reader(here) is False
    assert loop.remove_writer(here) is True


def test_pipe(loop: asyncio.AbstractEventLoop) -> None:
    reading, writing = os.pipe()
    calls: list[str] = []
    loop.add_reader(reading, calls.append, "read")
    loop.add_writer(writing, calls.append, "write")
    turn_after_events(loop)
    assert set(calls) == {"write"}
    os.write(writing, b"data")
    loop.remove_writer(writing)
    calls.clear()
    turn_after_events(loop)
    assert set(calls) == {"read"}
    os.read(reading, 10)
    calls.clear()
    turn_after_events(loop)
    assert calls == []
    os.close(writing)
    turn_after_events(loop)
    assert set(calls) == {"read"}
    loop.remove_reader(reading)
    os.close(reading)


def test_a_writer_learns_that_the_reading_end_is_gone(loop: asyncio.AbstractEventLoop) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    loop.add_writer(writing, loop.stop)
    loop.call_soon(os.close, reading)
    loop.run_forever()
    loop.remove_writer(writing)
    os.close(writing)


def test_a_new_callback_takes_the_place_of_the_old(
    loop: asyncio.AbstractEventLoop, pair: Pair
) -> None:
    here, there = pair
    calls: list[str] = []

    class Callback:
        def __call__(self) -> None:
            calls.append("old")

    old = Callback()
    reference = weakref.ref(old)
    loop.add_reader(here, old)
    del old
    loop.add_reader(here.fileno(), calls.append, "new")
    assert reference() is None
    there.send(b"data")
    turn_after_events(loop)
    assert set(calls) == {"new"}
    assert loop.remove_reader(here) is True
    assert loop.remove_reader(here) is False


def test_a_callback_that_is_replaced_in_the_turn_of_its_event(
    loop: asyncio.AbstractEventLoop, pair: Pair
) -> None:
    here, there = pair
    calls: list[str] = []
    loop.add_reader(here, calls.append, "old")
    loop.call_soon(loop.add_reader, here, calls.append, "new")
    there.send(b"data")
    turn(loop, 3)
    assert set(calls) == {"new"}
    loop.remove_reader(here)


def test_one_that_removes_the_other(loop: asyncio.AbstractEventLoop) -> None:
    """Both are readable in the same turn; the first callback takes out all, and is the last."""
    pairs = [socket.socketpair() for _ in range(5)]
    calls: list[int] = []

    def read(number: int) -> None:
        calls.append(number)
        for here, _ in pairs:
            loop.remove_reader(here)

    for number, (here, there) in enumerate(pairs):
        loop.add_reader(here, read, number)
        there.send(b"data")
    turn(loop, 3)
    assert len(calls) == 1
    for here, there in pairs:
        here.close()
        there.close()


def test_many_descriptors(loop: asyncio.AbstractEventLoop) -> None:
    """More than one fetch of events takes."""
    pairs = [socket.socketpair() for _ in range(400)]
    calls: set[int] = set()

    def read(number: int) -> None:
        calls.add(number)
        pairs[number][0].recv(10)
        if len(calls) == len(pairs):
            loop.stop()

    for number, (here, there) in enumerate(pairs):
        loop.add_reader(here, read, number)
        there.send(b"data")
    loop.run_forever()
    for here, there in pairs:
        assert loop.remove_reader(here)
        here.close()
        there.close()


def test_context_is_that_of_the_call(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    here, _ = pair
    seen: list[str] = []

    def write() -> None:
        seen.append(variable.get())
        variable.set(f"{variable.get()}+")
        loop.stop()

    token = variable.set("of add_writer")
    loop.add_writer(here, write)
    variable.reset(token)
    loop.run_forever()
    loop.run_forever()
    loop.remove_writer(here)
    assert seen == ["of add_writer", "of add_writer+"]
    assert variable.get() == "unset"


def test_a_callback_that_fails_is_called_again(
    loop: asyncio.AbstractEventLoop, contexts: Contexts, pair: Pair
) -> None:
    here, there = pair

    def read() -> None:
        if len(contexts) == 3:
            loop.stop()
        raise LookupError("in the reader")

    loop.add_reader(here, read)
    there.send(b"data")
    loop.run_forever()
    loop.remove_reader(here)
    assert {type(context["exception"]) for context in contexts} == {LookupError}


# ---- what cannot be watched ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [-1, "1", None, 1.5, Numbered("x"), Numbered(None), Numbered(-1), object()],
    ids=["negative", "str", "None", "float", "gives str", "gives None", "gives -1", "object"],
)
def test_what_is_no_descriptor(loop: asyncio.AbstractEventLoop, file: Any) -> None:
    for method in (loop.add_reader, loop.add_writer):
        with pytest.raises(ValueError):
            method(file, print)
    for remove in (loop.remove_reader, loop.remove_writer):
        with pytest.raises(ValueError):
            remove(file)


@pytest.mark.parametrize("number", [500, 70_000, 10**8, 2**30, 2**31 - 1])
def test_numbers_that_are_not_open(loop: asyncio.AbstractEventLoop, number: int) -> None:
    """However large, they cost nothing."""
    for file in (number, Numbered(number)):
        for method in (loop.add_reader, loop.add_writer):
            with pytest.raises(OSError, match="Bad file descriptor"):
                method(file, print)
        assert loop.remove_reader(file) is False
        assert loop.remove_writer(file) is False


def test_a_number_that_is_too_large(loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(OverflowError):
        loop.add_reader(2**70, print)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="kqueue watches regular files")
def test_a_regular_file(loop: asyncio.AbstractEventLoop) -> None:
    with tempfile.TemporaryFile() as file:
        for method in (loop.add_reader, loop.add_writer):
            with pytest.raises(PermissionError):
                method(file, print)
        assert loop.remove_reader(file) is False
        turn(loop, 2)


def test_without_a_callback(loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(TypeError):
        loop.add_reader(0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        loop.remove_reader()  # type: ignore[call-arg]


def test_a_descriptor_of_a_transport_is_refused(
    loop: asyncio.AbstractEventLoop, pair: Pair
) -> None:
    here, _ = pair

    async def main() -> None:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        number = transport.get_extra_info("socket").fileno()
        for call in (loop.add_reader, loop.add_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                call(number, print)
        for remove in (loop.remove_reader, loop.remove_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                remove(number)
        transport.abort()
        await asyncio.sleep(0)

    loop.run_until_complete(main())


# ---- descriptors that are closed behind the loop's back ------------------------------------------


def test_closed_while_it_is_watched(loop: asyncio.AbstractEventLoop) -> None:
    reading, writing = os.pipe()
    calls: list[str] = []
    loop.add_reader(reading, calls.append, "read")
    os.write(writing, b"data")
    os.close(reading)
    turn(loop, 3)
    assert calls == []
    assert loop.remove_reader(reading) is True
    assert loop.remove_reader(reading) is False
    os.close(writing)


def test_closed_before_the_loop_has_turned(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(10):
        ends = os.pipe()
        loop.add_reader(ends[0], print)
        loop.add_writer(ends[1], print)
        for end in ends:
            os.close(end)
    turn(loop, 3)


def test_closed_and_watched_again(own_loop: asyncio.AbstractEventLoop) -> None:
    """The number is not open any more: refused, and the loop goes on."""
    reading, writing = os.pipe()
    own_loop.add_reader(reading, print)
    os.close(reading)
    with pytest.raises(OSError, match="Bad file descriptor"):
        own_loop.add_reader(reading, print)
    assert own_loop.remove_reader(reading) is False
    turn(own_loop, 2)
    os.close(writing)


def test_a_socket_that_was_closed_is_still_removed(loop: asyncio.AbstractEventLoop) -> None:
    """By the object, which no longer knows its number."""
    here, there = socket.socketpair()
    loop.add_reader(here, print)
    here.close()
    assert loop.remove_reader(here) is True
    there.close()
    turn(loop, 2)


def test_the_number_comes_back_as_another_file(own_loop: asyncio.AbstractEventLoop) -> None:
    """The new file is watched as if the old had never been, whether or not that was removed.

    What libpq's users do: the library closes and opens its socket on its own.
    """
    calls: list[str] = []
    for removed in (True, False):
        old, other = os.pipe()
        new, there = socket.socketpair()
        own_loop.add_reader(old, calls.append, "old")
        turn(own_loop)
        os.close(old)
        if removed:
            own_loop.remove_reader(old)
        os.dup2(new.fileno(), old)
        own_loop.add_reader(old, calls.append, "new")
        there.send(b"data")
        turn(own_loop, 2)
        assert set(calls) == {"new"}
        assert own_loop.remove_reader(old) is True
        calls.clear()
        turn(own_loop, 2)
        assert calls == []
        os.close(old)
        os.close(other)
        new.close()
        there.close()


def test_a_duplicate_keeps_the_file_open(own_loop: asyncio.AbstractEventLoop) -> None:
    """Then epoll still reports the closed number; nothing must come of it but the old callback."""
    reading, writing = os.pipe()
    duplicate = os.dup(reading)
    calls: list[str] = []
    own_loop.add_reader(reading, calls.append, "old")
    os.close(reading)
    os.write(writing, b"data")
    turn(own_loop, 3)
    own_loop.remove_reader(reading)
    calls.clear()
    os.dup2(duplicate, reading)
    own_loop.add_reader(reading, calls.append, "new")
    turn(own_loop, 2)
    assert set(calls) == {"new"}
    assert own_loop.remove_reader(reading) is True
    for end in (reading, writing, duplicate):
        os.close(end)


def test_closed_in_the_callback(loop: asyncio.AbstractEventLoop) -> None:
    pairs = [socket.socketpair() for _ in range(10)]
    calls: list[int] = []

    def read(number: int) -> None:
        calls.append(number)
        pairs[number][0].close()
        loop.remove_reader(pairs[number][0])

    for number, (here, there) in enumerate(pairs):
        loop.add_reader(here, read, number)
        there.send(b"data")
    turn(loop, 3)
    assert sorted(calls) == list(range(10))
    for _, there in pairs:
        there.close()


def test_watched_by_two_loops(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    here, there = pair
    other = asyncio.SelectorEventLoop()
    calls: list[str] = []
    loop.add_reader(here, calls.append, "one")
    other.add_reader(here, calls.append, "two")
    there.send(b"data")
    turn(loop)
    turn(other)
    assert calls == ["one", "two"]
    loop.remove_reader(here)
    other.remove_reader(here)
    other.close()


def test_a_closed_loop(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    here, _ = pair
    loop.add_reader(here, print)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_reader(here, print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_writer(here, print)
    assert loop.remove_reader(here) is False
    assert loop.remove_writer(here) is False
