# SPDX-License-Identifier: MIT
"""Sockets of a loop: how transports are made, servers accept, and raw sockets are awaited.

A stream itself is `_core.StreamTransport`, what accepts is `_core.StreamAcceptor`, and what sends
datagrams is `_core.DatagramTransport`; here stands what runs once per connection attempt, per
server, or per call of a `sock_` coroutine. The methods with an underscore are the hooks that
`asyncio.BaseEventLoop` and `asyncio.base_events.Server` call.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import socket
import sys
from asyncio.log import logger
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from cuvee import _asyncio_private as private
from cuvee import _core

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

# A turn of the loop sends so much of a file at most, so that other connections get their share.
_SENDFILE_BLOCK = 1 << 20

# So much is received over TLS in one go.
_TLS_BUFFER = 1 << 18


def _is_tls(sock: object) -> bool:
    # Nobody has an SSLSocket where ssl was never imported, and importing it takes long.
    ssl_module = sys.modules.get("ssl")
    return ssl_module is not None and isinstance(sock, ssl_module.SSLSocket)


def _fail_too(future: asyncio.Future[Any], reason: asyncio.Future[None]) -> None:
    error = reason.exception()
    if error is not None and not future.done():
        future.set_exception(error)


class StreamsMixin(_core.LoopCore, private.BaseLoop):  # type: ignore[misc]  # positional in C
    """Stream connections, servers, `sock_*` and `sendfile`."""

    def __init__(self) -> None:
        super().__init__()
        # The transports enter themselves.
        self._open_streams: dict[int, _core.StreamTransport | _core.DatagramTransport] = {}
        self._acceptors: dict[int, _core.StreamAcceptor] = {}
        self._unix_server_sockets: dict[object, int] = {}
        self._held_sockets: dict[object, socket.socket] = {}  # by the wait for each
        self._tls_memory: memoryview | None = None

    # ---- transports

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        """Refuse a descriptor, or an object that has one, which an open transport uses."""
        fileno = fd
        if not isinstance(fileno, int):
            try:
                fileno = int(fileno.fileno())
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"Invalid file object: {fd!r}") from None
        transport = self._open_streams.get(fileno) or self._transports.get(fileno)
        if transport is not None and not transport.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {transport!r}")

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[Any] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
    ) -> asyncio.Transport:
        self._ensure_fd_no_transport(sock)
        return _core.StreamTransport(self, sock, protocol, waiter, extra, server)

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        waiter: asyncio.Future[Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> asyncio.DatagramTransport:
        self._ensure_fd_no_transport(sock)
        return _core.DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext,
        waiter: asyncio.Future[Any] | None = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        call_connection_made: bool = True,
    ) -> asyncio.Transport:
        self._ensure_fd_no_transport(rawsock)
        tls = private.TLSProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            call_connection_made,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        _core.StreamTransport(self, rawsock, tls, None, extra, server)
        transport: asyncio.Transport = tls._app_transport
        return transport

    def _tls_buffer(self) -> memoryview:
        """Return what all TLS connections receive into."""
        if self._tls_memory is None:
            self._tls_memory = memoryview(bytearray(_TLS_BUFFER))
        return self._tls_memory

    async def start_tls(
        self,
        transport: asyncio.BaseTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport:
        """Go over to TLS on an open connection; return the transport to use from now on.

        TypeError for a transport or a context of another kind; what the handshake fails with closes
        the connection.
        """
        import ssl

        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(
                f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
            )
        lower: Any = transport
        if not getattr(lower, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        shaken = self.create_future()
        tls = private.TLSProtocol(
            self,
            protocol,
            sslcontext,
            shaken,
            server_side,
            server_hostname,
            call_connection_made=False,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        lower.pause_reading()  # nothing comes before connection_made()
        if server_side:
            tls.take_from_reader(protocol)
        lower.set_protocol(tls)
        made = self.call_soon(tls.connection_made, lower)
        resumed = self.call_soon(lower.resume_reading)
        try:
            await shaken
        except BaseException:
            transport.close()
            made.cancel()
            resumed.cancel()
            raise
        finally:
            del shaken  # its exception holds this frame
        upper: asyncio.Transport = tls._app_transport
        return upper

    # ---- servers

    def _start_serving(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: ssl.SSLContext | None = None,
        server: asyncio.AbstractServer | None = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        on_accept = None
        if sslcontext is not None:
            on_accept = functools.partial(
                self._accept_tls,
                protocol_factory,
                sslcontext,
                server,
                ssl_handshake_timeout,
                ssl_shutdown_timeout,
            )
        acceptor = _core.StreamAcceptor(self, sock, protocol_factory, server, backlog, on_accept)
        acceptor.start()
        self._acceptors[sock.fileno()] = acceptor

    def _stop_serving(self, sock: socket.socket) -> None:
        acceptor = self._acceptors.pop(sock.fileno(), None)
        if acceptor is not None:
            acceptor.stop()
        inode = self._unix_server_sockets.pop(sock, None)
        path = sock.getsockname() if inode is not None else None
        sock.close()
        if path is None:
            return
        try:
            if os.stat(path).st_ino == inode:  # else somebody else's socket has the name by now
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.error("Unable to clean up listening UNIX socket %r: %r", path, error)

    def _accept_tls(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sslcontext: ssl.SSLContext,
        server: asyncio.AbstractServer | None,
        handshake_timeout: float | None,
        shutdown_timeout: float | None,
        sock: socket.socket,
    ) -> None:
        """Begin the handshake with a client that was accepted."""

        def open_transport(waiter: asyncio.Future[Any]) -> asyncio.Transport:
            return self._make_ssl_transport(
                sock,
                protocol_factory(),
                sslcontext,
                waiter,
                server_side=True,
                server=server,
                ssl_handshake_timeout=handshake_timeout,
                ssl_shutdown_timeout=shutdown_timeout,
            )

        self.create_task(self._shake_hands(sock, open_transport))

    async def _shake_hands(
        self,
        sock: socket.socket,
        open_transport: Callable[[asyncio.Future[Any]], asyncio.Transport],
    ) -> None:
        transport = None
        try:
            waiter: asyncio.Future[Any] | None = self.create_future()
            assert waiter is not None
            transport = open_transport(waiter)
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if transport is not None:
                transport.close()
            else:
                sock.close()
            if self.get_debug():
                context: dict[str, Any] = {
                    "message": "Error on transport creation for incoming connection",
                    "exception": error,
                }
                if transport is not None:
                    context["transport"] = transport
                self.call_exception_handler(context)
        finally:
            waiter = None  # its exception holds this frame

    # ---- sockets without a transport

    def _check_sock(self, sock: socket.socket) -> None:
        if _is_tls(sock):
            raise TypeError("Socket cannot be of type SSLSocket")
        if self.get_debug() and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    async def _wait_for_fd(
        self,
        fd: int,
        attempt: Callable[[], T],
        *,
        writing: bool,
        lost: asyncio.Future[None] | None = None,
    ) -> T:
        """Wait until `attempt` does not block, calling it each time when `fd` is ready.

        If `lost` fails meanwhile, so does this.
        """

        def try_again(future: asyncio.Future[T]) -> None:
            if future.done():  # cancelled, in this turn
                return
            try:
                result = attempt()
            except (BlockingIOError, InterruptedError):
                return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                del future  # its exception holds this frame

        add, remove = (
            (self._add_writer, self._remove_writer)
            if writing
            else (self._add_reader, self._remove_reader)
        )
        future: asyncio.Future[T] = self.create_future()
        handle = add(fd, try_again, future)
        give_up = functools.partial(_fail_too, future)
        if lost is not None:
            lost.add_done_callback(give_up)
        try:
            return await future
        finally:
            if lost is not None:
                lost.remove_done_callback(give_up)
            if not handle.cancelled():  # else another call has taken the place of this one
                remove(fd)
            del future, give_up  # the future's exception holds this frame

    async def _wait_for_sock(
        self, sock: socket.socket, attempt: Callable[[], T], *, writing: bool
    ) -> T:
        fd = sock.fileno()
        self._ensure_fd_no_transport(fd)
        if not private.hold_socket(sock):
            return await self._wait_for_fd(fd, attempt, writing=writing)
        wait = object()
        self._held_sockets[wait] = sock
        try:
            return await self._wait_for_fd(fd, attempt, writing=writing)
        finally:
            if self._held_sockets.pop(wait, None) is not None:  # else the loop was closed since
                private.release_socket(sock)

    def _release_sockets(self) -> None:
        """Let what was closed while it was waited for be closed, before the loop is."""
        held, self._held_sockets = self._held_sockets, {}
        for sock in held.values():
            private.release_socket(sock)

    async def _sock_io(self, sock: socket.socket, attempt: Callable[[], T], *, writing: bool) -> T:
        self._check_sock(sock)
        try:
            return attempt()
        except (BlockingIOError, InterruptedError):
            pass
        return await self._wait_for_sock(sock, attempt, writing=writing)

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        """Receive up to `n` bytes."""
        return await self._sock_io(sock, lambda: sock.recv(n), writing=False)

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        """Receive into a buffer; return how many bytes came."""
        return await self._sock_io(sock, lambda: sock.recv_into(buf), writing=False)

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        """Receive a datagram and the address it came from."""
        return await self._sock_io(sock, lambda: sock.recvfrom(bufsize), writing=False)

    async def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> tuple[int, Any]:
        """Receive a datagram into a buffer; return its length and the address it came from."""
        size = nbytes or len(buf)
        return await self._sock_io(sock, lambda: sock.recvfrom_into(buf, size), writing=False)

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        """Send a datagram."""
        return await self._sock_io(sock, lambda: sock.sendto(data, address), writing=True)

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        """Send all of `data`."""
        self._check_sock(sock)
        try:
            sent = sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        view = memoryview(data).cast("B")
        if sent == len(view):
            return

        def send_more() -> None:
            nonlocal sent
            sent += sock.send(view[sent:])
            if sent < len(view):
                raise BlockingIOError

        await self._wait_for_sock(sock, send_more, writing=True)

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accept a connection: a non-blocking socket and the address of the peer."""

        def accept() -> tuple[socket.socket, Any]:
            connection, address = sock.accept()
            connection.setblocking(False)
            return connection, address

        return await self._sock_io(sock, accept, writing=False)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect to `address`; a host name is looked up first."""
        self._check_sock(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            found = await self._ensure_resolved(
                address, family=sock.family, type=sock.type, proto=sock.proto, loop=self
            )
            address = found[0][4]
        try:
            sock.connect(address)
            return
        except (BlockingIOError, InterruptedError):  # it goes on in the background
            pass

        def look() -> None:
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, f"Connect call failed {address}")

        await self._wait_for_sock(sock, look, writing=True)

    # ---- sendfile

    async def _sendfile_to_sock(
        self,
        sock: socket.socket,
        file: Any,
        offset: int,
        count: int | None,
        lost: asyncio.Future[None] | None = None,
    ) -> int:
        """Send from `offset` on, `count` bytes or all, and leave the file's position behind them."""
        try:
            source: int = file.fileno()
            size = os.fstat(source).st_size
        except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
            raise asyncio.SendfileNotAvailableError("not a regular file") from None
        if not (count or size):
            return 0
        sent = 0

        def send_block() -> bool:
            """Return whether that was all."""
            nonlocal sent
            left = _SENDFILE_BLOCK if count is None else min(count - sent, _SENDFILE_BLOCK)
            # The number is asked for each time: once closed it may be another connection's.
            block = os.sendfile(sock.fileno(), source, offset + sent, left)
            sent += block
            return block == 0 or sent == count

        try:
            try:
                done = send_block()
            except (BlockingIOError, InterruptedError):
                done = False
            while not done:
                if lost is None:
                    done = await self._wait_for_sock(sock, send_block, writing=True)
                else:  # it is a transport's, which is told of its end by itself
                    fd = sock.fileno()
                    done = await self._wait_for_fd(fd, send_block, writing=True, lost=lost)
        except OSError as error:
            if sent == 0:  # not a file that can be mapped, for one
                raise asyncio.SendfileNotAvailableError("os.sendfile call failed") from error
            if error.errno == errno.ENOTCONN:
                raise ConnectionError("socket is not connected", errno.ENOTCONN) from error
            raise
        finally:
            os.lseek(source, offset + sent, os.SEEK_SET)
        return sent

    async def _sock_sendfile_native(
        self, sock: socket.socket, file: Any, offset: int, count: int | None
    ) -> int:
        self._ensure_fd_no_transport(sock)
        return await self._sendfile_to_sock(sock, file, offset, count)

    async def _sendfile_native(
        self, transp: _core.StreamTransport, file: Any, offset: int, count: int | None
    ) -> int:
        resume = transp.is_reading()
        transp.pause_reading()
        # What is queued goes first; then the descriptor is ours, while write() is refused.
        waiter = transp._make_empty_waiter()
        try:
            await waiter
            transp._reset_empty_waiter()
            lost = transp._make_lost_waiter()
            return await self._sendfile_to_sock(transp._sock, file, offset, count, lost)
        finally:
            transp._reset_empty_waiter()
            if resume:
                transp.resume_reading()
