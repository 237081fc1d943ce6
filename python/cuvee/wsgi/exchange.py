# SPDX-License-Identifier: MIT
"""One request of a WSGI application: its thread, its coroutine, and what they say to each other.

The thread leaves orders, which the coroutine carries out one after the other in the event loop: a
message to send, a piece of the answer, its end. The loop is woken for the first one only; what the
thread orders until the loop gets to it goes with that. An ordinary answer costs one hop there and
one hop back.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import Iterable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from cuvee._types import Message, Receive, Scope, Send
from cuvee.wsgi._types import ExcInfo
from cuvee.wsgi.body import ClientDisconnected, open_body
from cuvee.wsgi.environ import make_environ
from cuvee.wsgi.files import FileWrapper, regular_file

if TYPE_CHECKING:
    from cuvee.wsgi.middleware import WSGIMiddleware
    from cuvee.wsgi.threads import Threads

UNSENT_BYTES = 65536
"""How much of an answer a thread may be ahead of the client."""

END: Final = object()
"""An order: the answer is complete."""
RECEIVE: Final = object()
"""An order: receive a message, and give it to the thread that waits for it."""
ANSWER: Final = object()
"""An order: everything before this is sent; tell the thread, which waits for that."""
DONE: Final = object()
"""An order, the last one: the application has returned."""


class Exchange:
    """The methods up to `serve` are the loop's, the others the thread's."""

    def __init__(
        self, middleware: WSGIMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._body: BinaryIO | None = open_body(scope, receive, self._receive_message)
        self._orders: deque[object] = deque()
        self._is_called = False  # the loop will look at the orders
        self._waiter: asyncio.Future[None] | None = None
        self._replies: SimpleQueue[Message | None] = SimpleQueue()
        self._is_given_up = False
        self._failure: BaseException | None = None
        # the thread's
        self._head: dict[str, Any] | None = None
        self._is_head_sent = False
        self._unsent = 0

    # ---- in the loop -----------------------------------------------------------------------------

    async def serve(self, threads: Threads) -> None:
        """Have the application run, and do what it orders; raise what it raises."""
        context = contextvars.copy_context()
        threads.submit(lambda: context.run(self._run))
        try:
            await self._carry_out()
        except BaseException:
            self._is_given_up = True
            self._replies.put(None)
            raise
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure

    async def _carry_out(self) -> None:
        orders = self._orders
        while True:
            while not orders:
                await self._wait_for_orders()
            order = orders.popleft()
            if type(order) is bytes:
                more = not orders or orders[0] is not END
                if not more:
                    orders.popleft()
                message = {"type": "http.response.body", "body": order, "more_body": more}
                await self._send(message)
            elif type(order) is dict:
                await self._send(order)
            elif order is RECEIVE:
                self._replies.put(await self._receive())
            elif order is ANSWER:
                self._replies.put(None)
            elif order is END:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                return

    async def _wait_for_orders(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _on_call(self) -> None:
        self._is_called = False  # first: whoever orders something from now on calls again
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        """Call the application, and send what it returns."""
        if self._is_given_up:
            return
        try:
            self._answer()
        except ClientDisconnected:
            pass
        except BaseException as exc:
            self._failure = exc
        with contextlib.suppress(ClientDisconnected):
            self._order(DONE)

    def _answer(self) -> None:
        middleware = self._middleware
        body, self._body = self._body, None  # it leads back here
        environ = make_environ(self._scope, body, multithread=middleware.workers > 1)
        del body
        result = middleware.app(environ, self._start_response)
        try:
            if not (isinstance(result, FileWrapper) and self._send_file(result)):
                self._send_pieces(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Any:
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self._is_head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it has this frame in it
        elif self._head is not None:
            raise AssertionError("start_response() was called twice, without exc_info")
        self._head = make_head(status, headers)
        return self._write

    def _send_pieces(self, result: Iterable[bytes]) -> None:
        if isinstance(result, list | tuple) and len(result) == 1:
            self._order_piece(result[0])
        else:
            for piece in result:
                if piece:
                    self._write(piece)
        if not self._is_head_sent:
            self._order_head()
        self._order(END)

    def _write(self, data: bytes) -> None:
        """Send a piece of the answer; this is what start_response returns.

        Waits first while too much is on its way.
        """
        if not data:
            return
        if self._unsent > UNSENT_BYTES:
            self._order(ANSWER)
            self._wait_for_reply()
            self._unsent = 0
        self._order_piece(data)
        self._call()

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Let the kernel send a file; False where that cannot be done."""
        if "http.response.zerocopysend" not in (self._scope.get("extensions") or ()):
            return False
        found = regular_file(wrapper.filelike)
        if found is None or self._is_head_sent:
            return False
        self._order_head()
        file, offset = found
        assert self._head is not None
        lengths = [v for name, v in self._head["headers"] if name.lower() == b"content-length"]
        count = int(lengths[0]) if lengths and lengths[0].isdigit() else None
        message = {"type": "http.response.zerocopysend", "file": file, "offset": offset}
        self._orders.append({**message, "count": count, "more_body": False})
        self._order(ANSWER)  # close() comes next
        self._wait_for_reply()
        return True

    def _order_piece(self, data: bytes) -> None:
        if type(data) is not bytes:
            data = _as_bytes(data)
        if not self._is_head_sent:
            self._order_head()
        self._orders.append(data)
        self._unsent += len(data)

    def _order_head(self) -> None:
        if self._head is None:
            raise AssertionError("start_response() was not called before the first piece was sent")
        self._is_head_sent = True
        self._orders.append(self._head)

    def _order(self, order: object) -> None:
        self._orders.append(order)
        self._call()

    def _call(self) -> None:
        """Have the loop look at the orders; raise when the client is gone."""
        if not self._is_called:
            self._is_called = True
            try:
                self._loop.call_soon_threadsafe(self._on_call)
            except RuntimeError:  # the loop is closed
                self._is_given_up = True
        if self._is_given_up or self._is_client_gone():
            raise ClientDisconnected("the client left before its answer was complete")

    def _is_client_gone(self) -> bool:
        """Ask the server whose bound method `receive` is; others are not asked."""
        cycle = getattr(self._receive, "__self__", None)
        return bool(getattr(cycle, "disconnected", False))

    def _receive_message(self) -> Message:
        self._order(RECEIVE)
        message = self._wait_for_reply()
        assert message is not None
        return message

    def _wait_for_reply(self) -> Message | None:
        reply = self._replies.get()
        if self._is_given_up:
            raise ClientDisconnected("the client left before its answer was complete")
        return reply


def make_head(status: Any, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the message that begins an answer."""
    if not isinstance(status, str) or status[3:4] not in ("", " ") or not status[:3].isdecimal():
        raise ValueError(f"a status must be like '200 OK', not {status!r}")
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": int(status[:3]), "headers": pairs}


def _as_bytes(data: object) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"pieces of an answer must be bytes, not {type(data).__name__}")
    return bytes(data)
