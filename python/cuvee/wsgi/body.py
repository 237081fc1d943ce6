# SPDX-License-Identifier: MIT
"""`wsgi.input`: the body of a request, read by a thread as it asks for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, cast

from cuvee._core import Receive as ReceiveType
from cuvee._types import Message, Receive, Scope

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_SIZE = 8192


class ClientDisconnected(ConnectionResetError):
    """The client is gone: there is nothing to read from, or to write to."""


class _Body(io.RawIOBase):
    """Bytes that `receive_message()` brings, one message at a time, when they are read."""

    def __init__(self, first: Message | None, receive_message: Callable[[], Message]) -> None:
        self._receive_message = receive_message
        self._piece = memoryview(b"")
        self._more = True
        if first is not None:
            self._take(first)

    def readable(self) -> bool:
        return True

    def _take(self, message: Message) -> None:
        self._piece = memoryview(message.get("body", b""))
        self._more = message.get("more_body", False)

    def _fill(self) -> bool:
        """Have a piece that is not empty; False at the end of the body."""
        while not self._piece and self._more:
            message = self._receive_message()
            if message["type"] != "http.request":
                raise ClientDisconnected("the client left before its request was complete")
            self._take(message)
        return bool(self._piece)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._fill():
            return 0
        with memoryview(buffer) as view:
            count = min(len(view), len(self._piece))
            view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def readall(self) -> bytes:
        pieces = []
        while self._fill():
            pieces.append(self._piece)
            self._piece = memoryview(b"")
        return b"".join(pieces)


def open_body(scope: Scope, receive: Receive, receive_message: Callable[[], Message]) -> BinaryIO:
    """Return the file that a request's body is read from.

    It is asked for in the event loop. Where no body can come, or all of it is here, no thread waits
    for any; `receive_message` is what threads call.
    """
    names = {name for name, _ in scope["headers"]}
    is_framed = b"content-length" in names or b"transfer-encoding" in names
    if not is_framed and scope["http_version"].startswith("1."):
        return io.BytesIO()
    first = None
    if type(receive) is ReceiveType and b"expect" not in names:
        first = _what_is_here(receive)
        if first is not None and first["type"] == "http.request" and not first["more_body"]:
            return io.BytesIO(first["body"])
    raw = _Body(first, receive_message)
    return cast(BinaryIO, io.BufferedReader(raw, BUFFER_SIZE))


def _what_is_here(receive: ReceiveType) -> Message | None:
    """Receive without waiting: the server's own awaitable loses nothing when it is closed."""
    awaitable = receive()
    try:
        awaitable.send(None)
    except StopIteration as done:
        message: Message = done.value
        return message
    awaitable.close()
    return None
