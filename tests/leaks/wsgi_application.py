# SPDX-License-Identifier: MIT
"""The WSGI application of the leak scenarios; the end of the path says what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cuvee.wsgi import WSGIMiddleware

Environ = dict[str, Any]
Start = Callable[..., Any]


def hello(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Answer in one piece."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Read in pieces, and answer with them."""
    start_response("200 OK", [])
    while piece := environ["wsgi.input"].read(10_000):
        yield piece


def written(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Write the answer."""
    write = start_response("200 OK", [])
    for _ in range(3):
        write(b"x" * 30_000)
    return []


def file(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Answer with a file."""
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))  # type: ignore[no-any-return]


def endless(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Answer until the client has gone."""
    start_response("200 OK", [])
    while True:
        yield b"tick" * 5000


def error(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Fail."""
    raise LookupError(environ["PATH_INFO"])


def error_later(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Fail in the middle."""
    start_response("200 OK", [])
    yield b"part"
    raise LookupError(environ["PATH_INFO"])


PARTS: dict[str, Any] = {
    part.__name__: part for part in (hello, echo, written, file, endless, error, error_later)
}


def application(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Do what the end of the path says."""
    found: Iterable[bytes] = PARTS[environ["PATH_INFO"].rpartition("/")[2]](environ, start_response)
    return found


wsgi = WSGIMiddleware(application, workers=2)
