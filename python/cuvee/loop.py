# SPDX-License-Identifier: MIT
"""The event loop: asyncio's, on libuv, with the parts that run per callback or per packet in C.

`cuvee.loop.run(main())` runs a program on it, as `asyncio.run` does; `cuvee.new_event_loop` is a
`loop_factory` for `asyncio.Runner`, `asyncio.run` and test runners.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from cuvee import _asyncio_private as private
from cuvee._names import NamesMixin
from cuvee._signals import SignalsMixin
from cuvee._streams import StreamsMixin

__all__ = ["Loop", "new_event_loop", "run"]

T = TypeVar("T")


class Loop(SignalsMixin, StreamsMixin, NamesMixin, private.UnixParts):  # type: ignore[misc]  # positional in C
    """An asyncio event loop.

    What runs often is inherited from `_core.LoopCore`, in C; what runs once per connection attempt,
    server or program is inherited from `asyncio.BaseEventLoop`.
    """

    # Every field that every loop has: none of them makes a dict, so that what asyncio and its
    # programs ask of a loop for each task and timer is not looked for in one.
    __slots__ = (
        *private.BASE_FIELDS,
        "_acceptors",
        "_former_wakeup_fd",
        "_held_sockets",
        "_open_streams",
        "_signal_handlers",
        "_tls_memory",
        "_unix_server_sockets",
        "_watcher",
    )

    def __init__(self) -> None:
        super().__init__()
        self._transports: weakref.WeakValueDictionary[int, asyncio.BaseTransport] = (
            weakref.WeakValueDictionary()
        )
        self._watcher = private.new_child_watcher()

    def run_forever(self) -> None:
        """Run until `stop()` is called."""
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        former_hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(
            firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook
        )
        try:
            private.set_running_loop(self)
            self._signals_start()
            self._run()
        finally:
            self._stopping = False
            private.set_running_loop(None)
            self._signals_stop()
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*former_hooks)

    def close(self) -> None:
        """Close the loop and everything that still stands on it; it must not be running."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        self._signals_close()
        self._release_sockets()
        super().close()  # the default executor and the flag
        self._close_core()

    if sys.version_info < (3, 12):

        def set_exception_handler(
            self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
        ) -> None:
            """Set the function that is told of errors that nobody awaits; None for the default."""
            super().set_exception_handler(handler)
            self._given_exception_handler = handler
            if handler is not None:
                self._exception_handler = private.call_in_context_of(handler)

        def get_exception_handler(
            self,
        ) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None:
            """Return what was given to `set_exception_handler`, or None."""
            return getattr(self, "_given_exception_handler", None)


def new_event_loop() -> Loop:
    """Return a new event loop."""
    return Loop()


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine in a new event loop of this kind, as `asyncio.run` does in asyncio's own."""
    if private.get_running_loop() is not None:  # which a runner would trip over
        raise RuntimeError("cuvee.loop.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)
