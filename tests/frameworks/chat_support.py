# SPDX-License-Identifier: MIT
"""What the tests of WebSockets in frameworks share: an application in a process of its own, and real clients.

The chat applications here (`*_chat.py`) differ in everything but what they say to their clients, so that one test is
held against all of them:

    /chat/ROOM?name=NAME    who joins, speaks and leaves, told to all in the room; without a name it is refused
    /who                    the name in a cookie, or refused

and in a room a client says {"say": TEXT}, {"leave": CODE, "reason": TEXT} (the server closes), {"fail": true} (an
error in the handler) or anything binary.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.asgi import WAIT
from tests.support.server_process import ServerProcess

Message = str | bytes
Closed = tuple[int, str]


class Refused(Exception):
    """The server answered the handshake with a status of HTTP."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


class Peer(Protocol):
    """A connected client, of whichever library."""

    subprotocol: str | None
    headers: Mapping[str, str]

    async def send(self, message: Message) -> None:
        """Send a text or bytes."""

    async def receive(self) -> Message:
        """Wait for the next message."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the answer."""

    async def closed(self) -> Closed:
        """Wait until the server closes, and tell how; nothing else may come."""

    def abort(self) -> None:
        """Cut the connection off."""


class WebsocketsPeer:
    """The client of `websockets`."""

    def __init__(self, connection: websockets.asyncio.client.ClientConnection) -> None:
        assert connection.response is not None
        self._connection = connection
        self.subprotocol: str | None = connection.subprotocol
        self.headers: Mapping[str, str] = connection.response.headers

    async def send(self, message: Message) -> None:
        """Send a text or bytes."""
        await self._connection.send(message)

    async def receive(self) -> Message:
        """Wait for the next message."""
        return await self._connection.recv()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the answer."""
        await self._connection.close(code, reason)

    async def closed(self) -> Closed:
        """Wait until the server closes, and tell how; nothing else may come."""
        try:
            unexpected = await self._connection.recv()
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
        raise AssertionError(f"not closed, but {unexpected!r}")

    def abort(self) -> None:
        """Cut the connection off."""
        self._connection.transport.abort()


class AiohttpPeer:
    """The client of `aiohttp`."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self.subprotocol = connection.protocol
        self.headers: Mapping[str, str] = connection._response.headers

    async def send(self, message: Message) -> None:
        """Send a text or bytes."""
        if isinstance(message, str):
            await self._connection.send_str(message)
        else:
            await self._connection.send_bytes(message)

    async def receive(self) -> Message:
        """Wait for the next message."""
        message = await self._connection.receive()
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        data: Message = message.data
        return data

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the answer."""
        await self._connection.close(code=code, message=reason.encode())

    async def closed(self) -> Closed:
        """Wait until the server closes, and tell how; nothing else may come."""
        message = await self._connection.receive()
        if message.type == aiohttp.WSMsgType.CLOSE:
            return message.data, message.extra or ""
        assert message.type == aiohttp.WSMsgType.CLOSED, message
        return 1006, ""

    def abort(self) -> None:
        """Cut the connection off."""
        transport = self._connection._response.connection
        assert transport is not None and transport.transport is not None
        transport.transport.abort()


@asynccontextmanager
async def by_websockets(
    url: str, subprotocols: Sequence[str], headers: Mapping[str, str], origin: str | None
) -> AsyncIterator[Peer]:
    """Connect with `websockets`."""
    options: dict[str, Any] = {"max_size": None, "open_timeout": WAIT, "proxy": None}
    options |= {"subprotocols": subprotocols or None, "origin": origin}
    try:
        connection = await websockets.asyncio.client.connect(
            url,
            additional_headers=headers,
            **options,
        )
    except InvalidStatus as refusal:
        answer = refusal.response
        raise Refused(answer.status_code, answer.headers, bytes(answer.body)) from None
    async with connection:
        yield WebsocketsPeer(connection)


@asynccontextmanager
async def by_aiohttp(
    url: str, subprotocols: Sequence[str], headers: Mapping[str, str], origin: str | None
) -> AsyncIterator[Peer]:
    """Connect with `aiohttp`, which does not keep the body of a refusal."""
    options: dict[str, Any] = {"max_msg_size": 0, "compress": 15}
    async with aiohttp.ClientSession() as session:
        try:
            connection = await session.ws_connect(
                url, protocols=subprotocols, headers=headers, origin=origin, **options
            )
        except aiohttp.WSServerHandshakeError as refusal:
            raise Refused(refusal.status, refusal.headers or {}, None) from None
        async with connection:
            yield AiohttpPeer(connection)


CLIENTS = {"websockets": by_websockets, "aiohttp": by_aiohttp}


class Served:
    """An application that is served, and ways to connect to it."""

    def __init__(self, process: ServerProcess, client: str = "websockets") -> None:
        self.process = process
        self.client = client
        self.address = f"127.0.0.1:{process.wait_until_running()}"
        self.url = f"http://{self.address}"

    @asynccontextmanager
    async def connect(
        self,
        path: str,
        *subprotocols: str,
        headers: Mapping[str, str] | None = None,
        origin: str | None = "",
    ) -> AsyncIterator[Peer]:
        """Connect as a page of this server would; `origin` may be another, or None."""
        origin = self.url if origin == "" else origin
        url = f"ws://{self.address}{path}"
        async with CLIENTS[self.client](url, subprotocols, headers or {}, origin) as peer:
            yield peer

    @asynccontextmanager
    async def join(self, name: str, *others: Peer, room: str = "lobby") -> AsyncIterator[Peer]:
        """Enter a room; the others in it are told."""
        async with self.connect(f"/chat/{room}?name={name}") as peer:
            for each in (peer, *others):
                assert await heard(each) == {"joined": name}
            yield peer

    async def refusal(self, path: str, *subprotocols: str, **options: Any) -> Refused:
        """Be refused, and return how."""
        try:
            async with self.connect(path, *subprotocols, **options):
                raise AssertionError("not refused")
        except Refused as refused:
            return refused

    async def said(self, text: str, *, nth: int = 1) -> None:
        """Wait until the application has printed `text`, while the clients live on."""
        assert self.process.stdout is not None
        await asyncio.to_thread(self.process.stdout.expect, text, nth=nth)


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run what clients do."""

    async def bounded() -> None:
        async with asyncio.timeout(WAIT):
            await scene

    asyncio.run(bounded())


async def tell(peer: Peer, **message: Any) -> None:
    """Send JSON."""
    await peer.send(json.dumps(message))


async def heard(peer: Peer) -> Any:
    """Receive JSON."""
    text = await peer.receive()
    assert isinstance(text, str), text
    return json.loads(text)


def serve_module(module: str, *arguments: str, **options: Any) -> ServerProcess:
    """Serve `app` of a module of this folder by the `cuvee` command."""
    return ServerProcess(f"tests.frameworks.{module}:app", "--port", "0", *arguments, **options)


def logged_errors(lines: list[str]) -> int:
    """Count the tracebacks in a log; those of an error that led to another are no errors of their own."""
    text = "\n".join(lines)
    causes = text.count("During handling of the above exception, another exception occurred:")
    causes += text.count("The above exception was the direct cause of the following exception:")
    return text.count("Traceback (most recent call last):") - causes


def stop_cleanly(process: ServerProcess, errors: int = 0) -> None:
    """Stop the server; it must have logged as many errors as the test provoked."""
    assert process.stop() == 0
    lines = process.errors()
    assert logged_errors(lines) == errors, "\n".join(lines)
