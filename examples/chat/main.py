"""A chat: one WebSocket per member and room.

Nothing in it knows which server runs it: ``cuvee main:app`` and ``uvicorn main:app`` serve the
same file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse

PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
KEPT = 20
WAITING = 100
LONGEST = 500

Message = dict[str, str]


class Member:
    """What one member has still to be told; who reads too slowly misses the oldest of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._waiting: deque[Message] = deque(maxlen=WAITING)
        self._something = asyncio.Event()

    def tell(self, message: Message) -> None:
        """Tell it, without waiting for it."""
        self._waiting.append(message)
        self._something.set()

    async def next(self) -> Message:
        """Wait for the next message."""
        while not self._waiting:
            self._something.clear()
            await self._something.wait()
        return self._waiting.popleft()


class Room:
    """Who is in a room, and what was said there last."""

    def __init__(self) -> None:
        self.members: set[Member] = set()
        self.last: deque[Message] = deque(maxlen=KEPT)

    def tell(self, message: Message) -> None:
        """Tell all."""
        self.last.append(message)
        for member in self.members:
            member.tell(message)


rooms: defaultdict[str, Room] = defaultdict(Room)
app = FastAPI(title="cuvee chat")


@contextlib.contextmanager
def entered(name: str, member: Member) -> Iterator[Room]:
    """Keep a member in a room, and the others there informed; the last one to go takes the room along."""
    room = rooms[name]
    for message in room.last:
        member.tell(message)
    room.members.add(member)
    room.tell({"joined": member.name})
    try:
        yield room
    finally:
        room.members.remove(member)
        room.tell({"left": member.name})
        if not room.members:
            del rooms[name]


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """The page that talks to the WebSocket below."""
    return PAGE


@app.websocket("/rooms/{name}")
async def chat(
    socket: WebSocket, name: str, member: Annotated[str, Query(min_length=1, max_length=20)]
) -> None:
    """A member in a room: what it says is told to all, itself included, until it goes."""
    await socket.accept()
    me = Member(member)
    with entered(name, me) as room:
        writer = asyncio.create_task(write(socket, me))
        try:
            async for text in socket.iter_text():
                room.tell({"from": me.name, "said": text[:LONGEST]})
        except KeyError:  # bytes
            writer.cancel()
            await socket.close(1003, "text, please")
        finally:
            writer.cancel()


async def write(socket: WebSocket, member: Member) -> None:
    """Tell a member what there is to tell, as fast as it reads."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.send_json(await member.next())
