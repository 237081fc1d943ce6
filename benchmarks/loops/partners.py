"""The servers that a loop is a client of, each started for one work, on the core of the load."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from benchmarks import native, servers
from benchmarks.pinning import pinned
from tests.support import services

S = TypeVar("S", bound=services.Service)


@contextmanager
def _postgresql(core: int) -> Iterator[dict[str, str]]:
    with _running(services.PostgreSQL(), core) as server:
        yield {"dsn": server.dsn()}


@contextmanager
def _redis(core: int) -> Iterator[dict[str, str]]:
    with _running(services.Redis(), core) as server:
        yield {"url": f"redis://{server.host}:{server.port}"}


@contextmanager
def _http(core: int) -> Iterator[dict[str, str]]:
    """The C server of ours, which costs next to nothing."""
    program = str(native.program("limit_server", sys.executable))
    server = servers.start("limit", [program, servers.PORT], core)
    try:
        yield {"url": server.url("/")}
    finally:
        server.stop()


@contextmanager
def _running(service: S, core: int) -> Iterator[S]:
    try:
        with pinned(core):
            service.start()
        yield service
    finally:
        service.remove()


PARTNERS: dict[str, Callable[[int], AbstractContextManager[dict[str, str]]]] = {
    "postgresql": _postgresql,
    "redis": _redis,
    "http": _http,
}
"""Each yields how a work reaches it."""
