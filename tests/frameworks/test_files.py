# SPDX-License-Identifier: MIT
"""Static files and file responses, compared with what the application answers in memory."""

import os
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.conftest import Serve
from tests.frameworks.support import client_of, same_answer
from tests.support.asgi import WAIT, App, Notes, Receive, Scope, Send

SIZE = 300_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small site, and a file beside it that nobody may read."""
    root = tmp_path_factory.mktemp("files")
    site = root / "site"
    (site / "sub").mkdir(parents=True)
    (root / "secret.txt").write_text("secret")
    (site / "index.html").write_text("<h1>index</h1>")
    (site / "404.html").write_text("<h1>not here</h1>")
    (site / "sub" / "index.html").write_text("<h1>sub</h1>")
    (site / "empty.txt").write_bytes(b"")
    (site / "style.css").write_text("body { color: red }")
    (site / "gr\u00fc\u00df e.txt").write_text("gr\u00fc\u00dfe")
    (site / "data.bin").write_bytes(os.urandom(SIZE))
    return site


@pytest.fixture(scope="module")
def site(folder: Path) -> App:
    """The folder as an application."""
    app = FastAPI()
    app.mount("/site", StaticFiles(directory=folder, html=True))

    @app.get("/download")
    async def download() -> FileResponse:
        return FileResponse(folder / "data.bin", filename="gr\u00f6\u00dfe.bin")

    return app


REQUESTS: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "file": (200, "GET", "/site/style.css", {}),
    "large": (200, "GET", "/site/data.bin", {}),
    "empty": (200, "GET", "/site/empty.txt", {}),
    "index": (200, "GET", "/site/", {}),
    "sub index": (200, "GET", "/site/sub/", {}),
    "folder without a slash": (307, "GET", "/site/sub", {}),
    "mount without a slash": (307, "GET", "/site", {}),
    "own 404": (404, "GET", "/site/nothing", {}),
    "name in UTF-8": (200, "GET", "/site/gr%C3%BC%C3%9F%20e.txt", {}),
    "head": (200, "HEAD", "/site/data.bin", {}),
    "head of nothing": (404, "HEAD", "/site/nothing", {}),
    "head of an empty file": (200, "HEAD", "/site/empty.txt", {}),
    "wrong method": (405, "POST", "/site/style.css", {}),
    "download": (200, "GET", "/download", {}),
    "first bytes": (206, "GET", "/site/data.bin", {"range": "bytes=0-0"}),
    "middle": (206, "GET", "/site/data.bin", {"range": "bytes=1000-199999"}),
    "end": (206, "GET", "/site/data.bin", {"range": "bytes=-100"}),
    "from": (206, "GET", "/site/data.bin", {"range": f"bytes={SIZE - 1}-"}),
    "beyond": (416, "GET", "/site/data.bin", {"range": f"bytes={SIZE}-"}),
    "malformed": (400, "GET", "/site/data.bin", {"range": "bites=1-2"}),
    "head of a range": (206, "HEAD", "/site/data.bin", {"range": "bytes=5-9"}),
    "range of a download": (206, "GET", "/download", {"range": "bytes=7-70000"}),
    "range if another": (
        200,
        "GET",
        "/site/data.bin",
        {"range": "bytes=5-9", "if-range": '"another"'},
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_answer_as_in_memory(serve: Serve, site: App, name: str) -> None:
    status, method, path, headers = REQUESTS[name]
    with serve(site) as server:
        response = same_answer(server, site, method, path, headers=headers)
        assert response.status_code == status


def test_the_bytes_of_a_range(serve: Serve, site: App, folder: Path) -> None:
    data = (folder / "data.bin").read_bytes()
    with serve(site) as server, client_of(server) as client:
        response = client.get("/site/data.bin", headers={"range": "bytes=99990-200010"})
        assert response.content == data[99990:200011]
        assert response.headers["content-range"] == f"bytes 99990-200010/{SIZE}"
        assert response.headers["content-length"] == str(len(response.content))


def test_several_ranges(serve: Serve, site: App, folder: Path) -> None:
    data = (folder / "data.bin").read_bytes()
    with serve(site) as server, client_of(server) as client:
        response = client.get("/site/data.bin", headers={"range": "bytes=0-9,5000-5999,-5"})
        assert response.status_code == 206
        boundary = response.headers["content-type"].partition("boundary=")[2]
        parts = response.content.split(f"--{boundary}".encode())
        assert parts[0] == b""
        assert parts[-1].strip() == b"--"
        bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
        assert bodies == [data[:10], data[5000:6000], data[-5:]]


@pytest.mark.parametrize("field", ["etag", "last-modified"])
def test_not_modified(serve: Serve, site: App, field: str) -> None:
    """A 304 has no body, and the connection goes on behind it."""
    asked = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}[field]
    with serve(site) as server, server.connect() as client:
        full = client.ask("/site/style.css")
        value = full.get(field.encode())
        assert full.body == b"body { color: red }"
        assert value is not None
        for _ in range(3):
            cached = client.ask("/site/style.css", f"{asked}: {value.decode()}")
            assert (cached.status, cached.body) == (304, b"")
            assert cached.get(b"etag") == full.get(b"etag")
            assert not cached.chunked
        assert client.ask("/site/style.css").body == full.body


def test_head_is_followed_by_the_next_answer(serve: Serve, site: App) -> None:
    with serve(site) as server, server.connect() as client:
        for path, length in (("/site/data.bin", b"%d" % SIZE), ("/site/empty.txt", b"0")):
            client.request("HEAD", path)
            assert client.read_response("HEAD").get(b"content-length") == length
        assert client.ask("/site/style.css").body == b"body { color: red }"


@pytest.mark.parametrize(
    "path",
    [
        "/site/../secret.txt",
        "/site/%2e%2e/secret.txt",
        "/site/..%2fsecret.txt",
        "/site/sub/../../secret.txt",
        "/site//secret.txt",
        "/site/%00secret.txt",
    ],
)
def test_nothing_outside_the_folder(serve: Serve, folder: Path, path: str) -> None:
    assert (folder.parent / "secret.txt").read_text() == "secret"
    app = Starlette(routes=[Mount("/site", StaticFiles(directory=folder))])
    with serve(app) as server, server.connect() as client:
        response = client.ask(path)
        assert response.status == 404
        assert b"secret" not in response.body
        client.assert_open("/site/style.css")


def is_open(path: Path) -> bool:
    """Tell whether this process has a file open."""
    names = Path("/proc/self/fd").iterdir()
    return any(os.path.realpath(name) == str(path) for name in names)


@pytest.mark.parametrize("extensions", [("pathsend",), ()], ids=["by the kernel", "in pieces"])
@pytest.mark.parametrize("how", ["fin", "close", "rst"])
def test_a_client_that_leaves_in_the_middle_of_a_file(
    serve: Serve, notes: Notes, tmp_path: Path, how: str, extensions: tuple[str, ...]
) -> None:
    """The file is closed and the request ends; the file is larger than any socket's buffer.

    One that the kernel sends is off the application's hands before that.
    """
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> FileResponse:
        return FileResponse(path)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            notes.put("request ended")

    with (
        serve(watched, extensions=extensions) as server,
        server.connect(rcvbuf=4096) as client,
    ):
        client.get()
        assert client.read_head().get(b"content-length") == b"%d" % (1 << 30)
        client.read(100_000)
        assert is_open(path)
        assert extensions or notes.empty()
        client.leave(how)
        assert notes.get() == "request ended"
        client.close()  # whose side ended only might still read a complete answer
        end = time.monotonic() + WAIT
        while is_open(path):
            assert time.monotonic() < end, "the file stays open"
            server.settle()
