# SPDX-License-Identifier: MIT
"""`cuvee.run`: one application, one process, from its import to the exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec

from cuvee.config import STARTUP_FAILURE, Config
from cuvee.importer import application_traceback
from cuvee.one_way import refuse_several_workers

if TYPE_CHECKING:
    import socket

    from cuvee.early_signals import EarlyExit
    from cuvee.sockets import Bound

Options = ParamSpec("Options")

PROCESS_OPTIONS = ("user", "group", "umask", "proc_name")
"""What is done to the process itself, before the application is imported."""

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
    run_config(Config(*args, **options), is_last=False)


def run_config(config: Config, *, is_last: bool = True) -> None:
    """Serve what `config` says; see `run`. ValueError: it can't be.

    `is_last` says that nothing of the caller's comes behind it: then a forced stop ends the process.
    """
    refuse_several_workers(config)
    if config.reload and not config.should_reload:
        logger.warning(
            "You must pass the application as an import string to enable 'reload' or 'workers'."
        )
        sys.exit(STARTUP_FAILURE)
    from cuvee.early_signals import EarlyExit, noting_sigusr1

    early = EarlyExit()
    with noting_sigusr1(), contextlib.ExitStack() as stack:
        stack.callback(early.end)
        with _explained():
            bound = _bind_early(config)
            if bound or config.pid_file is not None:
                early.begin()
            for one in bound or ():
                stack.callback(one.close)
            if config.pid_file is not None:
                from cuvee.process import pid_file

                stack.enter_context(pid_file(config))
        if config.reload:
            _serve_in_children(config, bound or [])
        else:
            load(config)
            early.check()
            serve_loaded(config, None, bound, stack.close, early, is_last=is_last)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Make one line of a failure of the system's, and exit."""
    try:
        yield
    except OSError as exc:
        logger.error(exc)
        sys.exit(STARTUP_FAILURE)


def _serve_in_children(config: Config, bound: list[Bound]) -> None:
    from cuvee.sockets import log_running, start_listening
    from cuvee.supervisor.reloader import Reloader

    listeners = [listener for one in bound for listener in one.sockets]
    with _explained():
        start_listening(listeners, config)
    log_running(bound)
    Reloader(config, listeners).run()


def _bind_early(config: Config) -> list[Bound] | None:
    """Return the sockets that have to be there before the application: None, if it can be first.

    Those that systemd hands over; with another user, whatever only this one may bind; and for
    children, all.
    """
    if "LISTEN_PID" in os.environ:
        from cuvee.activation import USAGE_ERROR, ActivationError, take_sockets

        try:
            bound = take_sockets(config, os.environ)
        except ActivationError as exc:
            logger.error(exc)
            sys.exit(USAGE_ERROR)
        if bound is not None:
            return bound
    if config.user is None and config.group is None and not config.reload:
        return None
    from cuvee.sockets import bind_places

    return bind_places(config)


def load(config: Config) -> None:
    """Make this process what `config` asks for, and import the application into it."""
    if any(getattr(config, name) is not None for name in PROCESS_OPTIONS):
        from cuvee.process import set_up

        with _explained():
            set_up(config)
    config.load_app()
    raise_open_file_limit()


def serve_loaded(
    config: Config,
    sockets: list[socket.socket] | None,
    bound: list[Bound] | None = None,
    clean_up: Callable[[], None] | None = None,
    early: EarlyExit | None = None,
    *,
    is_last: bool = True,
) -> None:
    """Serve in this process: on `sockets` that a parent has bound, or see `ProcessServer`."""
    from cuvee.process_server import ProcessServer

    server = ProcessServer(config, bound, clean_up, early)
    try:
        server.run(sockets)
    except KeyboardInterrupt:
        pass
    finally:
        if not is_last:
            server.stay()
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
