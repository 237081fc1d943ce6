"""Starlette: one route, one JSON object."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def read_root(request: Request) -> JSONResponse:
    """One JSON object."""
    return JSONResponse({"message": "Hello, world!"})


app = Starlette(routes=[Route("/", read_root)])
