# SPDX-License-Identifier: MIT
"""Every private name of asyncio, and of what it stands on, that cuvee uses, in one place.

Each was read in CPython 3.11.7, 3.12.1, 3.13.0 and 3.14; where a version differs, the difference is
handled here, and nothing else in cuvee imports such a name. Some are attributes instead: what the
loop inherits, what asyncio's own parts ask of a loop, a transport or a handle, and what the C half
looks at. `tests/loop/test_asyncio_private.py` reads the list below, where the versions stand that
have a name if not all do, and says which one is missing in a new Python.

`asyncio.events._set_running_loop`,              says which loop runs in this thread
`_get_running_loop`
`asyncio.base_events.BaseEventLoop`              the base class; of its private half the loop
                                                 uses `_check_running`, `_check_callback`,
                                                 `_set_coroutine_origin_tracking`, the two
                                                 `_asyncgen_*_hook`, `_current_handle`,
                                                 `_exception_handler`, `_default_executor`,
                                                 `_ensure_resolved` and `_getaddrinfo_debug`
`asyncio.tasks._scheduled_tasks`,                the WeakSet of all tasks, 3.12 and 3.13, and 3.11;
`_all_tasks`                                     its `add` and `_remove` are replaced by C functions
`asyncio.base_events._format_handle`             how the slow-callback warning names a handle
`asyncio.format_helpers.extract_stack`           the debug mode's source tracebacks
`asyncio.format_helpers._format_callback_source` how error messages name a callback
`asyncio.unix_events._UnixSelectorEventLoop`     Unix sockets, pipes and subprocesses: methods that
                                                 need only `_add_reader` and its like from the loop
`asyncio.unix_events._PidfdChildWatcher`,        3.14: the loop itself has its child watcher
`_ThreadedChildWatcher`, `can_use_pidfd`
`asyncio.sslproto.SSLProtocol`                   TLS: `_do_read__copied`, `_do_read__buffered`
                                                 and `_process_outgoing` are replaced; they use
                                                 what the base class keeps: the fields, and
                                                 `_do_read`, `_call_eof_received`,
                                                 `_start_shutdown` and `_control_app_writing`
`socket.socket._io_refs`, `_decref_socketios`    what `makefile()` does to keep a socket open
===============================================  ===================================================
=======
asyncio.events: which loop runs in this thread
    _get_running_loop _set_running_loop
asyncio.events.Handle: what a handle shows
    _args _callback _cancelled _context _loop _run _source_traceback
asyncio.events.TimerHandle: what a timer shows
    _scheduled _when
asyncio.tasks: the WeakSet of all tasks, filled by C functions
    3.11: _all_tasks
    3.12-3.13: _scheduled_tasks
_weakrefset.WeakSet: its fields, and the method that is replaced for that
    3.11-3.13: _commit_removals _iterating _pending_removals _remove data
asyncio.futures.Future: who awaits a future
    _asyncio_future_blocking
asyncio.format_helpers: how a callback is named, and where a handle was made
    _format_callback_source extract_stack
asyncio.base_events: how the slow-callback warning names a handle
    _format_handle
asyncio.base_events.BaseEventLoop: what the loop inherits, beside the fields in BASE_FIELDS
    _asyncgen_finalizer_hook _asyncgen_firstiter_hook _check_callback _check_closed _check_running
    _ensure_resolved _getaddrinfo_debug _set_coroutine_origin_tracking
asyncio.base_events.BaseEventLoop: fields that the C half has in their place
    _closed _debug _stopping _task_factory _thread_id
asyncio.base_events.Server: whose connections it counts
    _attach _detach
asyncio.selector_events.BaseSelectorEventLoop: what asyncio's own parts call and look at
    _add_reader _add_writer _remove_reader _remove_writer _write_to_self
    _ensure_fd_no_transport _make_datagram_transport _make_socket_transport _make_ssl_transport
    _sendfile_native _sock_sendfile_native _start_serving _stop_serving _transports
asyncio.unix_events._UnixSelectorEventLoop: Unix sockets, pipes and subprocesses
    _child_watcher_callback _make_read_pipe_transport _make_subprocess_transport
    _make_write_pipe_transport
    3.13-: _unix_server_sockets
    3.14-: _watcher
asyncio.unix_events: how a loop learns of the end of its subprocesses
    3.14-: _PidfdChildWatcher _ThreadedChildWatcher can_use_pidfd
asyncio.transports._FlowControlMixin: the base class of streams, for its layout
    _protocol_paused
asyncio.selector_events._SelectorSocketTransport: what asyncio asks of a stream
    _call_connection_lost _closing _force_close _make_empty_waiter _paused _reset_empty_waiter
    _sendfile_compatible _sock _sock_fd _start_tls_compatible
asyncio.constants._SendfileMode: that sendfile() may be tried on a stream
    TRY_NATIVE
asyncio.sslproto.SSLProtocol: the transport that the application sees
    _app_transport
asyncio.sslproto.SSLProtocol: TLS, of which three methods are replaced, and what those use
    _app_protocol _app_protocol_buffer_updated _app_protocol_get_buffer _app_writing_paused
    _call_eof_received _control_app_writing _do_read _do_read__buffered _do_read__copied _incoming
    _outgoing _process_outgoing _ssl_buffer _ssl_buffer_view _ssl_writing_paused _sslobj
    _start_shutdown _transport _write_backlog
asyncio.streams.StreamReaderProtocol: where its reader is
    _stream_reader _stream_reader_wr
asyncio.streams.StreamReader: what feed_data() changes
    _buffer _eof _limit _paused _transport _waiter
asyncio.trsock: the socket that a transport shows
    TransportSocket
socket.socket: what makefile() does to keep a socket open
    _decref_socketios _io_refs
"""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio import base_events, events, format_helpers, sslproto, unix_events
from asyncio.log import logger
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import traceback
    from collections.abc import Callable

    from cuvee._core import Handle
    from cuvee.loop import Loop

