# SPDX-License-Identifier: MIT
"""A chat with Starlette: a WebSocketEndpoint for the rooms, plain functions for the rest, and its middleware."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    requires,
)
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

ROOMS: defaultdict[str, set[WebSocket]] = defaultdict(set)


async def tell_all(room: str, message: Any) -> None:
    """Send bytes, or anything else as JSON, to all in the room; some may be on their way out."""
    for member in list(ROOMS[room]):
        try:
            if isinstance(message, bytes):
                await member.send_bytes(message)
            else:
                await member.send_json(message)
        except (WebSocketDisconnect, RuntimeError):
            ROOMS[room].discard(member)


class Chat(WebSocketEndpoint):
    """A room."""

    name = ""

    async def on_connect(self, websocket: WebSocket) -> None:
        """Let in who has a name."""
        self.room = websocket.path_params["room"]
        if not (name := websocket.query_params.get("name")):
            return await websocket.close(1008, "a name, please")
        offered = websocket.scope["subprotocols"]
        subprotocol = "chat.v2" if "chat.v2" in offered else None
        await websocket.accept(subprotocol, [(b"x-room", self.room.encode())])
        self.name = name
        ROOMS[self.room].add(websocket)
        await tell_all(self.room, {"joined": name})

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        """Do what the client asks for."""
        if isinstance(data, bytes):
            return await tell_all(self.room, data)
        match json.loads(data):
            case {"say": text}:
                await tell_all(self.room, {"from": self.name, "said": text})
            case {"leave": code, "reason": reason}:
                await websocket.close(code, reason)
            case {"fail": True}:
                raise LookupError("in a handler")

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        """Tell the others."""
        if self.name:
            ROOMS[self.room].discard(websocket)
            print(f"{self.name} left with {close_code}", flush=True)
            await tell_all(self.room, {"left": self.name, "code": close_code})


class Json(WebSocketEndpoint):
    """Takes JSON and nothing else; says it in bytes."""

    encoding = "json"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        """Wrap it."""
        await websocket.send_json({"got": data}, mode="binary")


class ByCookie(AuthenticationBackend):
    """Whoever has a cookie is a member."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Tell who it is."""
        if not (user := conn.cookies.get("user")):
            return None
        return AuthCredentials(["member"]), SimpleUser(user)


@requires("member")
async def who(websocket: WebSocket) -> None:
    """Tell the client who it is."""
    await websocket.accept()
    await websocket.send_text(websocket.user.display_name)
    await websocket.close()


async def count(request: Request) -> Response:
    """Count visits in the session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse(request.session["visits"])


async def visits(websocket: WebSocket) -> None:
    """Read that session, and then what the client has to say."""
    await websocket.accept()
    await websocket.send_json([websocket.session.get("visits"), websocket.url.path])
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())
    print("no more text", flush=True)


async def told(websocket: WebSocket) -> None:
    """What the scope says."""
    await websocket.accept()
    await websocket.send_json(
        {
            "url": str(websocket.url),
            "link": str(websocket.url_for("told", name="you")),
            "name": websocket.path_params["name"],
            "query": websocket.query_params.multi_items(),
            "agent": websocket.headers["user-agent"],
            "client": websocket.client.host if websocket.client else None,
            "version": websocket.scope["http_version"],
            "started": websocket.state.started,
        }
    )
    await websocket.close(1001)


async def denied(websocket: WebSocket) -> None:
    """Answer the handshake with an ordinary response, whole or in pieces."""

    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"piece {number}\n"

    if websocket.query_params.get("streamed"):
        return await websocket.send_denial_response(StreamingResponse(pieces(), 503))
    answer = JSONResponse({"error": "no room"}, 409, headers={"retry-after": "3"})
    answer.set_cookie("asked", "yes")
    await websocket.send_denial_response(answer)


async def raising(websocket: WebSocket) -> None:
    """Raise before or after `accept`."""
    if websocket.query_params["when"] == "before":
        raise HTTPException(410, "closed for ever")
    await websocket.accept()
    raise WebSocketException(4010, "closed for ever")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    """State for every connection."""
    yield {"started": "yes"}


app = Starlette(
    routes=[
        WebSocketRoute("/chat/{room}", Chat),
        WebSocketRoute("/who", who),
        WebSocketRoute("/json", Json),
        WebSocketRoute("/denied", denied),
        WebSocketRoute("/raising", raising),
        Route("/count", count),
        Mount("/sub", routes=[WebSocketRoute("/visits", visits)]),
        WebSocketRoute("/told/{name}", told, name="told"),
    ],
    middleware=[
        Middleware(SessionMiddleware, secret_key="no secret"),
        Middleware(AuthenticationMiddleware, backend=ByCookie()),
    ],
    lifespan=lifespan,
)
