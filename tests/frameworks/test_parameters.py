# SPDX-License-Identifier: MIT
"""What FastAPI reads from a request and makes of a return value: models, fields, forms, files."""

import datetime
import decimal
import enum
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Cookie, FastAPI, File, Form, Header, HTTPException, Query, Response, UploadFile
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from tests.conftest import Serve
from tests.frameworks.support import client_of, same_answer
from tests.support.asgi import App
from tests.support.server import RunningServer


class Colour(enum.Enum):
    """A path parameter with few values."""

    RED = "red"
    WHITE = "white"


class Bottle(BaseModel):
    """Goes in, and comes out without its price."""

    name: str = Field(alias="bottleName")
    price: decimal.Decimal = Field(gt=0)
    bottled: datetime.date
    id: uuid.UUID
    notes: list[str] = []


class PublicBottle(BaseModel):
    """What others may see."""

    name: str
    bottled: datetime.date
    notes: list[str] = []


class Filters(BaseModel):
    """Query parameters as a model."""

    model_config = {"extra": "forbid"}
    limit: int = Field(10, le=100)
    tags: list[str] = []


class Fields(BaseModel):
    """Header fields as a model."""

    x_token: str
    x_tag: list[str] = []
    if_modified: bool | None = None


class Login(BaseModel):
    """Form fields as a model."""

    user: str
    password: str = Field(min_length=3)
    remember: bool = False


def make_app() -> FastAPI:
    """One endpoint for each kind of parameter."""
    app = FastAPI(max_body_size=20_000_000)

    @app.get("/colours/{colour}")
    async def colour(colour: Colour, when: datetime.datetime | None = None) -> dict[str, Any]:
        return {"colour": colour, "when": when}

    @app.get("/files/{path:path}")
    async def file(path: Path) -> str:
        return path.as_posix()

    @app.post("/bottles", response_model=PublicBottle, response_model_exclude_unset=True)
    async def bottle(bottle: Bottle) -> dict[str, Any]:
        return bottle.model_dump(exclude_unset=True)

    @app.get("/broken", response_model=PublicBottle)
    async def broken() -> dict[str, Any]:
        return {"name": 5}

    @app.get("/filters")
    async def filters(filters: Annotated[Filters, Query()]) -> Filters:
        return filters

    @app.get("/fields")
    async def fields(fields: Annotated[Fields, Header()]) -> Fields:
        return fields

    @app.get("/cookies")
    async def cookies(
        session: Annotated[str, Cookie()], theme: Annotated[str, Cookie()] = "dark"
    ) -> list[str]:
        return [session, theme]

    @app.post("/login")
    async def login(form: Annotated[Login, Form()]) -> Login:
        return form

    @app.post("/files")
    async def files(
        first: UploadFile,
        rest: Annotated[list[UploadFile] | None, File()] = None,
        comment: Annotated[str | None, Form()] = None,
    ) -> list[Any]:
        found: list[Any] = [comment]
        for upload in [first, *(rest or [])]:
            digest, size = hashlib.sha256(), 0
            while part := await upload.read(100_000):
                digest.update(part)
                size += len(part)
            found.append([upload.filename, upload.content_type, size, digest.hexdigest()])
        return found

    @app.post("/sync-files")
    def sync_files(first: UploadFile) -> str:
        return hashlib.sha256(first.file.read()).hexdigest()

    @app.get("/html", response_class=HTMLResponse, status_code=202)
    async def html(response: Response) -> str:
        response.headers["x-made"] = "here"
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return "<p>gr\u00fc\u00df"

    @app.delete("/nothing", status_code=204)
    async def nothing(response: Response) -> None:
        response.headers["x-gone"] = "yes"

    @app.get("/teapot")
    async def teapot(response: Response) -> dict[str, str]:
        response.status_code = 418
        return {"short": "stout"}

    @app.get("/authenticate")
    async def authenticate() -> None:
        raise HTTPException(401, headers={"www-authenticate": "Bearer"})

    return app


BOTTLE = {
    "bottleName": "C\u00f4t",
    "price": "12.50",
    "bottled": "2024-05-06",
    "id": "7c0b4d1e-5a5c-4f0e-9a53-0d6f7e1c2b3a",
}

