# SPDX-License-Identifier: MIT
"""`wsgi.file_wrapper`: files that the kernel sends, and what is read where it cannot."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes

Environ = dict[str, Any]
Start = Callable[..., Any]
DATA = os.urandom(300_000)


class Watched(io.FileIO):
    """A file that tells what is done with it."""

    def __init__(self, path: Path, notes: Notes) -> None:
        super().__init__(path)
        self.notes = notes

    def read(self, size: int | None = -1, /) -> bytes:
        self.notes.put("read")
        return super().read(-1 if size is None else size) or b""

    def close(self) -> None:
        if not self.closed:
            self.notes.put("closed")
        super().close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def serving(path: Path, notes: Notes, position: int, headers: list[tuple[str, str]]) -> Any:
    """Return an application that answers with the file from `position` on."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", headers)
        file = Watched(path, notes)
        file.seek(position)
        return environ["wsgi.file_wrapper"](file, 1000)  # type: ignore[no-any-return]

    return app


@pytest.mark.parametrize("position", [0, 1, 299_999, 300_000])
def test_the_kernel_sends_it(serve_wsgi: Serve, notes: Notes, path: Path, position: int) -> None:
    with serve_wsgi(serving(path, notes, position, [])) as server, server.connect() as client:
        for _ in range(2):
            answer = client.ask()
            assert answer.body == DATA[position:]
            assert answer.get(b"content-length") == b"%d" % (len(DATA) - position)
            assert notes.get() == "closed"
        client.request("HEAD", "/")
        assert client.read_response("HEAD").status == 200
        assert notes.get() == "closed"
        assert notes.empty()


def test_no_more_than_the_length_that_was_said(serve_wsgi: Serve, notes: Notes, path: Path) -> None:
    app = serving(path, notes, 10, [("Content-Length", "100")])
    with serve_wsgi(app) as server, server.connect() as client:
        assert client.ask().body == DATA[10:110]
        assert notes.get() == "closed"
        client.assert_open()
        assert notes.get() == "closed"
        assert notes.empty()


def test_it_is_read_where_the_extension_is_not_offered(
    serve_wsgi: Serve, notes: Notes, path: Path
) -> None:
    app = serving(path, notes, 299_000, [])
    with serve_wsgi(app, extensions=()) as server, server.connect() as client:
        assert client.ask().body == DATA[299_000:]
        assert [notes.get() for _ in range(3)] == ["read", "read", "closed"]


@pytest.mark.parametrize("kind", ["memory", "pipe", "unclosable"])
def test_what_is_no_file_on_a_disk_is_read(serve_wsgi: Serve, kind: str) -> None:
    class Unclosable:
        def __init__(self) -> None:
            self.data = [b"hello", b""]

        def read(self, size: int) -> bytes:
            return self.data.pop(0)

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        file: Any = io.BytesIO(b"hello")
        if kind == "pipe":
            reader, writer = os.pipe()
            os.write(writer, b"hello")
            os.close(writer)
            file = os.fdopen(reader, "rb")
        elif kind == "unclosable":
            file = Unclosable()
        return environ["wsgi.file_wrapper"](file)  # type: ignore[no-any-return]

    with serve_wsgi(app) as server, server.connect() as client:
        for _ in range(2):
            assert client.ask().body == b"hello"


def test_behind_a_piece_that_was_written(serve_wsgi: Serve, path: Path) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])(b"first")
        return environ["wsgi.file_wrapper"](path.open("rb"))  # type: ignore[no-any-return]

    with serve_wsgi(app) as server, server.connect() as client:
        assert client.ask().body == b"first" + DATA
