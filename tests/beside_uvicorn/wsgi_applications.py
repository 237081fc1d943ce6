# SPDX-License-Identifier: MIT
"""A WSGI application that both servers serve; the path says what it does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., Any]

SHOWN = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL")


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Do what the path says."""
    print(environ["PATH_INFO"], environ["QUERY_STRING"], file=sys.stderr, flush=True)
    find = {"/streamed": streamed, "/raises": raises, "/late": raises_late, "/written": written}
    return find.get(environ["PATH_INFO"], echo)(environ, start_response)


def echo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Answer with what the request says, and its body."""
    said = {key: environ[key] for key in environ if key in SHOWN or key.startswith("HTTP_")}
    said["body"] = environ["wsgi.input"].read().decode()
    body = json.dumps(said).encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-One", "1"), ("X-One", "2")])
    return [body]


def streamed(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Answer in pieces."""
    start_response("202 Accepted", [])
    yield b"one"
    yield b"two"


def written(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Answer by write."""
    write = start_response("200 OK", [])
    write(b"one")
    return [b"two"]


def raises(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Fail before anything was sent."""
    raise LookupError("no such thing")


def raises_late(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Fail in the middle."""
    start_response("200 OK", [])
    yield b"begun"
    raise LookupError("no such thing")