REQUESTS: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "enum": (200, "GET", "/colours/red?when=2024-01-02T03:04:05Z", {}),
    "enum invalid": (422, "GET", "/colours/blue", {}),
    "date invalid": (422, "GET", "/colours/red?when=soon", {}),
    "path of paths": (200, "GET", "/files/a/b%20c/d.txt", {}),
    "model": (200, "POST", "/bottles", {"json": BOTTLE}),
    "model with notes": (200, "POST", "/bottles", {"json": BOTTLE | {"notes": ["a", "\u20ac"]}}),
    "model invalid": (422, "POST", "/bottles", {"json": BOTTLE | {"price": -1, "id": "x"}}),
    "model of another type": (422, "POST", "/bottles", {"json": [1, 2]}),
    "body no JSON": (422, "POST", "/bottles", {"content": b"{", "headers": {"a": "b"}}),
    "response invalid": (500, "GET", "/broken", {}),
    "query model": (200, "GET", "/filters?limit=5&tags=a&tags=b", {}),
    "query model invalid": (422, "GET", "/filters?limit=500&more=1", {}),
    "header model": (
        200,
        "GET",
        "/fields",
        {"headers": [("x-token", "t"), ("x-tag", "1"), ("x-tag", "2"), ("if-modified", "true")]},
    ),
    "header missing": (422, "GET", "/fields", {}),
    "cookies": (200, "GET", "/cookies", {"headers": {"cookie": "session=s; theme=light"}}),
    "cookie missing": (422, "GET", "/cookies", {"headers": {"cookie": "theme=light"}}),
    "form": (
        200,
        "POST",
        "/login",
        {"data": {"user": "a b&c=d", "password": "\u20ac\u20ac\u20ac"}},
    ),
    "form invalid": (422, "POST", "/login", {"data": {"user": "a", "password": "x"}}),
    "form empty": (422, "POST", "/login", {"content": b""}),
    "form in parts": (
        200,
        "POST",
        "/login",
        {"files": {"user": (None, "a"), "password": (None, "secret"), "remember": (None, "on")}},
    ),
    "no file": (422, "POST", "/files", {"data": {"comment": "c"}}),
    "empty file": (200, "POST", "/files", {"files": {"first": ("e.txt", b"")}}),
    "html": (202, "GET", "/html", {}),
    "204": (204, "DELETE", "/nothing", {}),
    "status of the response": (418, "GET", "/teapot", {}),
    "401": (401, "GET", "/authenticate", {}),
    "schema": (200, "GET", "/openapi.json", {}),
    "docs": (200, "GET", "/docs", {}),
    "redoc": (200, "GET", "/redoc", {}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_answer_as_in_memory(serve: Serve, name: str) -> None:
    status, method, path, options = REQUESTS[name]
    app = make_app()
    with serve(app) as server:
        assert same_answer(server, app, method, path, **options).status_code == status
        if status == 500:
            server.log.expect("Exception in ASGI application")


def test_a_response_model_filters(serve: Serve) -> None:
    with serve(make_app()) as server, client_of(server) as client:
        answer = client.post("/bottles", json=BOTTLE)
        assert answer.json() == {"name": "C\u00f4t", "bottled": "2024-05-06"}


def test_the_words_of_a_422(serve: Serve) -> None:
    with serve(make_app()) as server, client_of(server) as client:
        detail = client.post("/bottles", json={"bottleName": 5}).json()["detail"]
        assert {(error["type"], tuple(error["loc"])) for error in detail} == {
            ("string_type", ("body", "bottleName")),
            ("missing", ("body", "price")),
            ("missing", ("body", "bottled")),
            ("missing", ("body", "id")),
        }


SIZES = [0, 1, 65_535, 65_536, 65_537, 1_048_577, 5_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_files_of_every_size(serve: Serve, size: int) -> None:
    """Three files and a field; the sizes stand at the edges of the server's and Python's buffers."""
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    digest = hashlib.sha256(data).hexdigest()
    files: list[tuple[str, Any]] = [
        ("first", ("gr\u00fc\u00df.bin", data, "application/x-own")),
        ("rest", ("two", data)),
        ("rest", ("three.txt", b"three", "text/plain")),
    ]
    with serve(make_app()) as server, client_of(server) as client:
        answer = client.post("/files", files=files, data={"comment": "\u20ac"})
        assert answer.json() == [
            "\u20ac",
            ["gr\u00fc\u00df.bin", "application/x-own", size, digest],
            ["two", "application/octet-stream", size, digest],
            ["three.txt", "text/plain", 5, hashlib.sha256(b"three").hexdigest()],
        ]
        sync = client.post("/sync-files", files={"first": data})
        assert sync.json() == digest


def multipart(data: bytes) -> tuple[str, bytes]:
    """Return a content type and a body with one file."""
    body = (
        b'--cut\r\nContent-Disposition: form-data; name="first"; filename="f"\r\n\r\n'
        + data
        + b"\r\n--cut--\r\n"
    )
    return "multipart/form-data; boundary=cut", body


def test_an_upload_in_small_pieces(serve: Serve) -> None:
    """Cuts inside the boundary, inside the part's head, and between the bytes of a line end."""
    kind, body = multipart(b"line\r\n--cu\r\n" * 20)
    with serve(make_app()) as server, server.connect() as client:
        client.send(
            f"POST /sync-files HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
        )
        client.send(*(body[at : at + 7] for at in range(0, len(body), 7)))
        digest = hashlib.sha256(b"line\r\n--cu\r\n" * 20).hexdigest()
        assert client.read_response().body == f'"{digest}"'.encode()


def test_a_chunked_upload(serve: Serve) -> None:
    data = bytes(range(256)) * 4096
    kind, body = multipart(data)

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 9999):
            yield body[at : at + 9999]

    with serve(make_app()) as server, client_of(server) as client:
        answer = client.post("/sync-files", content=pieces(), headers={"content-type": kind})
        assert answer.json() == hashlib.sha256(data).hexdigest()


def limited() -> FastAPI:
    """Takes at most 1000 bytes."""
    app = FastAPI(max_body_size=1000)

    @app.post("/")
    async def endpoint(body: Annotated[dict[str, str], "any"]) -> int:
        return len(body["x"])

    return app


def sent_with(server: RunningServer, app: App, content: Any) -> int:
    """Post, and return the status; the server must be fit for the next request."""
    headers = {"content-type": "application/json"}
    with client_of(server) as client:
        status = client.post("/", content=content, headers=headers).status_code
        assert client.post("/", json={"x": "small"}).json() == 5
    return status


@pytest.mark.parametrize("size", [2_000, 3_000_000])
def test_a_body_above_fastapis_limit(serve: Serve, size: int) -> None:
    body = b'{"x": "' + b"x" * size + b'"}'
    app = limited()
    with serve(app) as server:
        assert sent_with(server, app, body) == 413
        assert sent_with(server, app, iter([body[:500], body[500:]])) == 413
