# SPDX-License-Identifier: MIT
"""A chat with python-socketio: rooms, acknowledgements in both directions, binary data, a namespace as a class."""

from __future__ import annotations

from typing import Any

import socketio

sio = socketio.AsyncServer(async_mode="asgi", max_http_buffer_size=4_000_000)


async def stopped() -> None:
    """Say that the application has been told."""
    print("stopped", flush=True)


app = socketio.ASGIApp(sio, on_shutdown=stopped)


@sio.event  # type: ignore[untyped-decorator]
async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
    """Let in who has a name."""
    if not auth or "name" not in auth:
        raise socketio.exceptions.ConnectionRefusedError("a name, please")
    agent = environ.get("HTTP_USER_AGENT")
    await sio.save_session(sid, {"name": auth["name"], "agent": agent})


@sio.event  # type: ignore[untyped-decorator]
async def disconnect(sid: str, reason: str) -> None:
    """Note it; rooms are left by themselves."""
    async with sio.session(sid) as session:
        print(f"{session['name']} left: {reason}", flush=True)


async def name_of(sid: str) -> str:
    """Who that is."""
    async with sio.session(sid) as session:
        name: str = session["name"]
        return name


@sio.event  # type: ignore[untyped-decorator]
async def enter(sid: str, room: str) -> str:
    """Enter a room, and tell all in it."""
    await sio.enter_room(sid, room)
    await sio.emit("entered", await name_of(sid), room=room)
    return f"welcome to {room}"


@sio.event  # type: ignore[untyped-decorator]
async def say(sid: str, room: str, text: str) -> None:
    """Tell the room."""
    await sio.emit("said", {"from": await name_of(sid), "text": text}, room=room)


@sio.event  # type: ignore[untyped-decorator]
async def data(sid: str, room: str, part: dict[str, bytes]) -> bytes:
    """Tell the others in the room, in bytes within JSON; acknowledge with bytes."""
    await sio.emit("data", {"part": part["bytes"]}, room=room, skip_sid=sid)
    return part["bytes"][::-1]


@sio.event  # type: ignore[untyped-decorator]
async def ask_me(sid: str) -> None:
    """Ask the client, and tell it what it said: from a task, since the answer comes by the same way."""

    async def ask() -> None:
        answer = await sio.call("question", "name?", to=sid)
        await sio.emit("answered", answer, to=sid)

    sio.start_background_task(ask)


@sio.event  # type: ignore[untyped-decorator]
async def how(sid: str) -> str:
    """By which transport this client has come."""
    transport: str = sio.transport(sid)
    return transport


@sio.event  # type: ignore[untyped-decorator]
async def leave(sid: str) -> None:
    """Throw the client out of every namespace: by Engine.IO, since a DISCONNECT leaves a connection that polls open."""
    sio.start_background_task(sio.eio.disconnect, sio.manager.eio_sid_from_sid(sid, "/"))


@sio.event  # type: ignore[untyped-decorator]
async def fail(sid: str) -> None:
    """A mistake in a handler."""
    raise LookupError("in a handler")


class Admin(socketio.AsyncNamespace):  # type: ignore[misc]
    """Beside the chat, over the same connection."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        """Everybody may."""

    async def on_announce(self, sid: str, text: str) -> None:
        """Tell all in the other namespace."""
        await self.server.emit("announced", text, namespace="/")


sio.register_namespace(Admin("/admin"))
