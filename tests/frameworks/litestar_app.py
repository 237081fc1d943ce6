# SPDX-License-Identifier: MIT
"""A Litestar application of the shape of its tutorial: a list of things to do, with validation, dependencies,
hooks, errors and files, and its streams in both directions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from litestar import Controller, Litestar, MediaType, Request, Response, delete, get, post, put
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import Cookie, State, UploadFile
from litestar.di import NamedDependency, Provide
from litestar.exceptions import InternalServerException, NotFoundException
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import FromQuery, JSONBody, MultipartBody, PathParameter
from litestar.response import File, Redirect, ServerSentEvent, ServerSentEventMessage, Stream
from litestar.static_files import create_static_files_router

from tests.support.asgi import WAIT, Notes

Number = Annotated[int, PathParameter(ge=1)]


@dataclass
class Todo:
    """One thing to do."""

    title: str
    done: bool


@dataclass
class Store:
    """What is to be done, by number."""

    items: dict[int, Todo] = field(default_factory=dict)

    def find(self, number: int) -> Todo:
        """Return an item, or answer 404."""
        if number not in self.items:
            raise NotFoundException(f"there is no item {number}")
        return self.items[number]


async def provide_store(state: State) -> Store:
    """The store that the lifespan made, as a dependency."""
    store: Store = state.store
    return store


class Todos(Controller):
    """The list, and each of its items."""

    path = "/todos"
    dependencies = {"store": Provide(provide_store)}  # noqa: RUF012

    @get()
    async def listed(
        self, store: NamedDependency[Store], done: FromQuery[bool | None] = None
    ) -> dict[int, Todo]:
        return {n: item for n, item in store.items.items() if done in (None, item.done)}

    @post()
    async def add(self, store: NamedDependency[Store], data: JSONBody[Todo]) -> dict[str, int]:
        number = len(store.items) + 1
        store.items[number] = data
        return {"number": number}

    @get("/{number:int}")
    async def shown(self, store: NamedDependency[Store], number: Number) -> Todo:
        return store.find(number)

    @put("/{number:int}", sync_to_thread=True)
    def replaced(self, store: NamedDependency[Store], number: Number, data: JSONBody[Todo]) -> Todo:
        store.find(number)
        store.items[number] = data
        return data

    @delete("/{number:int}")
    async def removed(self, store: NamedDependency[Store], number: Number) -> None:
        store.find(number)
        del store.items[number]


@dataclass
class Form:
    """A form with a file."""

    title: str
    file: UploadFile


class Trouble(Exception):
    """An error with a handler of its own."""


def on_trouble(request: Request[Any, Any, Any], error: Trouble) -> Response[dict[str, str]]:
    """Say what it was."""
    return Response({"trouble": str(error)}, status_code=418)


def make_app(notes: Notes, files: Path) -> Litestar:
    """Return the application. `state.gate` opens the way for what waits."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.store = Store()
        app.state.gate = asyncio.Event()
        notes.put("started")
        yield
        notes.put("stopped")

    async def count_visit(request: Request[Any, Any, Any]) -> None:
        if "x-visitor" in request.headers:
            notes.put(f"before {request.url.path}")

    async def sign(response: Response[Any]) -> Response[Any]:
        response.headers["x-signed"] = "yes"
        return response

    @post("/form")
    async def form(data: MultipartBody[Form]) -> dict[str, str]:
        digest = hashlib.sha256(await data.file.read()).hexdigest()
        return {"title": data.title, "name": data.file.filename, "sha256": digest}

    @post("/upload")
    async def upload(request: Request[Any, Any, Any]) -> int:
        size = 0
        try:
            async for part in request.stream():
                if part:
                    size += len(part)
                    notes.put(part)
        except InternalServerException as error:
            notes.put(error.detail)
            raise
        return size

    @get("/visits")
    async def visits(request: Request[Any, Any, Any]) -> int:
        count: int = request.session.get("visits", 0) + 1
        request.session["visits"] = count
        return count

    @get("/background")
    async def background(state: State) -> Response[str]:
        async def later(word: str) -> None:
            await state.gate.wait()
            notes.put(word)

        task = BackgroundTask(later, "background done")
        return Response("answered", background=task, cookies=[Cookie(key="a", value="b")])

    @get("/open-gate")
    async def open_gate(state: State) -> str:
        state.gate.set()
        return "open"

    @get("/redirect")
    async def redirect() -> Redirect:
        return Redirect("/todos")

    @get("/trouble")
    async def trouble() -> None:
        raise Trouble("as asked for")

    @get("/fail")
    async def fail() -> None:
        raise LookupError("in a handler")

    @get("/file")
    async def file() -> File:
        return File(files / "large.bin", filename="large.bin")

    @get("/numbers")
    async def numbers() -> Stream:
        def lines() -> Iterator[str]:
            for number in range(200):
                yield f"{number}\n"

        return Stream(lines(), media_type=MediaType.TEXT)

    async def until_cancelled() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.put("cancelled")
            raise
        finally:
            notes.put("closed")

    @get("/stream")
    async def stream() -> Stream:
        async def pieces() -> AsyncIterator[str]:
            async for number in until_cancelled():
                yield f"piece {number}\n"

        return Stream(pieces(), background=BackgroundTask(notes.put, "background"))

    @get("/events")
    async def events() -> ServerSentEvent:
        async def messages() -> AsyncIterator[ServerSentEventMessage]:
            async for number in until_cancelled():
                yield ServerSentEventMessage(data=f"piece {number}", event="piece", id=number)

        return ServerSentEvent(messages())

    @get("/wait")
    async def wait(state: State) -> str:
        notes.put("waits")
        async with asyncio.timeout(WAIT):
            await state.gate.wait()
        notes.put("worked")
        return "worked"

    return Litestar(
        [
            Todos,
            form,
            upload,
            visits,
            background,
            open_gate,
            redirect,
            trouble,
            fail,
            file,
            numbers,
            stream,
            events,
            wait,
            create_static_files_router(path="/static", directories=[files]),
        ],
        after_request=sign,
        before_request=count_visit,
        exception_handlers={Trouble: on_trouble},
        lifespan=[lifespan],
        logging_config=None,
        middleware=[CookieBackendConfig(secret=b"16 bytes, secret").middleware],
        openapi_config=None,
    )
