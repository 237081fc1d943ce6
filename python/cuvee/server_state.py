# SPDX-License-Identifier: MIT
"""What can be asked of a running server: connections, requests, sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator, Sequence, Set

from cuvee import _core


class Connections(Set[_core.Connection]):
    """The open connections, as a set that follows them: handles by which they can be ended.

    Each handle has `shutdown()` (no request after the one that is open), `close()`, `abort()`, and
    a `transport`, which is the handle itself. From the loop's thread only, but for the length.
    """

    def __init__(self, state: ServerState) -> None:
        """Follow those of `state`."""
        self._state = state

    @classmethod
    def _from_iterable(cls, it: Iterable[_core.Connection]) -> set[_core.Connection]:  # type: ignore[override]  # what comes of "&" and "|"
        return set(it)

    def __len__(self) -> int:
        """Return the number of open connections."""
        core = self._state.core
        return core.connections if core is not None else 0

    def __iter__(self) -> Iterator[_core.Connection]:
        """Go through those that are open now; they may be ended meanwhile."""
        core = self._state.core
        return iter(core.list_connections() if core is not None else ())

    def __contains__(self, connection: object) -> bool:
        """Say whether `connection` is one of them, and open."""
        return any(connection is one for one in self)

    def copy(self) -> set[_core.Connection]:
        """Return those that are open now."""
        return set(self)

    def __repr__(self) -> str:
        return f"<{len(self)} connections>"


class ServerState:
    """What goes on in a server now."""

    def __init__(self) -> None:
        """Start with nothing: the C server comes with start-up."""
        self.core: _core.Server | None = None
        self.connections = Connections(self)
        self._fixed_headers: list[tuple[bytes, bytes]] = []
        self._has_date = False
        self._total_requests = 0
        self._limited: dict[str, int] = {}
        self._cancel_ignored = 0

    @property
    def total_requests(self) -> int:
        """How many responses have been completed."""
        if self.core is not None:
            self._total_requests = self.core.total_requests
        return self._total_requests

    @property
    def limited(self) -> dict[str, int]:
        """How often each limit has ended a request or a connection, by the name of its option."""
        if self.core is not None:
            self._limited = self.core.limited
        return dict(self._limited)

    @property
    def cancel_ignored(self) -> int:
        """How many requests have gone on after they were cancelled, since their client was gone."""
        if self.core is not None:
            self._cancel_ignored = self.core.cancel_ignored
        return self._cancel_ignored

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The fields that are added to an answer now, in a new list: to change it has no effect."""
        if not self._has_date:
            return list(self._fixed_headers)
        from email.utils import formatdate  # hardly anybody asks

        return [(b"date", formatdate(usegmt=True).encode()), *self._fixed_headers]

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks of the requests that are being served."""
        return self.core.tasks if self.core is not None else set()

    def begin(self, core: _core.Server, headers: list[tuple[bytes, bytes]], date: bool) -> None:
        """Follow a C server, which adds these fields to its answers."""
        self.core = core
        self._fixed_headers = headers
        self._has_date = date

    def release(self) -> None:
        """Let the C server go; the totals stay."""
        self._total_requests = self.total_requests
        self._limited = self.limited
        self._cancel_ignored = self.cancel_ignored
        self.core = None


class Listeners:
    """The listening sockets, with the face of asyncio's Server."""

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        """Hold the sockets."""
        self.sockets = tuple(listeners)

    def is_serving(self) -> bool:
        """Say whether the sockets are open."""
        return any(listener.fileno() >= 0 for listener in self.sockets)

    def close(self) -> None:
        """Close the sockets."""
        for listener in self.sockets:
            listener.close()

    async def wait_closed(self) -> None:
        """Return at once: connections are not the sockets'."""
