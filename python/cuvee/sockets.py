# SPDX-License-Identifier: MIT
"""The sockets that a server listens on: one or more for each of its places."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import socket
import stat
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from cuvee.logging import style
from cuvee.places import Descriptor, Place, Tcp, Unix, places_of
from cuvee.users import find_owner

if TYPE_CHECKING:
    import asyncio

    from cuvee.config import Config

logger = logging.getLogger("uvicorn.error")

KEEPALIVE_PROBES = 3
"""How many keep-alive probes without an answer end a connection, as in Redis."""

if sys.platform == "darwin":
    _KEEPALIVE_IDLE = socket.TCP_KEEPALIVE
else:
    _KEEPALIVE_IDLE = socket.TCP_KEEPIDLE

SOCKET_MODE = 0o666
"""Who may connect to a new Unix socket: everybody, as in uvicorn."""

Address: TypeAlias = "tuple[socket.AddressFamily, Any]"


class BoundPath:
    """A Unix socket's file: it goes with its server, unless another server's is there by then."""

    def __init__(self, path: str) -> None:
        """Remember which file stands at `path` now."""
        self.path = path
        self._identity = self._look()

    def remove(self) -> None:
        """Unlink the file if it is still the same one.

        Who has changed the user meanwhile may not be allowed to: no stop ends for that.
        """
        if self._identity is not None and self._look() == self._identity:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino


class Bound:
    """What is open at one place: its sockets, and its file if it has one."""

    def __init__(self, place: Place, sockets: Sequence[socket.socket]) -> None:
        """Take the sockets over; they are bound, and need not listen yet."""
        self.place = place
        self.sockets = tuple(sockets)
        self._path: BoundPath | None = None
        if isinstance(place, Unix) and not place.is_abstract:
            self._path = BoundPath(place.path)

    @property
    def is_inherited(self) -> bool:
        """Whether who handed the socket over may accept from it too."""
        return isinstance(self.place, Descriptor)

    def close(self) -> None:
        """Close the sockets, and remove the file."""
        for listener in self.sockets:
            listener.close()
        if self._path is not None:
            self._path.remove()
            self._path = None

    def describe(self) -> tuple[str, tuple[object, ...]]:
        """Say where that is: a format, and what goes into it."""
        place = self.place
        if isinstance(place, Descriptor):
            return "socket %s", (_readable(self.sockets[0].getsockname()),)
        if isinstance(place, Unix):
            return "unix socket %s", (_readable(place.path),)
        template = "%s://[%s]:%d" if ":" in place.host else "%s://%s:%d"
        port = place.port or self.sockets[0].getsockname()[1]
        return template, ("http", place.host, port)


def _readable(address: Any) -> Any:
    """Return an address as people write it: an abstract name with "@" for NUL."""
    text = os.fsdecode(address) if isinstance(address, bytes) else address
    return "@" + text[1:] if isinstance(text, str) and text.startswith("\0") else text


async def open_places(config: Config, loop: asyncio.AbstractEventLoop) -> list[Bound]:
    """Return what is bound at each place of `config`; OSError says which can't be opened."""
    places = places_of(config)
    addresses = {
        place: await _resolve(place.host, place.port, loop)
        for place in places
        if isinstance(place, Tcp)
    }
    return _bind_places(places, addresses, config)


def bind_places(config: Config) -> list[Bound]:
    """Do the same, and wait for the resolver."""
    places = places_of(config)
    addresses = {
        place: _look_up(place.host, place.port) for place in places if isinstance(place, Tcp)
    }
    return _bind_places(places, addresses, config)


def bind_one(config: Config) -> Bound:
    """Return one bound socket: of several addresses of a host name, the first."""
    place, *others = places_of(config)
    if others:
        raise OSError(errno.EINVAL, f"one socket can't be bound at {len(others) + 1} places")
    if isinstance(place, Tcp):
        return Bound(place, bind_tcp(_look_up(place.host, place.port)[:1]))
    return _bind_places([place], {}, config)[0]


def _bind_places(
    places: Iterable[Place], addresses: dict[Tcp, list[Address]], config: Config
) -> list[Bound]:
    bound: list[Bound] = []
    try:
        for place in places:
            if isinstance(place, Tcp):
                bound.append(Bound(place, bind_tcp(addresses[place])))
            elif isinstance(place, Unix):
                mode, owner = config.uds_permissions, config.uds_owner
                bound.append(Bound(place, [bind_unix(place.path, mode, owner)]))
            else:
                bound.append(Bound(place, [adopt(place.number)]))
    except OSError:
        close_all(bound)
        raise
    return bound


def close_all(bound: Iterable[Bound]) -> None:
    """Close every place."""
    for one in bound:
        one.close()


def start_listening(listeners: Iterable[socket.socket], config: Config) -> None:
    """Make the sockets listen, without ever blocking."""
    for listener in listeners:
        listener.setblocking(False)
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            _watch_peers(listener, config)
        listener.listen(config.backlog)


