"""A small FastAPI application that uses what a server has to get right.

Nothing in it knows which server runs it: ``cuvee main:app`` and ``uvicorn main:app`` serve the
same file.
"""

from __future__ import annotations

import asyncio
import hashlib
import platform
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, File, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, Field

PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")


class Journal:
    """Lines that background tasks write and that a request can wait for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = asyncio.Condition()

    async def write(self, line: str) -> None:
        """Add a line and wake everyone who waits for one."""
        async with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    async def wait_for(self, count: int) -> list[str]:
        """Return the lines once there are at least ``count`` of them."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.lines) >= count)
            return list(self.lines)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
    """Give every request the journal and the moment of the start."""
    yield {"journal": Journal(), "started": time.time()}


app = FastAPI(title="cuvee demo", version="1", lifespan=lifespan)


class Item(BaseModel):
    """What ``POST /api/items`` takes."""

    name: str = Field(min_length=1, max_length=40)
    price: float = Field(gt=0)
    tags: list[str] = []


class Lease:
    """Something that is opened for a request and closed behind it."""

    opened = 0
    closed = 0


def lease() -> Iterator[Lease]:
    """A dependency with ``yield``: opened before the endpoint runs, closed behind the request."""
    Lease.opened += 1
    try:
        yield Lease()
    finally:
        Lease.closed += 1


@app.get("/", response_class=HTMLResponse, include_in_schema=False)
async def page() -> str:
    """The page that tries everything below."""
    return PAGE


@app.get("/api/hello")
async def hello(request: Request, name: str = "world") -> dict[str, object]:
    """JSON, with what the server says about the connection."""
    client = request.client
    return {
        "message": f"Hello, {name}!",
        "http_version": request.scope["http_version"],
        "client": f"{client.host}:{client.port}" if client else None,
        "python": platform.python_version(),
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "uptime": round(time.time() - request.state.started, 3),
    }


@app.get("/api/items/{item_id}")
async def read_item(
    item_id: int, q: Annotated[str | None, Query(max_length=20)] = None
) -> dict[str, object]:
    """A path and a query parameter; anything but a number is a 422."""
    return {"item_id": item_id, "q": q}


@app.post("/api/items", status_code=201)
async def create_item(item: Item, background: BackgroundTasks, request: Request) -> Item:
    """A validated JSON body; the journal is written after the answer has gone out."""
    background.add_task(request.state.journal.write, f"{item.name} at {item.price:.2f}")
    return item


@app.get("/api/journal")
async def read_journal(
    request: Request, count: Annotated[int, Query(ge=0, le=1000)] = 0
) -> list[str]:
    """Wait until the background tasks have written ``count`` lines."""
    lines: list[str] = await request.state.journal.wait_for(count)
    return lines


@app.get("/api/stream")
async def stream(
    lines: Annotated[int, Query(ge=1, le=1000)] = 20,
    interval: Annotated[float, Query(ge=0, le=5)] = 0.1,
) -> StreamingResponse:
    """Lines that leave the server as they are made."""

    async def produce() -> AsyncIterator[str]:
        for number in range(1, lines + 1):
            yield f"line {number} of {lines}\n"
            await asyncio.sleep(interval)

    return StreamingResponse(produce(), media_type="text/plain; charset=utf-8")


@app.get("/api/events")
async def events(
    count: Annotated[int, Query(ge=1, le=1000)] = 10,
    interval: Annotated[float, Query(ge=0, le=5)] = 0.25,
) -> StreamingResponse:
    """Server-sent events: ticks, then one event named ``done``."""

    async def produce() -> AsyncIterator[str]:
        for number in range(1, count + 1):
            yield f"id: {number}\nevent: tick\ndata: {number}\n\n"
            await asyncio.sleep(interval)
        yield f"event: done\ndata: {count}\n\n"

    return StreamingResponse(
        produce(), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


@app.post("/api/upload")
async def upload(files: Annotated[list[UploadFile], File()]) -> list[dict[str, object]]:
    """Files from a form, read piece by piece: their sizes and digests."""
    answer: list[dict[str, object]] = []
    for file in files:
        size = 0
        digest = hashlib.sha256()
        while piece := await file.read(65536):
            size += len(piece)
            digest.update(piece)
        answer.append({"name": file.filename, "size": size, "sha256": digest.hexdigest()})
    return answer


@app.get("/api/sync")
def sync(pause: Annotated[float, Query(ge=0, le=5)] = 0.05) -> dict[str, str]:
    """A plain function: FastAPI runs it in a thread, where it may block."""
    time.sleep(pause)
    return {"thread": threading.current_thread().name}


@app.get("/api/lease")
async def use_lease(held: Annotated[Lease, Depends(lease)]) -> dict[str, int]:
    """The leases that were opened and closed, seen while one is open."""
    return {"opened": held.opened, "closed": held.closed}
