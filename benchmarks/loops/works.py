"""What is measured of a loop: each work, how much faster cuvee's loop has to be, and who asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LOOPS = ("cuvee", "asyncio", "uvloop", "zuvloop", "rloop")
"""Each is a module with `new_event_loop`."""

FLOOR = 0.97
"""Nothing may be slower than this part of what uvloop or asyncio does."""
SIZES = {"64 B": 64, "1 KiB": 1024, "64 KiB": 65536}


@dataclass(frozen=True)
class Exchange:
    """What a client sends again and again, and how the answer to it ends.

    With an opening, each connection begins with that and its own answer.
    """

    request: bytes
    answer: bytes
    opening: bytes = b""
    opening_answer: bytes = b""


@dataclass(frozen=True)
class Work:
    """One thing that a loop does."""

    title: str
    code: str
    """The async generator that does it, as `module:function` of this folder.

    It yields how often it has done it, again and again; or, where there is an exchange, the address
    of its server once.
    """
    settings: Mapping[str, str] = field(default_factory=dict)
    exchange: Exchange | None = None
    """What the client of this server asks. None: the loop has no client, it works by itself."""
    partner: str | None = None
    """The server that the loop is a client of (partners.py)."""
    wanted: Mapping[str, float] = field(default_factory=dict)
    """How many times the speed of these loops cuvee's must have; `FLOOR` where nothing is said."""

    def wanted_of(self, loop: str) -> float:
        """How many times that loop's speed is demanded; 0 where nothing is."""
        return self.wanted.get(loop, FLOOR if loop in ("uvloop", "asyncio") else 0.0)


def _echo(data: bytes) -> Exchange:
    return Exchange(request=data, answer=data)


_BY_ITSELF = {
    "call-soon": Work("call_soon", "callbacks:plain", wanted={"uvloop": 1.5}),
    "call-soon-args": Work(
        "call_soon, 3 arguments", "callbacks:with_arguments", wanted={"uvloop": 1.5}
    ),
    "threadsafe": Work("call_soon_threadsafe, own thread", "callbacks:from_own_thread"),
    "threadsafe-thread": Work(
        "call_soon_threadsafe, another thread", "callbacks:from_another_thread"
    ),
    "timer-cancelled": Work(
        "timer scheduled and cancelled", "timers:cancelled", wanted={"uvloop": 1.5}
    ),
    "timer-fired": Work("timer that fires", "timers:fired", wanted={"uvloop": 1.5}),
    "sleep-0": Work("sleep(0)", "tasks:sleep_0"),
    "gather": Work("gather of 100", "tasks:gather_100"),
    "create-task": Work("create_task, awaited", "tasks:create"),
    "subprocess": Work("subprocess, /bin/true", "system:spawn"),
    "getaddrinfo": Work("getaddrinfo, a number", "system:resolve", {"host": "127.0.0.1"}),
    "getaddrinfo-name": Work("getaddrinfo, localhost", "system:resolve", {"host": "localhost"}),
    "streams-both": Work("streams, both ends, 1 KiB", "echoes:both_ends"),
}


def _echoes() -> dict[str, Work]:
    """Three kinds of server, over three kinds of connection, with three sizes."""
    found: dict[str, Work] = {}
    for over, over_title in (("tcp", "TCP"), ("unix", "Unix"), ("tls", "TLS")):
        for kind, title, faster in (
            ("streams", "streams", 1.2),
            ("protocol", "protocol", 1.1),
            ("buffered", "buffered protocol", 1.1),
        ):
            for size_title, size in SIZES.items():
                wanted = {"uvloop": faster} if size <= 1024 else {}
                found[f"{kind}-{over}-{size}"] = Work(
                    f"{title}, {over_title}, {size_title}",
                    f"echoes:{kind}",
                    {"over": over},
                    _echo(bytes(range(64)) * (size // 64)),
                    wanted={"asyncio": 1.0} if over == "tls" else wanted,
                )
    return found


_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
# A binary message of 64 bytes, from the client under a mask of zeros.
_MESSAGE = Exchange(
    b"\x82\xc0" + bytes(4) + bytes(64), b"\x82\x40" + bytes(64), _UPGRADE, b"\r\n\r\n"
)

_LIBRARIES = {
    "asyncpg": Work("asyncpg, SELECT 1", "libraries:postgresql", partner="postgresql"),
    "redis": Work("redis, GET", "libraries:redis_get", partner="redis"),
    "aiohttp-client": Work("aiohttp client", "libraries:aiohttp_client", partner="http"),
    "aiohttp-server": Work(
        "aiohttp server",
        "libraries:aiohttp_server",
        exchange=Exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n\r\nHello, world!"),
    ),
    "websockets": Work("websockets echo, 64 B", "libraries:websockets_server", exchange=_MESSAGE),
}

WORKS: dict[str, Work] = {
    **_BY_ITSELF,
    **_echoes(),
    "udp": Work("UDP, 1 KiB", "echoes:datagrams", {"over": "udp"}, _echo(bytes(range(64)) * 16)),
    **_LIBRARIES,
}
