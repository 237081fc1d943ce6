# SPDX-License-Identifier: MIT
"""A chat with strawberry's GraphQL in FastAPI: what is said is a subscription, and to say it a mutation."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
from fastapi import FastAPI
from starlette.requests import HTTPConnection
from strawberry.exceptions import ConnectionRejectionError
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

LISTENING: defaultdict[str, set[asyncio.Queue[tuple[str, str]]]] = defaultdict(set)


@strawberry.type
class Said:
    """What somebody said."""

    name: str
    text: str


@strawberry.type
class Query:
    """What there is to ask."""

    @strawberry.field
    def listening(self, room: str) -> int:
        """How many listen in a room."""
        return len(LISTENING[room])


@strawberry.type
class Mutation:
    """What there is to do."""

    @strawberry.mutation
    async def say(self, room: str, name: str, text: str) -> int:
        """Tell all who listen, and return how many they are."""
        for queue in LISTENING[room]:
            queue.put_nowait((name, text))
        return len(LISTENING[room])


@strawberry.type
class Subscription:
    """What there is to wait for."""

    @strawberry.subscription
    async def said(self, info: Info, room: str) -> AsyncGenerator[Said, None]:
        """What is said in a room from now on, by the listener itself first."""
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        LISTENING[room].add(queue)
        name = (info.context.get("connection_params") or {}).get("name", "nobody")
        try:
            yield Said(name=name, text="listens")
            while True:
                by, text = await queue.get()
                yield Said(name=by, text=text)
        finally:
            LISTENING[room].discard(queue)
            print(f"{name} listens no more", flush=True)

    @strawberry.subscription
    async def silence(self) -> AsyncGenerator[int, None]:
        """Nothing, for ever."""
        await asyncio.Event().wait()
        yield 0

    @strawberry.subscription
    async def countdown(self, start: int) -> AsyncGenerator[int, None]:
        """Numbers, down to a failure below zero."""
        for number in range(abs(start), 0, -1):
            yield number
        if start < 0:
            raise ValueError("below zero")


class Router(GraphQLRouter[Any, None]):
    """Asks who connects."""

    async def on_ws_connect(self, context: Any) -> Any:
        """Refuse who has a wrong key, and greet the others."""
        if context["connection_params"].get("key") == "wrong":
            raise ConnectionRejectionError
        return {"welcome": "yes"}


async def context(connection: HTTPConnection) -> dict[str, Any]:
    """What resolvers see; strawberry adds what the client sent when it connected."""
    return {"cookies": connection.cookies}


app = FastAPI()
app.include_router(
    Router(strawberry.Schema(Query, Mutation, Subscription), context_getter=context),
    prefix="/graphql",
)
