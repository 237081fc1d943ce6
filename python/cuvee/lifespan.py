# SPDX-License-Identifier: MIT
"""ASGI's lifespan protocol: the application is told when the server starts and when it stops."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from cuvee.importer import application_traceback

if TYPE_CHECKING:
    from cuvee._types import Message
    from cuvee.config import Config

logger = logging.getLogger("uvicorn.error")


class Lifespan:
    """One lifespan of `config.loaded_app`, in one task from start-up to shutdown.

    `state` is what the application puts there during start-up; each request gets a shallow copy.
    `should_exit` says that the application has failed.
    """

    def __init__(self, config: Config) -> None:
        """Prepare; nothing runs before `startup`."""
        self.config = config
        self.state: dict[str, Any] = {}
        self.should_exit = False
        self.error_occurred = False
        self.startup_failed = False
        self.shutdown_failed = False
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._startup_over = asyncio.Event()
        self._shutdown_over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._abandoned = False
        self._ending: asyncio.Task[None] | None = None
        """The task once it is abandoned: nobody else may hold it, and asyncio does so weakly."""

    async def startup(self) -> None:
        """Send `lifespan.startup` and wait for the answer; a failure sets `should_exit`."""
        logger.info("Waiting for application startup.")
        self._task = asyncio.create_task(self._main())
        self._events.put_nowait("lifespan.startup")
        await self._startup_over.wait()
        self._conclude("startup", self.startup_failed)

    async def shutdown(self) -> None:
        """Send `lifespan.shutdown` and wait for the answer, unless the application has failed."""
        if self.error_occurred:
            return
        logger.info("Waiting for application shutdown.")
        self._events.put_nowait("lifespan.shutdown")
        await self._shutdown_over.wait()
        self._conclude("shutdown", self.shutdown_failed)

    def _conclude(self, what: str, failed: bool) -> None:
        if failed or (self.error_occurred and self.config.lifespan == "on"):
            logger.error("Application %s failed. Exiting.", what)
            self.should_exit = True
        elif not self._abandoned:
            logger.info("Application %s complete.", what)

    def abandon(self) -> asyncio.Task[None] | None:
        """Cancel the application's lifespan; return its task if that was running."""
        task, self._task = self._task, None
        if task is None:
            return None
        if task.done():
            if not task.cancelled():
                task.exception()  # an interrupt, which has reached the loop's caller already
            return None
        self._abandoned = True
        self._ending = task
        task.cancel()
        return task

    async def _main(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.config.loaded_app(scope, self._receive, self._send)
        except (SystemExit, KeyboardInterrupt):
            self.error_occurred = True
            raise
        except BaseException as exc:
            self.error_occurred = True
            self._report(exc)
        finally:
            self._startup_over.set()
            self._shutdown_over.set()

    def _report(self, exc: BaseException) -> None:
        task = asyncio.current_task()
        told_to_stop = self._abandoned or (task is not None and task.cancelling() > 0)
        if self.startup_failed or self.shutdown_failed or told_to_stop:
            return  # the application has said it, or was told to stop
        exc = exc.with_traceback(application_traceback(exc.__traceback__))
        if self.config.lifespan == "auto":
            logger.info("ASGI 'lifespan' protocol appears unsupported.")
            logger.debug("The lifespan call ended with:", exc_info=exc)
        else:
            logger.error("Exception in 'lifespan' protocol\n", exc_info=exc)

    async def _receive(self) -> Message:
        return {"type": await self._events.get()}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._abandoned:
            return
        if kind in ("lifespan.startup.complete", "lifespan.startup.failed"):
            _require(not self._startup_over.is_set(), kind)
            self.startup_failed = kind.endswith("failed")
            over = self._startup_over
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            _require(self._startup_over.is_set() and not self._shutdown_over.is_set(), kind)
            self.shutdown_failed = kind.endswith("failed")
            over = self._shutdown_over
        else:
            raise AssertionError(f"Expected a lifespan message, but got {kind!r}.")
        if kind.endswith("failed") and message.get("message"):
            logger.error(message["message"])
        over.set()


class LifespanOff(Lifespan):
    """No lifespan: the application hears nothing, and its state is empty."""

    async def startup(self) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


def _require(allowed: bool, kind: str) -> None:
    # An AssertionError, as in uvicorn, but one that `python -O` keeps.
    if not allowed:
        raise AssertionError(f"Got invalid state transition on lifespan protocol: {kind!r}.")
