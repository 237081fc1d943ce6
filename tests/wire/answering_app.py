# SPDX-License-Identifier: MIT
"""The application of the corpus of answers: the words of a path say how it answers.

`/STATUS-WAY` answers with that status, the body `hello`, and in one of the ways below; `/WAY` alone means 200. Three
paths stand apart: `/good`, `/echo` (reads the body first and gives it back), and `/host` (answers with Host's value).
The target of a CONNECT is read up to its port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.asgi import Receive, Scope, Send, respond


@dataclass(frozen=True)
class Way:
    """Fields, and the pieces of the body; the first ones are sent with more_body."""

    pieces: Sequence[bytes]
    fields: Sequence[tuple[bytes, bytes]] = ()


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
    "twice": Way([b"hello"], [(b"x-a", b"1"), (b"x-b", b""), (b"x-a", b"2")]),
}


async def answer(send: Send, status: int, way: Way) -> None:
    """Send one answer."""
    await send({"type": "http.response.start", "status": status, "headers": list(way.fields)})
    for number, piece in enumerate(way.pieces, 1):
        more = number < len(way.pieces)
        await send({"type": "http.response.body", "body": piece, "more_body": more})


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
        await answer(send, int(word[:3]), WAYS[word[4:] or "whole"])
    else:
        await answer(send, 200, WAYS.get(word, WAYS["whole"]))
