# SPDX-License-Identifier: MIT
"""`cuvee.run`: one application, one process, from its import to the exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

from cuvee.config import STARTUP_FAILURE, Config

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
    config.load_app()
    raise_open_file_limit()
    from cuvee.process_server import ProcessServer

    server = ProcessServer(config)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    if not server.started and not server.interrupted:
        sys.exit(STARTUP_FAILURE)


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
