"""The works: what is asked of which app, how much at once, and what has to come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.websocket_clients import Talk

Maker = Literal["wrk", "h2load", "h2load-counted", "events", "uploads", "websockets"]
Unit = Literal["request", "event", "MB", "message"]


@dataclass(frozen=True)
class Work:
    """One kind of request, and the load that is made of it."""

    title: str
    app: str
    answer: bytes
    content_type: str = "text/plain"
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    body_times: int = 1
    """How often `body` is sent, one behind the other, as one body."""
    connections: int = 64
    pipelined: int = 1
    maker: Maker = "wrk"
    unit: Unit = "request"
    units: float = 1
    """How many units a request is."""
    endless: bool = False
    """The answer has to begin so; it does not end."""
    clock: Literal["perf_counter", "thread_time"] = "perf_counter"
    """What the part inside the app is timed with. The time of a thread leaves out when others run,
    but a reading takes 0.7 µs: too much for an app that takes two."""
    access_log: bool = False
    talk: Talk | None = None
    """What is said after the handshake, over WebSocket."""
    limit: bool = False
    """The C server can do it: no Python is asked for."""

    @property
    def body_size(self) -> int:
        """Bytes of the request's body."""
        return len(self.body) * self.body_times

    def pieces(self) -> Iterator[bytes]:
        """The request's body, a megabyte or less at a time."""
        together = max(1, 1_000_000 // len(self.body))
        for sent in range(0, self.body_times, together):
            yield self.body * min(together, self.body_times - sent)


def _websocket(title: str, app: str, talk: Talk) -> Work:
    return Work(
        f"WebSocket {title}, per message",
        f"chat:{app}",
        b"",
        path="/broadcast" if talk.mode == "broadcast" else "/",
        connections=talk.connections,
        pipelined=talk.depth,
        maker="websockets",
        unit="message",
        talk=talk,
        limit=app != "gather",
    )


JSON = "application/json"
BINARY = "application/octet-stream"

_HELLO = Work("hello", "hello:app", b"Hello, world!", limit=True)
_FASTAPI = Work(
    "FastAPI, one JSON object",
    "fastapi_json:app",
    b'{"message":"Hello, world!"}',
    content_type=JSON,
    clock="thread_time",
)


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _item(number: int) -> dict[str, object]:
    return {"id": number, "name": "Rye bread", "price": 4.5, "tags": ["dark", "sour"]}


# What Chrome sends with a click on a link of the same site; wrk adds Host, the twentieth.
_BROWSER = (
    ("Connection", "keep-alive"),
    ("Cache-Control", "max-age=0"),
    ("sec-ch-ua", '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("DNT", "1"),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/140.0.0.0 Safari/537.36",
    ),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Fetch-Dest", "document"),
    ("Referer", "http://127.0.0.1/articles/2026/an-article-with-a-longer-name"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8,fr;q=0.7"),
    ("Cookie", "session=9f86d081884c7d659a2feaa0c55ad015; theme=dark; consent=necessary"),
    ("If-None-Match", 'W/"5f3a-2b1c9d8e7f6a5b4c3d2e1f0a"'),
    ("If-Modified-Since", "Mon, 23 Nov 2026 08:00:00 GMT"),
)

WORKS: dict[str, Work] = {
    "hello-1": replace(_HELLO, title="hello, 1 connection", connections=1),
    "hello-8": replace(_HELLO, title="hello, 8 connections", connections=8),
    "hello": replace(_HELLO, title="hello, 64 connections"),
    "hello-512": replace(_HELLO, title="hello, 512 connections", connections=512),
    "hello-10000": replace(
        _HELLO, title="hello, 10,000 connections", connections=10_000, maker="h2load"
    ),
    "hello-log": replace(
        _HELLO,
        title="hello, with access log",
        access_log=True,
        maker="h2load-counted",
        limit=False,
    ),
    "pipelined": replace(_HELLO, title="hello, 16 pipelined", pipelined=16),
    "browser": replace(_HELLO, title="hello, 20 header fields", headers=_BROWSER),
    "task": Work("one awaited task", "waits:task", b"Hello, world!"),
    "sleep": Work("sleep 10 ms, 512 connections", "waits:sleep", b"Hello, world!", connections=512),
    "echo": Work(
        "echo 10 KB",
        "bodies:echo",
        b"x" * 10_240,
        content_type=BINARY,
        method="POST",
        path="/echo",
        body=b"x",
        body_times=10_240,
        limit=True,
    ),
    "upload": Work(
        "upload 100 MB, per MB",
        "bodies:upload",
        b"",
        content_type="",
        method="POST",
        path="/upload",
        body=b"x" * 1_000_000,
        body_times=100,
        connections=1,
        maker="uploads",
        unit="MB",
        units=100,
        limit=True,
    ),
    "stream": Work(
        "stream 100 × 16 KB, per MB",
        "bodies:stream",
        b"x" * 1_638_400,
        content_type=BINARY,
        path="/stream",
        connections=8,
        unit="MB",
        units=1.6384,
        limit=True,
    ),
    "events": Work(
        "server-sent events, 1,000 clients, per event",
        "events:app",
        b"data: ",
        content_type="text/event-stream",
        path="/events",
        connections=1_000,
        maker="events",
        unit="event",
        endless=True,
    ),
    "fastapi": _FASTAPI,
    "fastapi-1": replace(_FASTAPI, title="FastAPI, 1 connection", connections=1),
    "fastapi-8": replace(_FASTAPI, title="FastAPI, 8 connections", connections=8),
    "fastapi-validated": replace(
        _FASTAPI,
        title="FastAPI, path, query and body validated",
        method="PUT",
        path="/items/7?copies=2",
        headers=(("Content-Type", JSON),),
        body=_compact(_item(1)),
        answer=_compact([_item(7), _item(8)]),
    ),
    "fastapi-sync": replace(_FASTAPI, title="FastAPI, sync endpoint", path="/sync"),
    "starlette": replace(_FASTAPI, title="Starlette", app="starlette_app:app"),
    "django": replace(
        _FASTAPI,
        title="Django",
        app="django_app:app",
        answer=b'{"message": "Hello, world!"}',
    ),
    "websocket": _websocket("echo 64 B", "echo", Talk("echo", 64)),
    "websocket-text": _websocket("echo 64 B of text", "echo", Talk("echo", 64, text=True)),
    "websocket-pipelined": _websocket("echo 64 B, 16 at once", "echo", Talk("echo", 64, depth=16)),
    "websocket-16k": _websocket("echo 16 KiB", "echo", Talk("echo", 64, 16_384)),
    "broadcast": _websocket("64 B to 1,000", "broadcast", Talk("broadcast", 1_000)),
    "broadcast-1k": _websocket("1 KiB to 1,000", "broadcast", Talk("broadcast", 1_000, 1_024)),
    "broadcast-gather": _websocket("64 B to 1,000 by gather", "gather", Talk("broadcast", 1_000)),
    "broadcast-1k-gather": _websocket(
        "1 KiB to 1,000 by gather", "gather", Talk("broadcast", 1_000, 1_024)
    ),
}
