# SPDX-License-Identifier: MIT
"""A BlackSheep application of the shape of its tutorials: cats in JSON, bound parameters, services, sessions,
forms and files, middleware and errors, and streams in both directions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blacksheep import (
    Application,
    FromForm,
    FromHeader,
    FromJSON,
    FromQuery,
    FromServices,
    Request,
    Response,
    Router,
    StreamedContent,
    TextContent,
    created,
    json,
    no_content,
    not_found,
    redirect,
    text,
)
from blacksheep.exceptions import MessageAborted
from blacksheep.server.sse import ServerSentEvent, ServerSentEventsResponse

from tests.support.asgi import Notes


@dataclass
class Cat:
    """A cat as clients send it."""

    name: str
    age: int


@dataclass
class Cats:
    """The cats that there are: a service that handlers are given."""

    known: dict[int, Cat] = field(default_factory=dict)


class FromVisitor(FromHeader[str]):
    """A header field of its own name."""

    name = "x-visitor"


class Trouble(Exception):
    """An error with a handler of its own."""


def add_cats(router: Router) -> None:
    """JSON in both directions, with the parameters bound by their types."""

    @router.get("/cats")
    async def cats(
        service: FromServices[Cats], oldest: FromQuery[int], visitor: FromVisitor
    ) -> Response:
        shown = [cat for cat in service.value.known.values() if cat.age <= oldest.value]
        return json({"cats": shown, "visitor": visitor.value})

    @router.post("/cats")
    async def add(service: FromServices[Cats], data: FromJSON[Cat]) -> Response:
        number = len(service.value.known) + 1
        service.value.known[number] = data.value
        return created({"number": number}, f"/cats/{number}")

    @router.get("/cats/{int:number}")
    async def cat(service: FromServices[Cats], number: int) -> Response:
        known = service.value.known.get(number)
        return not_found() if known is None else json(known)

    @router.delete("/cats/{int:number}")
    async def remove(service: FromServices[Cats], number: int) -> Response:
        service.value.known.pop(number, None)
        return no_content()


def add_bodies(router: Router, notes: Notes) -> None:
    """Forms, and bodies that are taken as they come."""

    @router.post("/cat-form")
    async def cat_form(data: FromForm[Cat]) -> Response:
        return text(data.value.name)

    @router.post("/form")
    async def form(request: Request) -> Response:
        answer: dict[str, Any] = {}
        async for part in request.multipart_stream():
            digest = hashlib.sha256()
            async for piece in part.stream():
                digest.update(piece)
            answer[part.name] = [part.file_name, digest.hexdigest()]
        return json(answer)

    @router.post("/upload")
    async def upload(request: Request) -> Response:
        size = 0
        try:
            async for part in request.stream():  # type: ignore[attr-defined]
                size += len(part)
                if part:
                    notes.put(bytes(part))
        except MessageAborted:
            notes.put("aborted")
            raise
        return json(size)


def add_streams(router: Router, notes: Notes, steps: asyncio.Semaphore) -> None:
    """Answers in pieces. Each piece is a step, and each step a note."""

    async def pieces(count: int) -> AsyncIterator[int]:
        try:
            for number in range(count):
                await steps.acquire()
                notes.put(f"makes {number}")
                yield number
        finally:
            notes.put("closed")

    @router.get("/stream")
    async def stream() -> Response:
        async def lines() -> AsyncIterator[bytes]:
            async for number in pieces(4):
                yield b"piece %d\n" % number

        return Response(200, content=StreamedContent(b"text/plain", lines))

    @router.get("/events")
    async def events() -> Response:
        async def messages() -> AsyncIterator[ServerSentEvent]:
            async for number in pieces(4):
                yield ServerSentEvent({"piece": number}, event="piece", id=str(number))

        return ServerSentEventsResponse(messages)

    @router.get("/watched-events")
    async def watched(request: Request) -> Response:
        async def messages() -> AsyncIterator[ServerSentEvent]:
            async for number in pieces(4):
                if await request.is_disconnected():
                    notes.put("gone")
                    return
                yield ServerSentEvent({"piece": number})

        return ServerSentEventsResponse(messages)

    @router.get("/wait")
    async def wait() -> Response:
        notes.put("waits")
        await steps.acquire()
        notes.put("worked")
        return text("worked")


def make_app(notes: Notes, steps: asyncio.Semaphore, files: Path) -> Application:
    """Return the application. What waits in it takes a step of `steps`."""
    router = Router()
    app = Application(router=router)
    app.use_sessions("no secret: what it signs is worth nothing")
    app.use_cors(allow_methods="*", allow_origins="https://example.org")
    app.serve_files(files, root_path="static", extensions={".txt", ".bin"})
    add_cats(router)
    add_bodies(router, notes)
    add_streams(router, notes, steps)

    @app.lifespan  # type: ignore[untyped-decorator]
    async def lifespan(app: Application) -> AsyncIterator[None]:
        app.services.register(Cats, instance=Cats())
        notes.put("started")
        yield
        notes.put("stopped")

    @app.after_start
    async def after_start(app: Application) -> None:
        notes.put("routes are ready")

    async def sign(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await handler(request)
        response.set_header(b"x-signed", request.method.encode())
        return response

    app.middlewares.append(sign)

    @app.exception_handler(Trouble)
    async def on_trouble(app: Application, request: Request, error: Trouble) -> Response:
        return Response(418, content=TextContent(str(error)))

    @router.get("/trouble")
    async def trouble() -> None:
        raise Trouble("as asked for")

    @router.get("/fail")
    async def fail() -> None:
        raise LookupError("in a handler")

    @router.get("/old-cats")
    async def old() -> Response:
        return redirect("/cats")

    @router.get("/visits")
    async def visits(request: Request) -> Any:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return json(request.session["visits"])

    return app
