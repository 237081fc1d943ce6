# SPDX-License-Identifier: MIT
"""A FastAPI application that is watched by Sentry's SDK; what the SDK would send is kept here.

Sentry's integration of asyncio sets a task factory on the loop. With EAGER in the environment there
is one before it, asyncio's own for eager tasks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import sentry_sdk
from fastapi import FastAPI
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.asyncio import AsyncioIntegration
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import Transport

from tests.support.asgi import Receive, Scope, Send, respond

RECORDED: list[Any] = []


class Recorder(Transport):
    """Keeps what would go over the network."""

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep events and transactions."""
        for item in envelope.items:
            if item.type in ("event", "transaction"):
                RECORDED.append(item.payload.json)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start the SDK where its integration of asyncio wants it: inside the loop."""
    if "EAGER" in os.environ:
        factory = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
        asyncio.get_running_loop().set_task_factory(factory)
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=Recorder,
        traces_sample_rate=1.0,
        integrations=[AsyncioIntegration(), StarletteIntegration(), FastApiIntegration()],
    )
    yield


app = FastAPI(lifespan=lifespan)


async def part(name: str) -> None:
    """Do a part of the work of a request."""
    sentry_sdk.set_tag("part", name)
    await asyncio.sleep(0)
    logging.getLogger("app").info("a breadcrumb of %s", name)


@app.get("/work/{name}")
async def work(name: str) -> str:
    """Work in child tasks, and report something.

    Not in anyio's task groups: they do not know their eager tasks under Sentry's wrapper.
    """
    sentry_sdk.set_tag("name", name)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for number in range(2):
            group.create_task(part(f"{name} {number}"))
    with anyio.move_on_after(30):
        await asyncio.gather(part(f"{name} 2"))
    sentry_sdk.capture_message(f"worked on {name}")
    return type(asyncio.current_task()).__name__


@app.get("/late")
async def late() -> str:
    """Run out of time, and go on."""
    try:
        async with asyncio.timeout(0.001):
            await asyncio.create_task(asyncio.sleep(30))
    except TimeoutError:
        return "late"
    return "in time"


@app.get("/fail")
async def fail() -> None:
    """Fail in the handler."""
    raise LookupError("in the handler")


async def failing_part() -> None:
    """Fail in a part."""
    await asyncio.sleep(0)
    raise LookupError("in a task")


@app.get("/fail-in-task")
async def fail_in_task() -> str:
    """Fail in a child task; the request goes on."""
    try:
        await asyncio.create_task(failing_part())
    except LookupError as error:
        return str(error)
    return "nothing happened"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer questions of the test before Sentry sees them; pass everything else on."""
    path = scope.get("path")
    if path == "/recorded":
        taken, RECORDED[:] = RECORDED[:], []
        await respond(send, json.dumps(taken).encode())
    elif path == "/factory":
        factory = asyncio.get_running_loop().get_task_factory()
        await respond(send, getattr(factory, "__name__", "none").encode())
    else:
        await app(scope, receive, send)
