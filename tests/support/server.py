# SPDX-License-Identifier: MIT
"""A cuvee server in a thread of the test process, on any of the event loops that it must work on."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import cuvee
from tests.support.asgi import WAIT
from tests.support.raw import Address, RawClient

LOOPS = ("cuvee", "asyncio", "uvloop")
"""The event loops that the server runs on in the tests: its own, and two that are foreign to it."""

LOGGER = "uvicorn.error"


def missing_loop(kind: str) -> str | None:
    """Say why the loop `kind` can't be had here, or None."""
    if kind == "uvloop" and importlib.util.find_spec("uvloop") is None:
        return "uvloop is not installed"
    return None


def loop_factory(kind: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop of `kind`."""
    if kind == "cuvee":
        return cuvee.new_event_loop
    if kind == "uvloop":
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    return asyncio.new_event_loop


class LogCapture(logging.Handler):
    """Keeps the server's log records; what a test does not expect at ERROR or above fails it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._records: list[logging.LogRecord] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        with self._changed:
            if not any(known is record for known in self._records):
                self._records.append(record)
            self._changed.notify_all()

    def expect(self, text: str, level: int | None = None) -> logging.LogRecord:
        """Wait for a record whose message contains `text`, and take it out."""

        def find() -> logging.LogRecord | None:
            for record in self._records:
                if text in record.getMessage() and level in (None, record.levelno):
                    return record
            return None

        with self._changed:
            self._changed.wait_for(lambda: find() is not None, WAIT)
            record = find()
            assert record is not None, f"no log line with {text!r} among {self.lines()}"
            self._records.remove(record)
            return record

    def lines(self) -> list[str]:
        """Return the messages that were not taken out."""
        return [record.getMessage() for record in list(self._records)]

    def unexpected(self) -> list[str]:
        """Return what stands at ERROR or above, with its traceback."""
        found = []
        for record in self._records:
            if record.levelno >= logging.ERROR:
                found.append(record.getMessage() + traceback_text(record))
        return found


def traceback_text(record: logging.LogRecord) -> str:
    """Return the traceback of a record, as it would be printed, or nothing."""
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return "\n" + "".join(traceback.format_exception(*record.exc_info))


class RunningServer:
    """One server on one loop in one thread, while a `with` block runs.

    The listening socket exists before the server does, so a client can connect at once. At the end
    the server drains; it must do so by itself, leave no task behind and have logged no error.
    """

    def __init__(
        self,
        app: Any,
        *,
        loop: str = "cuvee",
        bind: str = "127.0.0.1",
        setup: Callable[[], None] | None = None,
        **config: Any,
    ) -> None:
        self.loop_kind = loop
        self.loop: asyncio.AbstractEventLoop | None = None
        self.failure: BaseException | None = None
        self.leftover: list[str] = []
        self._setup = setup
        self._is_running = threading.Event()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._listener = self._bind(bind)
        options: dict[str, Any] = {"lifespan": "off", "access_log": False} | config
        options.setdefault("timeout_graceful_shutdown", 5)
        self.config = cuvee.Config(app, **options)
        self.server = cuvee.Server(self.config)
        self.log = LogCapture()
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def _bind(self, bind: str) -> socket.socket:
        if bind == "unix":
            self._folder = tempfile.TemporaryDirectory(prefix="cuvee-")
            bind = str(Path(self._folder.name) / "socket")
        if "/" in bind:
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(bind)
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET)
            sock.bind((bind, 0))
        sock.listen(512)
        name = sock.getsockname()
        self.address: Address = name if isinstance(name, str) else name[:2]
        return sock

    @property
    def port(self) -> int:
        """The TCP port."""
        assert not isinstance(self.address, str)
        return self.address[1]

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory(self.loop_kind)) as runner:
                self.loop = runner.get_loop()
                runner.run(self._main())
        except BaseException as failure:  # reported by __exit__
            self.failure = failure
        finally:
            self._listener.close()

    async def _main(self) -> None:
        self._is_running.set()
        if self._setup is not None:
            self._setup()
        await self.server.serve(sockets=[self._listener])
        me = asyncio.current_task()
        self.leftover = [repr(task) for task in asyncio.all_tasks() if task is not me]

    def connect(self, *, rcvbuf: int | None = None, sndbuf: int | None = None) -> RawClient:
        """Open a connection."""
        return RawClient(self.address, rcvbuf=rcvbuf, sndbuf=sndbuf)

    def settle(self, rounds: int = 2) -> None:
        """Return when the loop has read what was sent to it before, having gone round twice.

        One round is enough for bytes of an open connection: the poll that wakes for it has them too.
        """
        assert self._is_running.wait(WAIT)  # who can connect need not have met the loop yet
        assert self.loop is not None
        for _ in range(rounds):
            done = threading.Event()
            self.loop.call_soon_threadsafe(done.set)
            assert done.wait(WAIT)

    def join(self) -> BaseException | None:
        """Wait for the server to end by itself; return what serve() raised."""
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the server did not end"
        failure, self.failure = self.failure, None
        return failure

    def __enter__(self) -> RunningServer:
        logger = logging.getLogger(LOGGER)
        self._log_level = logger.level
        logger.addHandler(self.log)
        logger.setLevel(logging.DEBUG)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.should_exit = True
        self._thread.join(WAIT)
        stuck = self._thread.is_alive()
        if stuck:
            self.server.force_exit = True
            self._thread.join(WAIT)
        logger = logging.getLogger(LOGGER)
        logger.removeHandler(self.log)
        logger.setLevel(self._log_level)
        if self._folder is not None:
            self._folder.cleanup()
        errors = self.log.unexpected()
        if kind is not None:
            if errors and value is not None:
                value.add_note("the server logged:\n" + "\n".join(errors))
            return
        assert not stuck, "the server did not stop"
        if self.failure is not None:
            raise self.failure
        assert not errors, "\n".join(errors)
        assert not self.leftover, self.leftover


def running_server(app: Any, **options: Any) -> RunningServer:
    """Serve `app` while the `with` block runs; options are RunningServer's and Config's."""
    return RunningServer(app, **options)
