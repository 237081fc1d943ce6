# SPDX-License-Identifier: MIT
"""What users of uvloop have asked for or stumbled over, one by one, and the tests that hold it here.

The numbers of its issues stand with each. What is not said by a test elsewhere has one below the
table; what cannot apply says why.
"""

from __future__ import annotations

import ast
import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

import cuvee
from tests.loop.streams_support import Recorder, connected_to_socket, on_both_loops, run_on
from tests.loop.support import ROOT

HERE = Path(__file__).name

# What, and the tests as file::name, or a sentence on why there is none.
PAINS: dict[int, tuple[str, list[str] | str]] = {
    1: (
        "Windows (14, 326, 352, 448, 536, 652)",
        "cuvee is for Linux and macOS: the README says so under Platforms.",
    ),
    2: (
        "sendfile and sock_sendfile (228, 549)",
        ["test_streams_flow.py::test_sendfile", "test_sock.py::test_sendfile"],
    ),
    3: (
        "sock_sendto, sock_recvfrom, sock_recvfrom_into (561, 655)",
        ["test_sock.py::test_datagrams"],
    ),
    4: (
        "happy_eyeballs_delay, interleave, all_errors (406)",
        [
            "test_connecting.py::test_the_next_address_is_tried_while_the_first_one_is_silent",
            "test_connecting.py::test_families_take_turns",
            "test_connecting.py::test_all_errors",
        ],
    ),
    5: (
        "Server.close_clients, abort_clients, and what wait_closed waits for (683)",
        [
            "test_streams_server.py::test_server_closes_its_clients",
            "test_streams_server.py::test_wait_closed_waits_for_the_connections",
        ],
    ),
    6: (
        "keyword arguments of create_task (718, 746, 754)",
        [f"{HERE}::test_keywords_of_create_task", "test_tasks.py::test_eager_tasks_by_hand"],
    ),
    7: (
        "a new Python is supported late (547, 622, 637, 690)",
        [
            "test_asyncio_private.py::test_no_name_is_missing",
            "test_asyncio_private.py::test_a_loop_has_a_place_for_every_field_of_asyncio",
        ],
    ),
    8: ("get_event_loop() without a policy of its own (702)", [f"{HERE}::test_get_event_loop"]),
    9: (
        "an error for write() after the end (506, 685)",
        ["test_streams.py::test_writes_after_the_end_are_ignored"],
    ),
    10: (
        "a TLS connection that was closed goes on receiving (471)",
        ["test_tls_ends.py::test_a_connection_that_is_closed_does_not_go_on_reading"],
    ),
    11: (
        "memory grows with TLS connections (220, 565)",
        ["test_tls_ends.py::test_connections_leave_nothing_behind"],
    ),
    12: (
        "start_tls() while reading is paused (564)",
        ["test_tls_ends.py::test_tls_begins_on_a_transport_that_is_paused"],
    ),
    13: ("writes wait for the end of the turn (631)", [f"{HERE}::test_a_write_is_sent_at_once"]),
    14: (
        "time() in whole milliseconds (233, 359)",
        [
            "test_timers.py::test_time_is_monotonic_time",
            "test_timers.py::test_order_is_that_of_the_deadlines",
        ],
    ),
    15: (
        "timers fire early (739)",
        ["test_timers.py::test_never_early", "test_timers.py::test_none_of_many_is_early"],
    ),
    16: (
        "call_later(0) returns no TimerHandle (482)",
        ["test_timers.py::test_a_delay_of_nothing_runs_in_the_next_turn"],
    ),
    17: (
        "the scope of an IPv6 address is lost (539)",
        ["test_connecting.py::test_the_scope_of_an_address_is_kept"],
    ),
    18: (
        "getaddrinfo() of an empty host (596)",
        ["test_connecting.py::test_names_are_found_as_socket_finds_them"],
    ),
    19: (
        "an interrupt is ignored, or hangs (295, 335)",
        [
            "test_signals.py::test_interrupt_while_the_loop_waits",
            "test_signals.py::test_interrupt_while_a_callback_runs",
            "test_signals.py::test_interrupt_of_a_busy_loop",
            "test_signals.py::test_a_second_interrupt_does_not_wait",
        ],
    ),
    20: (
        "preexec_fn blocks the loop; two loops cannot start processes at once (118, 508)",
        [
            "test_processes.py::test_a_function_runs_in_the_child_first",
            "test_processes.py::test_loops_in_two_threads_start_processes_at_once",
        ],
    ),
    21: (
        "the child watcher fails; a redirection to a bad descriptor (317, 414)",
        [
            "test_processes.py::test_a_child_that_somebody_else_waited_for",
            "test_processes.py::test_a_file_that_is_not_open_is_refused",
        ],
    ),
    22: (
        "subinterpreters crash with subprocesses (650)",
        ["test_processes.py::test_subinterpreters"],
    ),
    23: (
        "a crash when handles are closed (538, 649, 706)",
        [
            "test_close.py::test_closed_with_everything_open",
            "test_close.py::test_a_program_that_ends_with_its_loop",
            "test_streams.py::test_loop_that_closes_lets_go_of_its_transports",
        ],
    ),
    24: (
        "debug mode crashes in its own look at the stack (611, 715, 730)",
        [
            "test_debug.py::test_where_a_handle_was_made",
            "test_debug.py::test_everything_else_works",
        ],
    ),
    25: (
        "a descriptor is closed twice (645, 646, 738)",
        ["test_numbers.py::test_the_number_of_what_was_closed_is_let_alone"],
    ),
    26: (
        "so is that of connect_read_pipe (763)",
        [
            "test_numbers.py::test_the_number_of_what_was_closed_is_let_alone",
            "test_numbers.py::test_a_regular_file_is_no_pipe",
        ],
    ),
    27: (
        "io_uring, where it is forbidden (752)",
        ["test_numbers.py::test_a_loop_where_io_uring_is_forbidden"],
    ),
    28: (
        "published numbers are old (566)",
        "Numbers are measured and rendered by benchmarks/, with their date.",
    ),
    29: (
        "Unix datagrams, SCTP, slow UDP (196, 214, 304, 467)",
        [
            "test_datagrams.py::test_datagrams_go_both_ways",
            "test_datagrams.py::test_unix_sockets_with_names",
        ],
    ),
    30: (
        "statistics of handles and tasks (103, 485)",
        "A wish for what asyncio has not either, beside all_tasks() and its debug mode.",
    ),
    31: (
        "the context of connection_made; connection_lost is not called (305, 552)",
        [
            "test_streams.py::test_callbacks_run_in_the_context_of_creation",
            "test_streams.py::test_connection_lost_comes_later_and_once",
        ],
    ),
    32: (
        "the path of a Unix server stays; wheels for armv7 (28, 635)",
        ["test_streams_server.py::test_unix_path_goes_with_its_server"],
    ),
    33: (
        "improvements wait for years (619, 626, 726)",
        "A matter of who works on uvloop.",
    ),
    34: (
        "internal types crash when they are made by hand (760, 765)",
        [
            "test_core_types.py::test_made_with_anything",
            "test_call_soon.py::test_handles_cannot_be_made_by_hand",
        ],
    ),
    35: (
        "an idle loop spins on rounded timers (zeroconf)",
        ["test_close.py::test_a_loop_that_waits_makes_no_system_calls"],
    ),
}


