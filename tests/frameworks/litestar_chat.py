# SPDX-License-Identifier: MIT
"""A chat with Litestar: rooms over its channels plugin, listeners as functions and as a class, a stream, guards."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Controller, Litestar, WebSocket, get, websocket, websocket_listener
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.dto import DataclassDTO
from litestar.exceptions import (
    NotAuthorizedException,
    WebSocketDisconnect,
    WebSocketException,
)
from litestar.handlers import BaseRouteHandler, WebsocketListener, websocket_stream
from litestar.params import FromPath, FromQuery, QueryParameter

Socket = WebSocket[Any, Any, Any]
Connection = ASGIConnection[Any, Any, Any, Any]

rooms = ChannelsPlugin(MemoryChannelsBackend(), arbitrary_channels_allowed=True)


async def obey(socket: Socket, room: str, name: str) -> int:
    """Do what the client asks until one side closes; return the code."""
    while True:
        message: Any = await socket.receive()
        if message["type"] == "websocket.disconnect":
            code: int = message["code"]
            return code
        if message["type"] == "websocket.receive" and message.get("bytes") is not None:
            rooms.publish(b"\0" + (message["bytes"] or b""), room)
            continue
        match json.loads(message["text"]):
            case {"say": text}:
                rooms.publish({"from": name, "said": text}, room)
            case {"leave": int(code), "reason": reason}:
                await socket.close(code, reason)
                return code
            case {"fail": True}:
                raise LookupError("in a handler")


@websocket("/chat/{room:str}")
async def chat(
    socket: Socket,
    room: FromPath[str],
    name: Annotated[str, QueryParameter(min_length=1)],
) -> None:
    """A room: a subscriber sends what comes by the channel while this receives."""

    async def deliver(event: bytes) -> None:
        with contextlib.suppress(
            OSError, RuntimeError, WebSocketException
        ):  # the client has gone, or we have closed
            if event.startswith(b"\0"):
                await socket.send_bytes(event[1:])
            else:
                await socket.send_text(event.decode())

    offered = socket.scope["subprotocols"]
    subprotocol = "chat.v2" if "chat.v2" in offered else None
    await socket.accept(subprotocols=subprotocol, headers={"x-room": ascii(room)[1:-1]})
    code = 4500
    try:
        async with rooms.start_subscription(room) as subscriber:
            async with subscriber.run_in_background(deliver, join=False):
                rooms.publish({"joined": name}, room)
                code = await obey(socket, room, name)
    finally:
        print(f"{name} left with {code}", flush=True)
        rooms.publish({"left": name, "code": code}, room)


def members_only(connection: Connection, handler: BaseRouteHandler) -> None:
    """A guard: it needs a cookie."""
    if "user" not in connection.cookies:
        raise NotAuthorizedException("who are you?")


@websocket("/who", guards=[members_only])
async def who(socket: Socket) -> None:
    """Tell the client who it is."""
    await socket.accept()
    await socket.send_text(socket.cookies["user"])
    await socket.close()


@dataclass
class Line:
    """What is said."""

    text: str
    number: int = 0


@dataclass
class Lease:
    """Something that is open as long as the connection."""

    name: str


async def provide_lease(name: FromQuery[str] = "nobody") -> AsyncGenerator[Lease, None]:
    """Open and close it."""
    yield Lease(name)
    print("lease closed", flush=True)


@websocket_listener(
    "/lines",
    dependencies={"lease": Provide(provide_lease)},
    dto=DataclassDTO[Line],
    return_dto=None,
)
async def lines(data: Line, lease: NamedDependency[Lease]) -> dict[str, Any]:
    """Take validated JSON, give JSON."""
    return {"name": lease.name, "text": data.text.upper(), "number": data.number + 1}


@websocket_listener("/raw", receive_mode="binary", send_mode="binary")
def raw(data: bytes) -> bytes:
    """Plain, and bytes."""
    return data[::-1]


class Greeter(WebsocketListener):
    """A listener with hooks."""

    path = "/greeter/{word:str}"

    async def on_accept(self, socket: Socket, word: FromPath[str]) -> None:
        """Say hello."""
        await socket.send_text(word)

    async def on_disconnect(self, socket: Socket) -> None:
        """Note it."""
        print("greeted", flush=True)

    async def on_receive(self, data: str) -> str:
        """Answer, or refuse to."""
        if data == "enough":
            raise WebSocketException(detail="that was enough", code=4008)
        return f"{data}!"


@asynccontextmanager
async def connection(socket: Socket) -> AsyncGenerator[None, None]:
    """The life of a connection, in one place."""
    await socket.accept(headers={"x-life": "managed"})
    try:
        yield
    except WebSocketDisconnect as end:
        print(f"managed end {end.code}", flush=True)


@websocket_listener("/managed", connection_lifespan=connection)
async def managed(data: str, socket: Socket) -> str:
    """A listener that knows its socket."""
    return f"{socket.url.path} {data}"


@websocket_stream("/numbers")
async def numbers(upto: FromQuery[int]) -> AsyncGenerator[int, None]:
    """A few numbers; then the end, or silence until the client goes."""
    try:
        for number in range(abs(upto)):
            yield number
        if upto < 0:
            await asyncio.Event().wait()
    finally:
        print("numbers over", flush=True)


class Private(Controller):
    """Behind a guard, with a dependency."""

    path = "/private"
    guards = [members_only]  # noqa: RUF012

    @websocket("/{number:int}")
    async def numbered(self, socket: Socket, number: FromPath[int]) -> None:
        await socket.accept()
        await socket.send_json([number, socket.query_params.getall("q", [])])
        await socket.send_json(await socket.receive_json())
        await socket.close(4001, "done")


@websocket("/broken")
async def broken(socket: Socket) -> None:
    """Fails before it accepts."""
    raise LookupError("before accept")


@get("/say/{room:str}")
async def say(channels: NamedDependency[ChannelsPlugin], room: FromPath[str]) -> str:
    """Speak in a room by HTTP."""
    channels.publish({"from": "http", "said": "hello"}, room)
    return "said"


app = Litestar(
    [
        chat,
        who,
        lines,
        raw,
        Greeter,
        managed,
        numbers,
        Private,
        broken,
        say,
    ],
    logging_config=None,
    openapi_config=None,
    plugins=[rooms],
)
