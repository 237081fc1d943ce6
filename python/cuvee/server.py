# SPDX-License-Identifier: MIT
"""One server from start to stop: uvicorn's `Server`, on the C server `_core.Server`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from types import FrameType
from typing import Any

from cuvee import _core
from cuvee import sockets as sockets_module
from cuvee.access_log import AccessRoute
from cuvee.config import STARTUP_FAILURE, Config
from cuvee.core_server import make_core
from cuvee.early_signals import reopen_if_due
from cuvee.idle import IdleWatch
from cuvee.lifespan import Lifespan
from cuvee.log_file import has_log_files, reopen_log_files
from cuvee.logging import style
from cuvee.server_state import Listeners, ServerState
from cuvee.signal_wakeup import waking

HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
CANCEL_MESSAGE = "Task cancelled, timeout graceful shutdown exceeded"
SETTLE_SECONDS = 0.05
"""How long requests may take to end before the log says that they are waited for."""
IDLE_SECONDS = 1.2
"""The same for connections without a request, which close after a second: a little longer."""
TURN_SECONDS = 0.01
"""How long the event loop then has for what was due too: after a standstill the order is any."""
UNWIND_SECONDS = 1.0
"""How long cancelled tasks may take to clean up."""
TICK_SECONDS = 0.1
"""How often an `on_tick` that somebody has put in place of ours is called."""
TICKS = 864000
"""Where the count of ticks begins anew."""

logger = logging.getLogger("uvicorn.error")

_capturing: list[Server] = []
"""The servers whose handlers signals have, in the order in which they came."""


class Server:
    """Serves `config.app` until `should_exit` is set or a signal comes.

    `run()` makes its own event loop; `serve()` works in any running asyncio loop, in any thread.

    A subclass may extend or replace `startup`, `main_loop`, `on_tick`, `shutdown`, `handle_exit` and
    `capture_signals`; so may whoever sets such an attribute of one server.
    """

    def __init__(self, config: Config) -> None:
        """Prepare; nothing is opened before `serve`."""
        self.config = config
        self.server_state = ServerState()
        self.lifespan: Lifespan | None = None
        self.servers: list[Listeners] = []
        self.started = False
        self.last_notified = 0.0
        """When `callback_notify` was called last, as `time.time()` has it."""
        self._next_notification = 0.0
        self._should_exit = False
        self._force_exit = False
        self._limit_reached = False
        self._has_ended = False
        self._captured_signals: list[int] = []
        self._former_handlers: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._bound: list[sockets_module.Bound] | None = None
        self._idle_watch: IdleWatch | None = None
        self._is_idle = False
        self._is_delaying = False
        self._access: AccessRoute | None = None

    @property
    def should_exit(self) -> bool:
        """Set it, from any thread, to stop the server gracefully."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        self._wake()

    @property
    def force_exit(self) -> bool:
        """Set it, from any thread, to stop waiting for anything while the server stops."""
        return self._force_exit

    @force_exit.setter
    def force_exit(self, value: bool) -> None:
        self._force_exit = value
        self._wake()

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked the server to stop."""
        return bool(self._captured_signals)

    @functools.cached_property
    def limit_max_requests(self) -> int | None:
        """How many requests there are before the server stops, chance included; None: any number."""
        limit = self.config.limit_max_requests
        if limit is None:
            return None
        from random import randint

        return limit + randint(0, self.config.limit_max_requests_jitter)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in a new event loop, to the end."""
        if _is_loop_running():
            raise RuntimeError("An event loop runs here already: await Server.serve() in it.")
        with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self.serve(sockets=sockets))

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in the running event loop, to the end; the main thread handles signals meanwhile.

        `sockets` are bound sockets to use in place of the configuration's; they are closed at the
        end.
        Raises SystemExit(3) when the server can't start.
        """
        self._forget_earlier_run()
        with self.capture_signals():
            await self._serve(sockets)

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        process = os.getpid()
        if not self.config.loaded:
            self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        _log_process("Started", process)
        _warn_of_what_is_not_called(self)
        loop = asyncio.get_running_loop()
        with waking(loop), self._reopening_logs(loop):
            try:
                await self.startup(sockets=sockets)
                await self._serve_to_the_end(sockets)
            finally:
                self._release(sockets)
                self._loop = None
                self._has_ended = True
        _log_process("Finished", process)

    def _forget_earlier_run(self) -> None:
        """Begin as a new server would; `should_exit` is its caller's."""
        if self._has_ended:
            self._captured_signals.clear()
            self._limit_reached = self._is_idle = False

    def _enter_loop(self) -> None:
        """Work in the loop that runs: an earlier run may have been in another one."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._changed = asyncio.Event()
            self._loop = loop

    async def _serve_to_the_end(self, sockets: list[socket.socket] | None) -> None:
        try:
            if not self.should_exit:
                await self.main_loop()
        except asyncio.CancelledError:
            # No waiting for clients: who runs us does not want us to. The application may clean up.
            self._cancel_requests()
            self._abort()
            if self.started:
                await self._stop_lifespan()
            raise
        if self.started:
            await self.shutdown(sockets=sockets)

    # ---- start -----------------------------------------------------------------------------------

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen. A signal in the meantime leaves `started` False."""
        self._enter_loop()
        lifespan = self._the_lifespan()
        limit = self.config.timeout_startup
        if not await self._unless(
            lambda: self.interrupted or self.force_exit, lifespan.startup(), limit
        ):
            await self._give_startup_up(lifespan)
            return
        if lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self._application_started()
        try:
            listeners = await self._open_listeners(sockets)
        except OSError as exc:
            logger.error(exc)
            await self._stop_lifespan()
            sys.exit(STARTUP_FAILURE)
        self.servers = [Listeners(listeners)]
        self._start_core(lifespan, listeners)
        if sockets is None:
            self._log_started_message(listeners)
        self.started = True

    async def _give_startup_up(self, lifespan: Lifespan) -> None:
        if self.interrupted or self.force_exit:
            logger.info("Application startup interrupted.")
            self.should_exit = True
            await self._give_lifespan_up(lifespan)
            return
        logger.error(
            "Application startup not complete within %g seconds. Exiting. (--timeout-startup)",
            self.config.timeout_startup,
        )
        await self._give_lifespan_up(lifespan, UNWIND_SECONDS)
        sys.exit(STARTUP_FAILURE)

    def _application_started(self) -> None:
        """Do what is to be done between the application's start and the first client: nothing."""

    def _log_started_message(self, listeners: Sequence[socket.socket]) -> None:  # noqa: ARG002
        sockets_module.log_running(self._bound or ())

    async def _open_listeners(self, sockets: list[socket.socket] | None) -> list[socket.socket]:
        if sockets is not None:
            listeners = sockets
        else:
            self._bound = await self._bind()
            listeners = [listener for one in self._bound for listener in one.sockets]
        try:
            sockets_module.start_listening(listeners, self.config)
        except OSError:
            for listener in listeners:
                listener.close()
            raise
        return listeners

    async def _bind(self) -> list[sockets_module.Bound]:
        """Bind the places that the configuration names."""
        assert self._loop is not None
        return await sockets_module.open_places(self.config, self._loop)

    def _start_core(self, lifespan: Lifespan, listeners: Sequence[socket.socket]) -> None:
        config = self.config
        assert self._loop is not None
        self._access = AccessRoute(has_format=config.access_format is not None)
        core = make_core(
            config, self._loop, lifespan.state, self._access, self.limit_max_requests, _log
        )
        core.on_limit = self._on_limit
        self.server_state.begin(core, config.encoded_headers, config.date_header)
        for listener in listeners:
            core.listen(listener.fileno())
        if config.idle_exit is not None:
            numbers = [listener.fileno() for listener in listeners]
            self._idle_watch = IdleWatch(
                core, numbers, config.idle_exit, self._loop, self._stop_idle
            )

    def _stop_idle(self) -> None:
        logger.info("Nothing to do for %g seconds. (--idle-exit)", self.config.idle_exit)
        self._is_idle = True
        self.should_exit = True

    # ---- run -------------------------------------------------------------------------------------

    async def main_loop(self) -> None:
        """Wait until the server shall stop: until `on_tick` says so.

        Nothing wakes up in the meantime, unless there is something to do: a callback to call, or an
        `on_tick` of somebody else's.
        """
        self._enter_loop()
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % TICKS
            await self._until_next_tick()

    async def on_tick(self, counter: int) -> bool:  # noqa: ARG002
        """Call `callback_notify` if it is time, and say whether the server shall stop.

        Who replaces this has it called ten times a second, and when `should_exit` is set.
        """
        config = self.config
        if config.callback_notify is not None and self._now() >= self._next_notification:
            self._next_notification = self._now() + config.timeout_notify
            self.last_notified = time.time()
            await config.callback_notify()
        if self.should_exit or not self._limit_reached:
            return self.should_exit
        logger.info(
            "Maximum request limit of %d exceeded. Terminating process.", self.limit_max_requests
        )
        return True

    async def _until_next_tick(self) -> None:
        if self._has_to_end():  # and an on_tick of somebody else's does not want to stop
            await asyncio.sleep(TICK_SECONDS)
            return
        seconds = None
        if _is_on_tick_replaced(self):
            seconds = TICK_SECONDS
        elif self.config.callback_notify is not None:
            seconds = max(self._next_notification - self._now(), 0)
        await self._until(self._has_to_end, seconds)

    def _has_to_end(self) -> bool:
        return self.should_exit or self._limit_reached

    def _on_limit(self) -> None:
        self._limit_reached = True
        self._changed.set()

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _wake(self) -> None:
        """Let whoever waits look again; from any thread, and from a signal handler."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._changed.set)

    async def _until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for `condition()`, looking whenever `_changed` is set; False: not in time."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True

    # ---- stop ------------------------------------------------------------------------------------

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let the clients finish within the limits, then stop the application."""
        self._enter_loop()
        core = self.server_state.core
        if core is None:  # somebody else's start-up
            logger.info("Shutting down")
            return
        if self._idle_watch is not None:
            self._idle_watch.cancel()
        await self._delay_shutdown(core)
        logger.info("Shutting down")
        core.on_idle = self._changed.set  # nobody waits for an idle server before
        if not self.force_exit:
            self._accept_waiting(core)
        self._stop_listening(sockets)
        core.drain()
        if self.config.disconnect_on_shutdown:
            core.tell_requests()
        if not await self._wait_for_clients(core) and not self.force_exit and core.requests:
            logger.error(
                "Cancel %s running task(s), timeout graceful shutdown exceeded", core.requests
            )
            self._cancel_requests()
            await self._until(lambda: core.requests == 0 or self.force_exit, UNWIND_SECONDS)
        self._abort()
        if not self.force_exit:
            await self._stop_lifespan()
        self._release(sockets)

    async def _delay_shutdown(self, core: _core.Server) -> None:
        """Go on for a while after a stop signal, so that balancers see the health path fail."""
        seconds = self.config.drain_delay
        if not seconds or not self.interrupted or self.force_exit:
            return
        core.retire()
        self._is_delaying = True
        logger.info("Draining for %g seconds. (CTRL+C to go on at once)", seconds)
        await self._until(lambda: not self._is_delaying or self.force_exit, seconds)
        self._is_delaying = False

    def _accept_waiting(self, core: _core.Server) -> None:
        """Take what waits to be accepted, but where others may accept from the same socket.

        Who stops because nothing has come for long takes it there too: it has time.
        """
        shared = {
            listener
            for one in self._bound or ()
            if one.is_inherited and not self._is_idle
            for listener in one.sockets
        }
        for server in self.servers:
            for listener in server.sockets:
                if listener not in shared and listener.fileno() >= 0:
                    core.accept_waiting(listener.fileno())

    async def _wait_for_clients(self, core: _core.Server) -> bool:
        """Wait for connections, then for tasks; False when the time for that is over."""
        limit = self.config.timeout_graceful_shutdown
        try:
            async with asyncio.timeout(limit):
                settle = SETTLE_SECONDS if core.requests else IDLE_SECONDS
                await self._wait_for("connections to close", lambda: not core.connections, settle)
                await self._wait_for("background tasks to complete", lambda: not core.requests)
        except TimeoutError:
            return core.connections == 0 and core.requests == 0
        return True

    async def _wait_for(
        self, what: str, is_done: Callable[[], bool], settle: float = SETTLE_SECONDS
    ) -> None:
        def condition() -> bool:
            return self.force_exit or is_done()

        for seconds in settle, TURN_SECONDS:
            if await self._until(condition, seconds):
                return
        logger.info("Waiting for %s. (CTRL+C to force quit)", what)
        await self._until(condition)

    def _stop_listening(self, sockets: list[socket.socket] | None) -> None:
        if self.server_state.core is not None:
            self.server_state.core.stop_listening()
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        sockets_module.close_all(self._bound or ())

    def _cancel_requests(self) -> None:
        if self.server_state.core is not None:
            self.server_state.core.cancel_requests(CANCEL_MESSAGE)

    def _abort(self) -> None:
        if self.server_state.core is not None:
            self.server_state.core.abort()

    def _release(self, sockets: list[socket.socket] | None) -> None:
        """Leave nothing behind, whatever the reason for the end."""
        self._stop_listening(sockets)
        core = self.server_state.core
        if core is not None:
            core.abort()
            self.server_state.release()
            core.close()
        if self.lifespan is not None:
            self.lifespan.abandon()
        if self._access is not None:
            self._access.close()
            self._access = None

    # ---- the lifespan ----------------------------------------------------------------------------

    def _the_lifespan(self) -> Lifespan:
        assert self.lifespan is not None
        return self.lifespan

    async def _stop_lifespan(self) -> None:
        lifespan = self._the_lifespan()
        limit = self.config.timeout_shutdown
        completed = await self._unless(lambda: self.force_exit, lifespan.shutdown(), limit)
        if not completed and not self.force_exit:
            logger.error(
                "Application shutdown not complete within %g seconds. (--timeout-shutdown)", limit
            )
        await self._give_lifespan_up(lifespan, UNWIND_SECONDS)

    async def _give_lifespan_up(self, lifespan: Lifespan, timeout: float | None = None) -> None:
        """Cancel what still runs of the application's lifespan and wait until it has cleaned up."""
        task = lifespan.abandon()
        if task is not None:
            task.add_done_callback(lambda _: self._changed.set())
            await self._until(lambda: task.done() or self.force_exit, timeout)

    async def _unless(
        self,
        given_up: Callable[[], bool],
        work: Coroutine[Any, Any, None],
        timeout: float | None = None,
    ) -> bool:
        """Await `work`, but only until `given_up()` is true; say whether it was completed in time."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._changed.set())
        try:
            await self._until(lambda: task.done() or given_up(), timeout)
            if not task.done():
                return False
            task.result()
            return True
        finally:
            task.cancel()

    # ---- signals ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle SIGINT and SIGTERM inside the block, and raise them again after it.

        They then reach whoever handled them before. Outside the main thread this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._former_handlers = {
            number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS
        }
        _capturing.append(self)
        try:
            yield
        finally:
            _capturing.remove(self)
            for number, handler in self._former_handlers.items():
                self._give_back(number, signal.SIG_DFL if handler is None else handler)
        for captured in reversed(self._captured_signals):
            signal.raise_signal(captured)

    def _give_back(self, number: int, handler: Any) -> None:
        """Set the handler that was there before, or leave it to the server that came after us."""
        for server in _capturing:
            if server._former_handlers[number] == self.handle_exit:
                server._former_handlers[number] = handler
                return
        signal.signal(number, handler)

    @contextlib.contextmanager
    def _reopening_logs(self, loop: asyncio.AbstractEventLoop) -> Generator[None, None, None]:
        """Open the log files again at SIGUSR1, inside the block; nothing where there are none."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if not in_main_thread or not has_log_files():
            yield
            return

        def reopen(*_: object) -> None:
            # Not at once: this may be in the middle of a line of this thread's.
            loop.call_soon_threadsafe(reopen_log_files)

        before = signal.signal(signal.SIGUSR1, reopen)
        reopen_if_due()
        try:
            yield
        finally:
            signal.signal(signal.SIGUSR1, before or signal.SIG_DFL)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop gracefully at the first signal, and by force at a second SIGINT.

        A third is for an application that does not let the loop run: it becomes KeyboardInterrupt.
        During a drain delay a signal ends that, and nothing else.
        """
        self._captured_signals.append(sig)
        if self._is_delaying:
            self._is_delaying = False
            self._wake()
        elif self.should_exit and sig == signal.SIGINT:
            if self.force_exit:
                raise KeyboardInterrupt
            self.force_exit = True
        else:
            self.should_exit = True


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_OWN_ON_TICK = Server.on_tick
NOT_CALLED = ("_wait_tasks_to_complete",)
"""What uvicorn's server has and calls, and this one does not."""


def _is_on_tick_replaced(server: Server) -> bool:
    """Say whether a subclass, the server itself or a patch has something in place of our method."""
    return getattr(server.on_tick, "__func__", server.on_tick) is not _OWN_ON_TICK


def _warn_of_what_is_not_called(server: Server) -> None:
    for name in NOT_CALLED:
        if hasattr(server, name):
            logger.warning("%s.%s is not called by cuvee.", type(server).__qualname__, name)


def _log(level: int, message: str, exc: BaseException | None) -> None:
    """Log what the C server has to say."""
    logger.log(level, message, exc_info=exc)


def _log_process(what: str, process: int) -> None:
    logger.info(
        f"{what} server process [%d]",
        process,
        extra={"color_message": f"{what} server process [{style('%d', '36')}]"},
    )
