# SPDX-License-Identifier: MIT
"""`cuvee.run`: one application, one process, from its import to the exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

from cuvee.config import STARTUP_FAILURE, Config
from cuvee.importer import application_traceback

if TYPE_CHECKING:
    import socket

Options = ParamSpec("Options")

logger = logging.getLogger("uvicorn.error")


def _as(
    config: Callable[Options, Config],
) -> Callable[[Callable[..., None]], Callable[Options, None]]:
    """Give a function the arguments of `config`, for people, type checkers and `inspect`."""

    def decorate(function: Callable[..., None]) -> Callable[Options, None]:
        function.__wrapped__ = config  # type: ignore[attr-defined]
        return function

    return decorate


@_as(Config)
def run(*args: Any, **options: Any) -> None:
    """Serve `app`, an ASGI application or an import string ("main:app"), until a signal comes.

    The arguments are `Config`'s. Raises SystemExit(3) when the server can't start. Returns after
    SIGINT; SIGTERM is raised again at the end, for whoever handled it before.
    """
    run_config(Config(*args, **options))


def run_config(config: Config) -> None:
    """Serve what `config` says; see `run`."""
    if not config.reload:
        serve_here(config)
    elif config.should_reload:
        _serve_in_children(config)
    else:
        logger.warning(
            "You must pass the application as an import string to enable 'reload' or 'workers'."
        )
        sys.exit(STARTUP_FAILURE)


def _serve_in_children(config: Config) -> None:
    from cuvee import sockets
    from cuvee.supervisor.reloader import Reloader

    try:
        bound = sockets.bind_all(config)
        sockets.start_listening(bound, config)
    except OSError as exc:
        logger.error(exc)
        sys.exit(STARTUP_FAILURE)
    sockets.log_running(config, bound)
    path = sockets.BoundPath(config.uds) if config.uds and config.fd is None else None
    try:
        Reloader(config, bound).run()
    finally:
        for listener in bound:
            listener.close()
        if path is not None:
            path.remove()


def serve_here(config: Config, sockets: list[socket.socket] | None = None) -> None:
    """Serve in this process, on `sockets` if there are some; see `run`."""
    config.load_app()
    raise_open_file_limit()
    from cuvee.process_server import ProcessServer

    server = ProcessServer(config)
    try:
        server.run(sockets)
    except KeyboardInterrupt:
        pass
    if not server.started and not server.interrupted:
        sys.exit(STARTUP_FAILURE)


def print_failure(exc: Exception) -> None:
    """Print the traceback of what the application raised while it was imported."""
    import traceback

    traceback.print_exception(exc.with_traceback(application_traceback(exc.__traceback__)))


def raise_open_file_limit() -> None:
    """Raise the soft limit of open files to the hard one: each connection is a file."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # some systems call the hard limit unlimited, and refuse it
        logger.debug("The limit of open files stays at %d.", soft)
