# SPDX-License-Identifier: MIT
"""A Falcon application of the shape of its tutorials: resources for notes and images, with hooks, middleware,
errors and files, and streams in both directions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import falcon
from falcon.asgi import App, Request, Response, SSEvent

from tests.support.asgi import Notes


class Trouble(Exception):
    """An error with a handler of its own."""


async def on_trouble(req: Request, resp: Response, error: Exception, params: Any) -> None:
    """Say what it was."""
    resp.status = falcon.HTTP_418
    resp.media = {"trouble": str(error)}


async def check_name(req: Request, resp: Response, resource: object, params: Any) -> None:
    """A hook before a method: the item must have a name."""
    media = await req.get_media()
    if not isinstance(media.get("name"), str):
        raise falcon.HTTPBadRequest(title="no name", description="an item has a name")
    params["media"] = media


async def sign(req: Request, resp: Response, resource: object) -> None:
    """A hook behind a method."""
    resp.set_header("x-signed", "yes")


class Watcher:
    """Middleware of every kind: of the application's life, of requests, of resources, of answers."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    async def process_startup(self, scope: Any, event: Any) -> None:
        self.notes.put("started")

    async def process_shutdown(self, scope: Any, event: Any) -> None:
        self.notes.put("stopped")

    async def process_request(self, req: Request, resp: Response) -> None:
        req.context.visitor = req.get_header("x-visitor")

    async def process_resource(
        self, req: Request, resp: Response, resource: object, params: Any
    ) -> None:
        if req.context.visitor:
            self.notes.put(f"{req.context.visitor} asks {type(resource).__name__}")

    async def process_response(
        self, req: Request, resp: Response, resource: object, succeeded: bool
    ) -> None:
        resp.set_header("x-succeeded", str(succeeded))


class Items:
    """JSON in both directions."""

    def __init__(self) -> None:
        self.items: dict[int, Any] = {}

    async def on_get(self, req: Request, resp: Response) -> None:
        least = req.get_param_as_int("least", min_value=0, default=0)
        resp.media = [number for number in self.items if number >= least]

    @falcon.before(check_name)
    @falcon.after(sign)
    async def on_post(self, req: Request, resp: Response, media: Any) -> None:
        number = len(self.items) + 1
        self.items[number] = media
        resp.status = falcon.HTTP_CREATED
        resp.location = f"/items/{number}"

    async def on_get_one(self, req: Request, resp: Response, number: int) -> None:
        if number not in self.items:
            raise falcon.HTTPNotFound(title="no such item")
        resp.media = self.items[number]

    async def on_delete_one(self, req: Request, resp: Response, number: int) -> None:
        self.items.pop(number, None)
        resp.status = falcon.HTTP_NO_CONTENT


class Forms:
    """A form with a file, read part by part."""

    async def on_post(self, req: Request, resp: Response) -> None:
        answer: dict[str, Any] = {}
        async for part in await req.get_media():
            if part.filename:
                digest = hashlib.sha256(await part.stream.read()).hexdigest()
                answer[part.name] = [part.secure_filename, digest]
            else:
                answer[part.name] = await part.text
        resp.media = answer


class Upload:
    """A body as it comes."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    async def on_post(self, req: Request, resp: Response) -> None:
        size = 0
        async for part in req.stream:
            size += len(part)
            self.notes.put(part)
        self.notes.put(("read", size, req.content_length))
        resp.media = size


class Errors:
    """What goes wrong, in three ways."""

    async def on_get(self, req: Request, resp: Response, kind: str) -> None:
        if kind == "trouble":
            raise Trouble("as asked for")
        if kind == "redirect":
            raise falcon.HTTPFound("/items")
        raise LookupError("in a resource")


class Visits:
    """Cookies."""

    async def on_get(self, req: Request, resp: Response) -> None:
        visits = int(req.cookies.get("visits", 0)) + 1
        resp.set_cookie("visits", str(visits), secure=False)
        resp.media = visits


class Later:
    """Work behind the answer, and a handler that waits."""

    def __init__(self, notes: Notes, steps: asyncio.Semaphore) -> None:
        self.notes = notes
        self.steps = steps

    async def on_get(self, req: Request, resp: Response) -> None:
        async def later() -> None:
            await self.steps.acquire()
            self.notes.put("background done")

        resp.schedule(later)
        resp.text = "answered"

    async def on_get_here(self, req: Request, resp: Response) -> None:
        self.notes.put("waits")
        await self.steps.acquire()
        self.notes.put("worked")
        resp.text = "worked"


class Streams:
    """Answers in pieces. Each piece is a step, and each step a note."""

    def __init__(self, notes: Notes, steps: asyncio.Semaphore, files: Path) -> None:
        self.notes = notes
        self.steps = steps
        self.files = files

    async def pieces(self, count: int) -> AsyncIterator[int]:
        """Make one piece for each step."""
        try:
            for number in range(count):
                await self.steps.acquire()
                self.notes.put(f"makes {number}")
                yield number
        finally:
            self.notes.put("closed")

    async def on_get(self, req: Request, resp: Response) -> None:
        async def lines() -> AsyncIterator[bytes]:
            async for number in self.pieces(4):
                yield b"piece %d\n" % number

        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = lines()

    async def on_get_events(self, req: Request, resp: Response) -> None:
        async def events() -> AsyncIterator[SSEvent]:
            async for number in self.pieces(4):
                yield SSEvent(json={"piece": number}, event="piece", event_id=str(number))

        resp.sse = events()

    async def on_get_file(self, req: Request, resp: Response) -> None:
        data = (self.files / "large.bin").read_bytes()

        async def blocks() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 10_000):
                yield data[start : start + 10_000]

        resp.set_stream(blocks(), len(data))


def make_app(notes: Notes, steps: asyncio.Semaphore, files: Path) -> App[Request, Response]:
    """Return the application. What waits in it takes a step of `steps`."""
    app = App(middleware=[Watcher(notes)], cors_enable=True)
    items, later = Items(), Later(notes, steps)
    streams = Streams(notes, steps, files)
    app.add_route("/items", items)
    app.add_route("/items/{number:int(min=1)}", items, suffix="one")
    app.add_route("/form", Forms())
    app.add_route("/upload", Upload(notes))
    app.add_route("/errors/{kind}", Errors())
    app.add_route("/visits", Visits())
    app.add_route("/background", later)
    app.add_route("/wait", later, suffix="here")
    app.add_route("/stream", streams)
    app.add_route("/events", streams, suffix="events")
    app.add_route("/file", streams, suffix="file")
    app.add_static_route("/static", str(files))
    app.add_error_handler(Trouble, on_trouble)
    return app
