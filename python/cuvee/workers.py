# SPDX-License-Identifier: MIT
"""A worker class for gunicorn: `gunicorn main:app -k cuvee.workers.CuveeWorker`.

gunicorn binds the sockets, starts and watches the processes; each of them runs one server. Needs
gunicorn, which `pip install cuvee[gunicorn]` brings.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, ClassVar

from cuvee.config import Config
from cuvee.process_server import ProcessServer
from cuvee.runner import raise_open_file_limit

try:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker
except ImportError as exc:
    raise ImportError("cuvee.workers needs gunicorn: pip install cuvee[gunicorn]") from exc

KILL_MARGIN = 1.0
"""Seconds before gunicorn kills a worker that stops in which it cancels what still runs."""
HEARTBEAT = 1.0
"""Most seconds between two heartbeats; a parent that is gone is noticed by them."""


class WorkerServer(ProcessServer):
    """A server whose process gunicorn ends: signals are the worker's, and end with it."""

    def __init__(self, config: Config) -> None:
        """Leave the service manager to gunicorn: the service is more than one worker."""
        super().__init__(config)
        self._notifier = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM; what else may come has the worker's handlers already."""
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield

    def stop_quickly(self) -> None:
        """Wait for nothing but the application's own shutdown; from a signal handler."""
        self.config.timeout_graceful_shutdown = 0
        self.handle_exit(signal.SIGTERM, None)
        loop = self._loop
        if loop is not None:  # it may be waiting already, with the time it had then
            loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        self._cancel_requests()
        self._abort()


class CuveeWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One process of gunicorn's with a server.

    gunicorn's settings that mean something here: `bind`, `backlog`, `workers`, `timeout`,
    `graceful_timeout`, `keepalive`, `forwarded_allow_ips`, `max_requests` and its jitter, `accesslog` (in uvicorn's
    format), `errorlog`, `reload`. Every option of cuvee's may be set by a subclass.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {}
    """Arguments of `cuvee.Config`; they go before what gunicorn's settings say."""

    server: WorkerServer | None = None

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:  # noqa: ARG003
        """Refuse what can't be done before there are workers; gunicorn shows the text."""
        if cfg.is_ssl:
            raise RuntimeError("cuvee.workers.CuveeWorker has no TLS yet: a proxy can end it")
        try:
            Config("", **cls._options(cfg))
        except (TypeError, ValueError) as exc:
            raise RuntimeError(f"CONFIG_KWARGS of {cls.__name__}: {exc}") from None

    @classmethod
    def _options(cls, cfg: Any) -> dict[str, Any]:
        return {
            "log_config": None,
            "workers": 1,  # WEB_CONCURRENCY is gunicorn's
            "backlog": cfg.backlog,
            "forwarded_allow_ips": cfg.forwarded_allow_ips,
            "timeout_keep_alive": cfg.keepalive,
            "timeout_graceful_shutdown": max(cfg.graceful_timeout - KILL_MARGIN, 0),
            **cls.CONFIG_KWARGS,
        }

    def run(self) -> None:
        """Serve until gunicorn says stop; called in the worker's process."""
        self._take_loggers()
        raise_open_file_limit()
        options = self._options(self.cfg)
        if self.max_requests < sys.maxsize:  # gunicorn's jitter is in it already
            options = {"limit_max_requests": self.max_requests, **options}
        config = Config(self.wsgi, **options)
        self.server = server = WorkerServer(config)
        if not self.alive:  # told to stop while the application was imported
            return
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(self._serve(server))
        if not server.started and not server.interrupted:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def _serve(self, server: WorkerServer) -> None:
        loop = asyncio.get_running_loop()
        heartbeat = loop.create_task(self._beat(server))
        loop.add_reader(self.PIPE[0], self._look_at_pipe, server)
        try:
            await server.serve(sockets=[listener.sock for listener in self.sockets])
        finally:
            loop.remove_reader(self.PIPE[0])
            heartbeat.cancel()

    async def _beat(self, server: WorkerServer) -> None:
        """Tell gunicorn that the event loop runs, from before the start until after the stop."""
        interval = min(self.timeout / 2, HEARTBEAT) or HEARTBEAT  # `timeout` is half of gunicorn's
        while True:
            self.notify()
            if os.getppid() != self.ppid and not server.should_exit:
                self.log.info("Parent changed, shutting down: %s", self)
                server.should_exit = True
            await asyncio.sleep(interval)

    def _look_at_pipe(self, server: WorkerServer) -> None:
        """Stop when a file of the application has changed (`reload`)."""
        os.read(self.PIPE[0], 4096)
        if not self.alive:
            server.should_exit = True

    def _take_loggers(self) -> None:
        """Let gunicorn's handlers write our lines; it reopens their files on SIGUSR1."""
        for name, log in (("error", self.log.error_log), ("access", self.log.access_log)):
            ours = logging.getLogger(f"uvicorn.{name}")
            ours.handlers = log.handlers
            ours.setLevel(log.level)
            ours.propagate = False

    # ---- signals -----------------------------------------------------------------------------

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop quickly."""
        self.alive = False
        self.cfg.worker_int(self)
        if self.server is None:
            sys.exit(0)
        self.server.stop_quickly()