def _watch_peers(listener: socket.socket, config: Config) -> None:
    """Let the kernel find out which peers have vanished: a connection inherits what is set here."""
    if config.tcp_user_timeout:
        milliseconds = math.ceil(config.tcp_user_timeout * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    if config.tcp_keepalive:
        between = max(config.tcp_keepalive // KEEPALIVE_PROBES, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, _KEEPALIVE_IDLE, config.tcp_keepalive)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, between)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def log_running(bound: Iterable[Bound]) -> None:
    """Log where the server can be reached, a line for each place."""
    for one in bound:
        place, arguments = one.describe()
        line = "Cuvee running on {} (Press CTRL+C to quit)"
        color_line = line.format(style(place, "1"))
        logger.info(line.format(place), *arguments, extra={"color_message": color_line})


# ---- an inherited descriptor ---------------------------------------------------------------------


def adopt(fd: int) -> socket.socket:
    """Return a socket of our own for the inherited descriptor `fd`, of whatever family it is."""
    try:
        own = os.dup(fd)
        try:
            listener = socket.socket(fileno=own)
        except OSError:
            os.close(own)
            raise
        if listener.type != socket.SOCK_STREAM:
            listener.close()
            raise OSError(errno.EPROTOTYPE, "not a stream socket")
    except OSError as exc:
        raise _explain(exc, f"error while attempting to use file descriptor {fd}") from None
    return listener


# ---- a path --------------------------------------------------------------------------------------


def bind_unix(path: str, mode: int | None = None, owner: str | None = None) -> socket.socket:
    """Bind a Unix socket, in place of one that is there already.

    Its file has the mode of that one if `mode` is None. Nobody can connect before it listens.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.startswith("\0"):
            listener.bind(path)
            return listener
        former = _clear(path)
        listener.bind(path)
        os.chmod(path, former if mode is None else mode)
    except OSError as exc:
        listener.close()
        shown = _readable(path)
        raise _explain(exc, f"error while attempting to bind on unix socket {shown!r}") from None
    try:
        if owner is not None:
            os.chown(path, *find_owner(owner))
    except OSError as exc:
        listener.close()
        os.unlink(path)
        what = f"error while attempting to give unix socket {path!r} to {owner}"
        raise _explain(exc, what) from None
    return listener


def _clear(path: str) -> int:
    """Unlink a socket at `path`, and return the mode for the next one."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return SOCKET_MODE
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "a file that is not a socket is there")
    os.unlink(path)
    return stat.S_IMODE(found.st_mode)


# ---- a host and a port ---------------------------------------------------------------------------


async def _resolve(host: str, port: int, loop: asyncio.AbstractEventLoop) -> list[Address]:
    """Look `host` up, in a thread unless it is a number."""
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    return await loop.run_in_executor(None, _look_up, host, port)


def _look_up(host: str, port: int) -> list[Address]:
    """Wait for the resolver."""
    try:
        return _addresses(host, port)
    except socket.gaierror as exc:
        raise _explain(exc, f"error while attempting to look up host {host!r}") from None


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    """Return each address of `host` once, in the resolver's order; "" means all interfaces."""
    # As bytes, ASCII spares the import of the codec for other names.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(
        name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | flags
    )
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def bind_tcp(addresses: Sequence[Address]) -> list[socket.socket]:
    """Bind a socket to each address. Port 0 is one free port, the same for all of them."""
    attempts = 1 if addresses[0][1][1] else 10
    while True:
        attempts -= 1
        try:
            return _bind_all(addresses)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or not attempts:
                raise


def _bind_all(addresses: Sequence[Address]) -> list[socket.socket]:
    bound: list[socket.socket] = []
    skipped: OSError | None = None
    try:
        for family, address in addresses:
            if address[1] == 0 and bound:
                address = (address[0], bound[0].getsockname()[1], *address[2:])
            try:
                bound.append(_bind(family, address))
            except OSError as exc:
                # A machine without IPv6 still has ::1 in its hosts file: another address will do.
                if exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                skipped = skipped or exc
        if not bound and skipped is not None:
            raise skipped
    except OSError:
        for listener in bound:
            listener.close()
        raise
    return bound


def _bind(family: socket.AddressFamily, address: Any) -> socket.socket:
    what = f"error while attempting to bind on address {address!r}"
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as exc:
        raise _explain(exc, what) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" and "0.0.0.0" may stand side by side.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError as exc:
        listener.close()
        raise _explain(exc, what) from None
    return listener


def _explain(exc: OSError, what: str) -> OSError:
    """Return an OSError of the same number whose text says what was attempted."""
    if exc.errno is None:  # "AF_UNIX path too long" has none
        return OSError(errno.EINVAL, f"{what}: {exc}")
    return OSError(exc.errno, f"{what}: {(exc.strerror or str(exc)).lower()}")