if TYPE_CHECKING:

    class BaseLoop(asyncio.BaseEventLoop):
        """The base class, with those names of its private half that its type stub leaves out."""

        _debug: bool
        _asyncgen_firstiter_hook: Callable[[Any], None]
        _asyncgen_finalizer_hook: Callable[[Any], None]

        def _check_closed(self) -> None: ...
        def _check_running(self) -> None: ...
        def _set_coroutine_origin_tracking(self, enabled: bool) -> None: ...
        def _ensure_fd_no_transport(self, fd: Any) -> None: ...
        async def _ensure_resolved(self, address: Any, **options: Any) -> list[Any]: ...
        def _getaddrinfo_debug(self, *args: Any) -> list[Any]: ...

    class SSLProtocol(asyncio.BufferedProtocol):
        """The base class of TLS, of which the type stub knows less than is there."""

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    BaseLoop = asyncio.BaseEventLoop
    SSLProtocol = sslproto.SSLProtocol

# What BaseEventLoop.__init__ sets, in one version or another, and LoopCore has not.
BASE_FIELDS = (
    "_asyncgens",
    "_asyncgens_shutdown_called",
    "_clock_resolution",
    "_coroutine_origin_tracking_enabled",
    "_coroutine_origin_tracking_saved_depth",
    "_current_handle",
    "_default_executor",
    "_exception_handler",
    "_executor_shutdown_called",
    "_internal_fds",
    "_old_agen_hooks",
    "_ready",
    "_scheduled",
    "_timer_cancelled_count",
    "slow_callback_duration",
)

base_create_task = asyncio.BaseEventLoop.create_task
get_running_loop = events._get_running_loop

# The WeakSet that every waiting task enters; 3.14 has a linked list in C.
task_set: object = None
if sys.version_info < (3, 12):
    task_set = asyncio.tasks._all_tasks  # type: ignore[attr-defined]
