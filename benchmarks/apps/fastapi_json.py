"""FastAPI at its smallest, and as it is used: parameters, a dependency, a validated answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    """What the endpoint answers with."""

    id: int
    name: str
    price: float
    tags: list[str]


class Page:
    """Where a listing starts and how long it is."""

    def __init__(self, offset: int = 0, limit: int = 10) -> None:
        self.offset = offset
        self.limit = limit


@app.get("/")
async def read_root() -> dict[str, str]:
    """One JSON object, as in the first step of FastAPI's tutorial."""
    return {"message": "Hello, world!"}


@app.get("/items/{item_id}")
async def read_item(item_id: int, page: Annotated[Page, Depends()]) -> list[Item]:
    """A short listing that starts at an item."""
    first = item_id + page.offset
    return [
        Item(id=number, name=f"item {number}", price=number * 1.5, tags=["red", "white"])
        for number in range(first, first + page.limit)
    ]