def functions_in(name: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / "loop" / name).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_item_has_its_tests_or_a_reason() -> None:
    assert list(PAINS) == list(range(1, 36))
    for _, tests in PAINS.values():
        assert tests
        for test in tests if isinstance(tests, list) else []:
            file, _, name = test.partition("::")
            assert name in functions_in(file), test


@on_both_loops
@pytest.mark.parametrize("debug", [False, True])
def test_a_write_is_sent_at_once(factory, debug: bool) -> None:
    """Not at the end of the turn: who computes on after it does not hold it back."""

    async def main() -> None:
        asyncio.get_running_loop().set_debug(debug)
        transport, peer = await connected_to_socket(Recorder())
        transport.write(b"first")
        assert peer.recv(100) == b"first"
        transport.writelines([b"sec", b"ond"])
        assert peer.recv(100) == b"second"
        transport.close()
        peer.close()

    run_on(factory, main())


class Given:
    """What a task factory was given, and what came of it."""

    def __init__(self, factory: Any, with_factory: bool, keywords: dict[str, Any]) -> None:
        self.keywords: list[str] = []
        with asyncio.Runner(loop_factory=factory) as runner:
            self.result = runner.run(self.main(with_factory, keywords))

    def make(self, loop: Any, coro: Any, **keywords: Any) -> asyncio.Task[Any]:
        self.keywords = sorted(keywords)
        keywords.pop("other", None)
        return asyncio.Task(coro, loop=loop, **keywords)

    async def main(self, with_factory: bool, keywords: dict[str, Any]) -> object:
        async def work() -> str:
            return "done"

        loop: Any = asyncio.get_running_loop()
        loop.set_task_factory(self.make if with_factory else None)
        coroutine = work()
        try:
            task = loop.create_task(coroutine, **keywords)
        except TypeError:
            coroutine.close()
            return TypeError
        was_done = task.done()
        await task
        return was_done, task.get_name() if keywords.get("name") else None


@pytest.mark.parametrize("with_factory", [False, True])
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"name": "name"},
        {"name": None, "context": None},
        {"eager_start": True},
        {"eager_start": False, "name": "name"},
        {"other": 1},
    ],
    ids=lambda keywords: "-".join(keywords) or "none",
)
def test_keywords_of_create_task(with_factory: bool, keywords: dict[str, Any]) -> None:
    """They go where those of the running version's own loop go; what asyncio.Task takes may be said
    from 3.12 on, while asyncio's loop takes it in some versions only."""
    ours = Given(cuvee.new_event_loop, with_factory, keywords)
    theirs = Given(asyncio.SelectorEventLoop, with_factory, keywords)
    if theirs.result is TypeError and "eager_start" in keywords and sys.version_info >= (3, 12):
        eager = not with_factory and (keywords["eager_start"], keywords.get("name"))
        assert ours.result in (eager, TypeError)
        assert (ours.result is TypeError) is with_factory
    else:
        assert (ours.result, ours.keywords) == (theirs.result, theirs.keywords)


def test_get_event_loop() -> None:
    """Within a coroutine, and for who has set one; a policy of cuvee's own is not needed."""

    async def current() -> asyncio.AbstractEventLoop:
        return asyncio.get_event_loop()

    with asyncio.Runner(loop_factory=cuvee.new_event_loop) as runner:
        assert runner.run(current()) is runner.get_loop()
    loop = cuvee.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        assert asyncio.get_event_loop() is loop
        assert loop.run_until_complete(current()) is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    if sys.version_info >= (3, 14):
        with pytest.raises(RuntimeError, match="no current event loop"):
            asyncio.get_event_loop()
