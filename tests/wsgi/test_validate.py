# SPDX-License-Identifier: MIT
"""The standard library's validator between server and application sees nothing wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

import pytest

from tests.conftest import Serve

Environ = dict[str, Any]
Start = Callable[..., Any]
TEXT = [("Content-Type", "text/plain")]


def echoing(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Read in every way, and answer in pieces."""
    body = environ["wsgi.input"]
    first = body.readline()
    second = body.read(3)
    start_response("200 OK", TEXT)
    yield first
    yield second
    yield from body.readlines(5)
    yield body.read(100_000)


def writing(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Write, and log."""
    environ["wsgi.errors"].write("a line\n")
    environ["wsgi.errors"].flush()
    start_response("200 OK", TEXT)(b"hello")
    return [b"hello"]


@pytest.mark.parametrize("app", [echoing, writing, demo_app])
@pytest.mark.parametrize("root_path", ["", "/root"])
def test_nothing_is_wrong(serve_wsgi: Serve, app: Any, root_path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked: Any = validator(app)
        with serve_wsgi(checked, root_path=root_path) as server, server.connect() as client:
            client.request("POST", "/a?b=c", "X-A: b", body=b"one\ntwo\nthree\n")
            answer = client.read_response()
            assert answer.status == 200
            if app is echoing:
                assert answer.body == b"one\ntwo\nthree\n"
            assert client.ask("/").status == 200
            client.request("HEAD", "/")
            assert client.read_response("HEAD").status == 200
