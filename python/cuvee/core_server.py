# SPDX-License-Identifier: MIT
"""Makes the C server that a Config asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cuvee import _core
from cuvee.access_log import AccessRoute
from cuvee.config import Config
from cuvee.option_kinds import health_path


def make_core(
    config: Config,
    loop: asyncio.AbstractEventLoop,
    state: dict[str, Any],
    access: AccessRoute,
    limit_max_requests: int | None,
    log: Callable[[int, str, BaseException | None], object],
) -> _core.Server:
    """Return a server on `loop` that does not listen yet.

    `state` is the lifespan's; `limit_max_requests` is the one of this server, chance included.
    """
    limits = config.limits
    if limit_max_requests is not None:
        limits["limit_max_requests"] = limit_max_requests
    access_format = None
    if config.access_format is not None:
        from cuvee.access_format import compile_format

        access_format = compile_format(config.access_format)
    return _core.Server(
        config.loaded_app,
        loop,
        root_path=config.root_path,
        state=state,
        asgi_version=config.asgi_version,
        limits=limits,
        websocket=config.websocket,
        cancel_grace=config.cancel_grace,
        cancel_unsafe=config.cancel_methods == "all",
        half_close=config.half_close,
        date_header=config.date_header,
        headers=config.encoded_headers,
        fresh_context=config.reset_contextvars,
        extensions=config.extensions,
        health_path=None if config.health_path is None else health_path(config.health_path),
        access_log=access.look(),
        look_access=access.look,
        access_format=access_format,
        log=log,
        trusted=config.trusted_hosts.entries,
        forwarded_headers=config.forwarded_headers if config.proxy_headers else None,
        forwarded_hops=config.forwarded_hops or 0,
        proxy_protocol=config.proxy_protocol,
    )
