# SPDX-License-Identifier: MIT
"""A chat with Quart, of the shape of its tutorial: a broker with a queue for each client, and one task that sends
beside another that receives."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, abort, request, session, websocket

Message = str | bytes


class Broker:
    """Who listens to what is said in a room."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, set[asyncio.Queue[Message]]] = defaultdict(set)

    def publish(self, room: str, message: Any) -> None:
        """Queue bytes, or anything else as JSON, for all in the room."""
        if not isinstance(message, bytes):
            message = json.dumps(message)
        for queue in self._queues[room]:
            queue.put_nowait(message)

    async def subscribe(self, room: str) -> AsyncIterator[Message]:
        """Give what is published, from now on."""
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._queues[room].add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues[room].discard(queue)


app = Quart(__name__)
app.secret_key = "no secret"
broker = Broker()


class LeavingError(Exception):
    """The client asked to be thrown out, and was."""


async def send_all(room: str, name: str) -> None:
    """Send what is said in the room; the first of it is that this one has come."""
    listening = broker.subscribe(room)
    heard = asyncio.ensure_future(anext(listening))
    await asyncio.sleep(0)  # it listens
    broker.publish(room, {"joined": name})
    await websocket.send(await heard)
    async for message in listening:
        await websocket.send(message)


async def obey(room: str, name: str) -> None:
    """Do what the client asks for."""
    while True:
        message = await websocket.receive()
        if isinstance(message, bytes):
            broker.publish(room, message)
            continue
        match json.loads(message):
            case {"say": text}:
                broker.publish(room, {"from": name, "said": text})
            case {"leave": code, "reason": reason}:
                await websocket.close(code, reason)
                broker.publish(room, {"left": name, "code": code})
                raise LeavingError
            case {"fail": True}:
                raise LookupError("in a handler")


@app.websocket("/chat/<room>")
async def chat(room: str) -> None:
    """A room."""
    if not (name := websocket.args.get("name")):
        abort(403)
    offered = websocket.requested_subprotocols
    subprotocol = "chat.v2" if "chat.v2" in offered else None
    await websocket.accept(headers={"X-Room": ascii(room)[1:-1]}, subprotocol=subprotocol)
    sending = asyncio.ensure_future(send_all(room, name))
    try:
        await obey(room, name)
    except LeavingError:
        return
    except BaseException:  # of these, cancellation is how a client's going is told
        broker.publish(room, {"left": name, "code": None})
        raise
    finally:
        sending.cancel()


@app.websocket("/who")
async def who() -> None:
    """Tell the client who it is."""
    if "user" not in websocket.cookies:
        abort(403)
    await websocket.send(websocket.cookies["user"])  # accepts
    await websocket.close(1000)


@app.before_websocket
async def check_key() -> Response | None:
    """Refuse, with an answer of its own, what is private and has no key."""
    if websocket.path.startswith("/private") and "x-key" not in websocket.headers:
        return Response('{"error": "no key"}', 401, {"www-authenticate": "Key"})
    return None


@app.websocket("/private/<int:number>")
async def private(number: int) -> None:
    """JSON, and what Quart knows of the handshake."""
    await websocket.send_json([number, websocket.args.getlist("q"), session.get("visits")])
    while True:
        await websocket.send_json({"got": await websocket.receive_json()})


@app.websocket("/returns")
async def returns() -> tuple[str, int]:
    """Is an answer, and not a WebSocket."""
    return "not here", 418


@app.websocket("/broken")
async def broken() -> None:
    """Fails before it accepts."""
    raise LookupError("before accept")


@app.websocket("/forgotten")
async def forgotten() -> None:
    """Ends and has not closed."""
    await websocket.accept()


@app.websocket("/waiting")
async def waiting() -> None:
    """Is cancelled when its client goes."""
    await websocket.send("waits")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise


@app.post("/count")
async def count() -> dict[str, Any]:
    """Keep a number in the session."""
    session["visits"] = await request.get_json()
    return {}
