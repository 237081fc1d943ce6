# SPDX-License-Identifier: MIT
"""`cuvee.run`: one application, one process, from its import to the exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any

from cuvee.config import EXTENSIONS, STARTUP_FAILURE, CancelMethodsType, Config, LifespanType
from cuvee.logging import LOGGING_CONFIG

if TYPE_CHECKING:
    from configparser import RawConfigParser

    from cuvee._types import ASGIApplication

logger = logging.getLogger("uvicorn.error")


def run(
    app: ASGIApplication | Callable[..., Any] | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    uds: str | None = None,
    fd: int | None = None,
    backlog: int = 2048,
    log_config: dict[str, Any] | str | RawConfigParser | IO[Any] | None = LOGGING_CONFIG,
    log_level: str | int | None = None,
    access_log: bool = True,
    use_colors: bool | None = None,
    lifespan: LifespanType = "auto",
    root_path: str = "",
    app_dir: str | None = None,
    factory: bool = False,
    timeout_keep_alive: float = 5,
    timeout_head: float = 30,
    timeout_body: float = 60,
    timeout_unread_body: float = 5,
    timeout_write: float = 60,
    timeout_linger: float = 2,
    timeout_request: float | None = None,
    timeout_graceful_shutdown: float | None = None,
    limit_request_line: int = 16384,
    limit_request_head: int = 65536,
    limit_request_fields: int = 100,
    limit_request_body: int | None = None,
    limit_body_rate: int = 240,
    limit_concurrency: int | None = None,
    limit_requests: int | None = None,
    limit_connections: int | None = None,
    limit_connection_requests: int | None = None,
    limit_read_buffer: int = 65536,
    limit_write_buffer: int = 65536,
    on_disconnect: str = "notify",
    cancel_methods: CancelMethodsType = "all",
    half_close: bool = False,
    tcp_user_timeout: float = 0,
    tcp_keepalive: int = 0,
    date_header: bool = True,
    server_header: bool = True,
    extensions: Iterable[str] = EXTENSIONS,
    gc_freeze: bool = True,
) -> None:
    """Serve `app`, an ASGI application or an import string ("main:app"), until a signal comes.

    The arguments are `Config`'s; `app_dir` is put in front of `sys.path`. Raises SystemExit(3) when
    the server can't start. Returns after SIGINT; SIGTERM is raised again at the end, for whoever
    handled it before.
    """
    if app_dir is not None:
        sys.path.insert(0, app_dir)
    run_config(
        Config(
            app,
            host=host,
            port=port,
            uds=uds,
            fd=fd,
            backlog=backlog,
            log_config=log_config,
            log_level=log_level,
            access_log=access_log,
            use_colors=use_colors,
            lifespan=lifespan,
            root_path=root_path,
            factory=factory,
            timeout_keep_alive=timeout_keep_alive,
            timeout_head=timeout_head,
            timeout_body=timeout_body,
            timeout_unread_body=timeout_unread_body,
            timeout_write=timeout_write,
            timeout_linger=timeout_linger,
            timeout_request=timeout_request,
            timeout_graceful_shutdown=timeout_graceful_shutdown,
            limit_request_line=limit_request_line,
            limit_request_head=limit_request_head,
            limit_request_fields=limit_request_fields,
            limit_request_body=limit_request_body,
            limit_body_rate=limit_body_rate,
            limit_concurrency=limit_concurrency,
            limit_requests=limit_requests,
            limit_connections=limit_connections,
            limit_connection_requests=limit_connection_requests,
            limit_read_buffer=limit_read_buffer,
            limit_write_buffer=limit_write_buffer,
            on_disconnect=on_disconnect,
            cancel_methods=cancel_methods,
            half_close=half_close,
            tcp_user_timeout=tcp_user_timeout,
            tcp_keepalive=tcp_keepalive,
            date_header=date_header,
            server_header=server_header,
            extensions=extensions,
            gc_freeze=gc_freeze,
        )
    )


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