elif sys.version_info < (3, 14):
    task_set = asyncio.tasks._scheduled_tasks

# Parameters of _format_callback_source: 3.13.4 and 3.14 take `debug` and hide arguments without it.
_FORMAT_TAKES_DEBUG = "debug" in format_helpers._format_callback_source.__code__.co_varnames


def set_running_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Say which loop runs in this thread."""
    events._set_running_loop(loop)  # asked for each time: a program may replace it


def extract_stack(frame: FrameType) -> traceback.StackSummary:
    """Return where a handle was made, for the debug mode."""
    return format_helpers.extract_stack(frame)


def _format_callback(handle: Handle) -> str:
    options = {"debug": handle._loop.get_debug()} if _FORMAT_TAKES_DEBUG else {}
    text: str = format_helpers._format_callback_source(handle._callback, handle._args, **options)
    return text


def handle_repr(handle: Handle) -> str:
    """Describe a handle in asyncio's words."""
    words = [type(handle).__name__]
    if handle._cancelled:
        words.append("cancelled")
    if hasattr(handle, "_when"):
        words.append(f"when={handle._when}")
    if handle._callback is not None:
        words.append(_format_callback(handle))
    if handle._source_traceback:
        frame = handle._source_traceback[-1]
        words.append(f"created at {frame[0]}:{frame[1]}")
    return f"<{' '.join(words)}>"


def report_callback_failure(handle: Handle, exception: BaseException) -> None:
    """Give what a callback raised to the loop's exception handler."""
    context: dict[str, Any] = {
        "message": f"Exception in callback {_format_callback(handle)}",
        "exception": exception,
        "handle": handle,
    }
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    handle._loop.call_exception_handler(context)


def _context_key(source: object) -> str:
    """Return the key that asyncio's exception contexts have for such an object."""
    if isinstance(source, asyncio.Task):
        return "task"
    if isinstance(source, asyncio.Future):
        return "future"
    if isinstance(source, asyncio.BaseTransport):
        return "transport"
    if isinstance(source, asyncio.BaseProtocol):
        return "protocol"
    return "handle" if hasattr(source, "get_context") else "source"


def report_error(loop: Loop, message: str, exception: BaseException | None, source: object) -> None:
    """Give an exception from C code to the loop's exception handler."""
    context: dict[str, Any] = {"message": message}
    if exception is not None:
        context["exception"] = exception
    if source is not None:
        context[_context_key(source)] = source
    loop.call_exception_handler(context)


def report_if_slow(loop: Loop, handle: Handle, seconds: float) -> None:
    """Warn, in debug mode, about a callback that held the loop for long."""
    if seconds >= loop.slow_callback_duration:
        name = base_events._format_handle(handle)  # type: ignore[attr-defined]
        logger.warning("Executing %s took %.3f seconds", name, seconds)


