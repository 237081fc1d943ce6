# SPDX-License-Identifier: MIT
"""The application of the corpus of answers: the words of a path say how it answers.

`/STATUS-WAY` answers with that status, the body `hello`, and in one of the ways below; `/WAY` alone means 200. Three
paths stand apart: `/good`, `/echo` (reads the body first and gives it back), and `/host` (answers with Host's value).
The target of a CONNECT is read up to its port.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.asgi import Receive, Scope, Send, respond


@dataclass(frozen=True)
class Way:
    """Fields, and the pieces of the body; the first ones are sent with more_body."""

    pieces: Sequence[bytes]
    fields: Sequence[tuple[bytes, bytes]] = ()
    trailers: Sequence[tuple[bytes, bytes]] = ()
    hints: Sequence[bytes] = ()
    """Links of early hints before the answer, where the client may have them."""
    file: bytes = b""
    """What the file says that is the body, behind the pieces."""


LENGTH = (b"content-length", b"5")
CHUNKED = (b"transfer-encoding", b"chunked")

WAYS = {
    "whole": Way([b"hello"]),
    "stream": Way([b"hel", b"", b"lo"]),
    "late": Way([b"hello", b""]),
    "empty": Way([b""]),
    "counted": Way([b"hello"], [LENGTH]),
    "counted.stream": Way([b"hel", b"lo"], [LENGTH]),
    "counted.twice": Way([b"hello"], [LENGTH, LENGTH]),
    "counted.empty": Way([b""], [LENGTH]),
    "chunked": Way([b"hello"], [CHUNKED]),
    "counted.chunked": Way([b"hello"], [LENGTH, CHUNKED]),
    "coded": Way([b"hello"], [(b"transfer-encoding", b"gzip, chunked")]),
    "close": Way([b"hello"], [LENGTH, (b"connection", b"close")]),
    "close.more": Way([b"hello"], [LENGTH, (b"Connection", b"x-one, Close")]),
    "keep": Way([b"hello"], [LENGTH, (b"connection", b"keep-alive")]),
    "capitals": Way([b"hello"], [(b"X-Name", b" \tvalue\xe9\t")]),
    "trailers": Way([b"hello"], trailers=[(b"Sum", b"1"), (b"x-empty", b"")]),
    "trailers.none": Way([b"hel", b"lo"], trailers=[]),
    "counted.trailers": Way([b"hello"], [LENGTH], trailers=[(b"sum", b"1")]),
    "hint": Way([b"hello"], hints=[b"</a.css>; rel=preload", b"</b.js>"]),
    "file": Way([], file=b"hello"),
    "chunked.file": Way([], [CHUNKED], file=b"hello"),
    "parts": Way([b"<"], file=b"hello"),
    "twice": Way([b"hello"], [(b"x-a", b"1"), (b"x-b", b""), (b"x-a", b"2")]),
}


async def answer(scope: Scope, send: Send, status: int, way: Way) -> None:
    """Send one answer."""
    if way.hints and "http.response.early_hint" in scope["extensions"]:
        await send({"type": "http.response.early_hint", "links": way.hints})
    start = {"type": "http.response.start", "status": status, "headers": list(way.fields)}
    await send(start | ({"trailers": True} if "trailers" in scope["path"] else {}))
    for number, piece in enumerate(way.pieces, 1):
        more = number < len(way.pieces) or way.file != b""
        await send({"type": "http.response.body", "body": piece, "more_body": more})
    if way.file:
        await send_file(send, way)
    if "trailers" in scope["path"]:
        await send({"type": "http.response.trailers", "headers": list(way.trailers)})


async def send_file(send: Send, way: Way) -> None:
    """Send the last of a body, or all of it, from a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(way.file)
        file.flush()
        if way.pieces:
            await send({"type": "http.response.zerocopysend", "file": file, "offset": 0})
        else:
            await send({"type": "http.response.pathsend", "path": file.name})


async def echo(receive: Receive, send: Send) -> None:
    """Give the body back, unless the client is gone before its end."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    await respond(send, body, headers=[(b"content-length", b"%d" % len(body))])


async def answering_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the path says; a target without a path of ours is answered as /whole."""
    word = scope["path"].lstrip("/").partition(":")[0]
    counted = [(b"content-length", b"4")]
    if word == "good":
        await respond(send, b"good", headers=counted)
    elif word == "echo":
        await echo(receive, send)
    elif word == "host":
        hosts = b"|".join(value for name, value in scope["headers"] if name == b"host")
        await respond(send, hosts, headers=[(b"content-length", b"%d" % len(hosts))])
    elif word[:3].isdigit():
        await answer(scope, send, int(word[:3]), WAYS[word[4:] or "whole"])
    else:
        await answer(scope, send, 200, WAYS.get(word, WAYS["whole"]))
