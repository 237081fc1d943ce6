"""FastAPI at its smallest, and as it is used: parameters, a dependency, validation, a thread."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Path, Query
from pydantic import BaseModel, Field

app = FastAPI()


class Item(BaseModel):
    """What the endpoints take and answer with."""

    id: int
    name: str = Field(min_length=1, max_length=80)
    price: float = Field(ge=0)
    tags: list[str] = []


class Page:
    """Where a listing starts and how long it is."""

    def __init__(self, offset: int = 0, limit: int = 10) -> None:
        self.offset = offset
        self.limit = limit


@app.get("/")
async def read_root() -> dict[str, str]:
    """One JSON object, as in the first step of FastAPI's tutorial."""
    return {"message": "Hello, world!"}


@app.get("/sync")
def read_sync() -> dict[str, str]:
    """The same from a function that is not a coroutine: FastAPI calls it in a thread."""
    return {"message": "Hello, world!"}


@app.get("/items/{item_id}")
async def read_item(item_id: int, page: Annotated[Page, Depends()]) -> list[Item]:
    """A short listing that starts at an item."""
    first = item_id + page.offset
    return [
        Item(id=number, name=f"item {number}", price=number * 1.5, tags=["red", "white"])
        for number in range(first, first + page.limit)
    ]


@app.put("/items/{item_id}")
async def write_item(
    item_id: Annotated[int, Path(ge=1)], copies: Annotated[int, Query(ge=1, le=9)], item: Item
) -> list[Item]:
    """Copies of an item under a number: path, query and body are validated, and so is the answer."""
    return [item.model_copy(update={"id": item_id + number}) for number in range(copies)]