def call_in_context_of(
    handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object],
) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]:
    """Make an exception handler run in the context of the task or handle that failed.

    asyncio does so itself since 3.12.
    """

    def run(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> object:
        thing: Any = context.get("task") or context.get("future") or context.get("handle")
        task_context = thing.get_context() if hasattr(thing, "get_context") else None
        if task_context is None:
            return handler(loop, context)
        return task_context.run(handler, loop, context)

    return run


def new_child_watcher() -> object | None:
    """Return what a loop of 3.14 keeps to learn of the end of its subprocesses."""
    if sys.version_info >= (3, 14):
        can_use_pidfd: Callable[[], bool] = unix_events.can_use_pidfd
        name = "_PidfdChildWatcher" if can_use_pidfd() else "_ThreadedChildWatcher"
        watcher: object = getattr(unix_events, name)()
        return watcher
    return None  # the event loop policy has it


def hold_socket(sock: Any) -> bool:
    """Keep a socket's number until `release_socket`, even if it is closed; False if it cannot be.

    Files made from a socket do the same: without it somebody else's descriptor could have the
    number by the time it is ready, or nobody's, and who waits would wait for ever.
    """
    # What only looks like a socket is asked by its type: it may answer for the socket behind it.
    if not issubclass(type(sock), socket.socket) or sock.fileno() < 0:
        return False
    sock._io_refs += 1
    return True


def release_socket(sock: Any) -> None:
    """Undo `hold_socket`."""
    sock._decref_socketios()


class TLSProtocol(SSLProtocol):
    """asyncio's TLS, which looks whether there is anything to decrypt before it tries.

    Without that every read ends in an exception, and asks for 256 KiB to put a record into. What is
    received goes through one buffer of the loop's: it is passed on before anybody else receives.
    """

    max_size = 16384
    """Bytes of the largest record (RFC 8446 section 5.1): one read gives no more."""

    def __init__(self, loop: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(loop, *args, **kwargs)
        self._ssl_buffer_view = loop._tls_buffer()
        self._ssl_buffer = self._ssl_buffer_view.obj

    def take_from_reader(self, protocol: asyncio.BaseProtocol) -> None:
        """Take what a stream has read already: the first bytes of a client that did not wait."""
        if isinstance(protocol, asyncio.StreamReaderProtocol):
            reader: Any = protocol._stream_reader  # type: ignore[attr-defined]
            if reader is not None and reader._buffer:
                self._incoming.write(reader._buffer)
                reader._buffer.clear()

    def _process_outgoing(self) -> None:
        if self._outgoing.pending:
            if not self._ssl_writing_paused:
                self._transport.write(self._outgoing.read())
        elif not self._write_backlog and not self._app_writing_paused:
            return  # it was called after a read that nothing was written in
        self._control_app_writing()

    def _do_read__copied(self) -> None:
        pieces = []
        ended = False
        incoming, read = self._incoming, self._sslobj.read
        try:
            more = incoming.pending or self._sslobj.pending()
            while more and not ended:
                wanted = min(more, self.max_size)  # what is decrypted is shorter than what came
                if piece := read(wanted):
                    pieces.append(piece)
                    # What is decrypted already first: nothing is taken from `incoming` before that.
                    more = (len(piece) == wanted and self._sslobj.pending()) or incoming.pending
                else:
                    ended = True
        except sslproto.SSLAgainErrors:
            pass  # the rest of a record is still under way
        if pieces:
            self._app_protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended:
            self._end_input()

    def _do_read__buffered(self) -> None:
        if not (self._incoming.pending or self._sslobj.pending()):
            return
        buffer = self._app_protocol_get_buffer(self._incoming.pending)
        wanted = len(buffer)
        filled = 0
        ended = False
        try:
            while not ended and (self._incoming.pending or self._sslobj.pending()):
                count = self._sslobj.read(wanted - filled, buffer[filled:] if filled else buffer)
                filled += count
                ended = count == 0
                if count and filled == wanted:
                    self._loop.call_soon(self._do_read)
                    break
        except sslproto.SSLAgainErrors:
            pass
        if filled:
            self._app_protocol_buffer_updated(filled)
        if ended:
            self._end_input()

    def _end_input(self) -> None:
        """Act on the peer's close_notify."""
        self._call_eof_received()
        self._start_shutdown()


_Unix = unix_events._UnixSelectorEventLoop


class UnixParts(BaseLoop):
    """asyncio's own Unix sockets, pipes and subprocesses, which work on any loop with `_add_reader`."""

    create_unix_connection = _Unix.create_unix_connection
    create_unix_server = _Unix.create_unix_server
    _make_read_pipe_transport = _Unix._make_read_pipe_transport  # type: ignore[attr-defined]
    _make_write_pipe_transport = _Unix._make_write_pipe_transport  # type: ignore[attr-defined]
    _make_subprocess_transport = _Unix._make_subprocess_transport  # type: ignore[attr-defined]
    _child_watcher_callback = _Unix._child_watcher_callback  # type: ignore[attr-defined]
