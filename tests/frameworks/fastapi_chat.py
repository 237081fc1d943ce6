# SPDX-License-Identifier: MIT
"""A chat with FastAPI: rooms behind dependencies, and each way in which a WebSocket can be refused or closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import (
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    status,
)
from fastapi.exceptions import WebSocketRequestValidationError
from pydantic import BaseModel
from starlette.requests import HTTPConnection


class Ask(BaseModel):
    """What a client asks for."""

    say: str | None = None
    leave: int | None = None
    reason: str = ""
    fail: bool = False


class Rooms:
    """Who is in which room."""

    def __init__(self) -> None:
        self._members: defaultdict[str, set[WebSocket]] = defaultdict(set)

    def enter(self, room: str, member: WebSocket) -> None:
        """Add a member."""
        self._members[room].add(member)

    def leave(self, room: str, member: WebSocket) -> None:
        """Remove one."""
        self._members[room].discard(member)

    async def tell(self, room: str, message: Any) -> None:
        """Send bytes, or anything else as JSON, to all in the room; some may be on their way out."""
        for member in list(self._members[room]):
            try:
                if isinstance(message, bytes):
                    await member.send_bytes(message)
                else:
                    await member.send_json(message)
            except (WebSocketDisconnect, RuntimeError):
                self.leave(room, member)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Make the rooms, which every connection finds in its state."""
    yield {"rooms": Rooms()}
    print("stopped", flush=True)


app = FastAPI(lifespan=lifespan)


def the_rooms(connection: HTTPConnection) -> Rooms:
    """The rooms, as a dependency."""
    rooms: Rooms = connection.state.rooms
    return rooms


def known(user: Annotated[str | None, Cookie()] = None) -> str:
    """The name in the cookie, without which nobody comes in."""
    if user is None:
        raise WebSocketException(status.WS_1008_POLICY_VIOLATION, "who are you?")
    return user


async def lease() -> AsyncIterator[str]:
    """Something that is open as long as the connection."""
    try:
        yield "leased"
    finally:
        print("lease closed", flush=True)


async def obey(websocket: WebSocket, rooms: Rooms, room: str, name: str) -> int:
    """Do what the client asks until one side closes; return the code."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        if message.get("bytes") is not None:
            await rooms.tell(room, message["bytes"])
            continue
        match Ask.model_validate_json(message["text"]):
            case Ask(say=str(text)):
                await rooms.tell(room, {"from": name, "said": text})
            case Ask(leave=int(code), reason=reason):
                await websocket.close(code, reason)
                return code
            case Ask(fail=True):
                raise LookupError("in a handler")


@app.websocket("/chat/{room}")
async def chat(
    websocket: WebSocket,
    room: str,
    name: Annotated[str, Query(min_length=1)],
    rooms: Annotated[Rooms, Depends(the_rooms)],
) -> None:
    """A room."""
    offered = websocket.scope["subprotocols"]
    await websocket.accept(
        "chat.v2" if "chat.v2" in offered else None, headers=[(b"x-room", room.encode())]
    )
    rooms.enter(room, websocket)
    code = 1011
    try:
        await rooms.tell(room, {"joined": name})
        code = await obey(websocket, rooms, room, name)
    except WebSocketDisconnect as end:
        code = end.code
    finally:
        rooms.leave(room, websocket)
        print(f"{name} left with {code}", flush=True)
        await rooms.tell(room, {"left": name, "code": code})


@app.websocket("/who")
async def who(websocket: WebSocket, user: Annotated[str, Depends(known)]) -> None:
    """Tell the client who it is."""
    await websocket.accept()
    await websocket.send_text(user)
    await websocket.close()


@app.websocket("/items/{number}")
async def item(
    websocket: WebSocket,
    number: Annotated[int, Path(ge=1)],
    leased: Annotated[str, Depends(lease)],
    q: Annotated[list[str] | None, Query()] = None,
    user_agent: Annotated[str | None, Header()] = None,
) -> None:
    """Parameters of every kind; then an error of FastAPI's, after `accept`."""
    await websocket.accept()
    await websocket.send_json({"number": number, "q": q, "agent": user_agent, "lease": leased})
    async for text in websocket.iter_text():
        if text == "enough":
            raise WebSocketException(4008, "that was enough")


@app.websocket("/paying")
async def paying(websocket: WebSocket) -> None:
    """Refused with a status of its own: the handler of HTTPException answers the handshake."""
    raise HTTPException(402, "pay first", headers={"x-price": "1"})


@app.websocket("/broken")
async def broken(websocket: WebSocket) -> None:
    """Fails before it accepts."""
    raise LookupError("before accept")


@app.websocket("/forgotten")
async def forgotten(websocket: WebSocket) -> None:
    """Ends and has not closed."""
    await websocket.accept()


@app.websocket("/strict")
async def strict(websocket: WebSocket, token: int) -> None:
    """Its validation errors have a handler."""
    await websocket.accept()


@app.exception_handler(WebSocketRequestValidationError)
async def on_invalid(websocket: WebSocket, error: WebSocketRequestValidationError) -> None:
    """Say in the log what was wrong, and refuse."""
    print(f"invalid: {error.errors()[0]['loc']}", flush=True)
    await websocket.close(status.WS_1008_POLICY_VIOLATION)
