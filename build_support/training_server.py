"""The server side of the training run for profile-guided optimisation (training.py starts it).

    python training_server.py SITE LISTENER LISTENER

SITE is the folder with the package under training; the listeners are descriptors. The first is
served without an access log, then the second with one. It ends by itself, and normally, since a
process that a signal ends writes no profile.
"""
# ruff: noqa: ARG001 (an application takes all that ASGI gives)

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE = b"x" * 16384
STREAMED = 100
ROUNDS_OF_LOOP = 300


def start(*fields: tuple[bytes, bytes], status: int = 200) -> Message:
    """The first message of an answer."""
    return {"type": "http.response.start", "status": status, "headers": [*fields]}


def body(data: bytes, more: bool = False) -> Message:
    """A further message of an answer."""
    return {"type": "http.response.body", "body": data, "more_body": more}


HELLO_START = start((b"content-type", b"text/plain"), (b"content-length", b"13"))
HELLO_BODY: Message = {"type": "http.response.body", "body": b"Hello, world!"}


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    """The least that an application does."""
    await send(HELLO_START)
    await send(HELLO_BODY)


async def look(scope: Message, receive: Receive, send: Send) -> None:
    """Do what frameworks do: look at everything, receive, answer with fields of their own."""
    fields = {name.decode("latin-1"): value for name, value in scope["headers"]}
    known = (scope["method"], scope["path"], scope["query_string"], scope["client"])
    text = f'{{"fields":{len(fields)},"known":{len(known)}}}'.encode()
    await receive()
    length = (b"content-length", b"%d" % len(text))
    await send(start(length, (b"content-type", b"application/json"), (b"x-served", b"yes")))
    await send(body(text))


async def read_body(receive: Receive) -> bytes:
    """The whole request body."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with the request's body."""
    data = await read_body(receive)
    await send(start((b"content-length", b"%d" % len(data))))
    await send(body(data))


async def upload(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with the length of the request's body."""
    await send(start())
    await send(body(b"%d" % len(await read_body(receive))))


async def stream(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with many pieces of an unknown number."""
    await send(start((b"content-type", b"application/octet-stream")))
    for _ in range(STREAMED):
        await send(body(PIECE, more=True))
    await send(body(b""))


async def events(scope: Message, receive: Receive, send: Send) -> None:
    """Answer piece by piece, with a turn of the loop in between."""
    await send(start((b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")))
    for number in range(20):
        await send(body(b"data: %d\n\n" % number, more=True))
        await asyncio.sleep(0)
    await send(body(b""))


async def talk(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message of a WebSocket back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


listeners: set[Send] = set()


async def to_all(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message of a WebSocket to all that are there."""
    await receive()
    await send({"type": "websocket.accept"})
    listeners.add(send)
    while (message := await receive())["type"] == "websocket.receive":
        for listener in listeners:
            await listener({"type": "websocket.send", "text": message["text"]})
    listeners.discard(send)


async def refuse(scope: Message, receive: Receive, send: Send) -> None:
    """Take no WebSocket."""
    await send({"type": "websocket.close"})


async def nothing() -> None:
    """Be awaited."""


async def await_task(scope: Message, receive: Receive, send: Send) -> None:
    """Answer after a task of its own."""
    await asyncio.create_task(nothing())
    await hello(scope, receive, send)


async def sleep(scope: Message, receive: Receive, send: Send) -> None:
    """Answer after a timer."""
    await asyncio.sleep(0.001)
    await hello(scope, receive, send)


async def wait(scope: Message, receive: Receive, send: Send) -> None:
    """Begin an answer, then listen and send until the client has gone."""

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    listener = asyncio.create_task(listen())
    await send(start())
    while not listener.done():
        await send(body(b"piece", more=True))
        await asyncio.sleep(0.001)


async def fail(scope: Message, receive: Receive, send: Send) -> None:
    """Raise, so that the server answers."""
    raise RuntimeError("meant to happen")


async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every line back."""
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def use_streams() -> None:
    """A server and a client on the loop."""
    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for size in (20, 2000, 50_000):
        for _ in range(ROUNDS_OF_LOOP // 3):
            writer.write(b"y" * size + b"\n")
            await reader.readline()
    writer.close()
    await writer.wait_closed()
    server.close()


async def use_sockets(loop: asyncio.AbstractEventLoop) -> None:
    """The sock_ methods, and a reader."""
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        for _ in range(ROUNDS_OF_LOOP):
            await loop.sock_sendall(one, b"z" * 100)
            await loop.sock_recv(other, 1000)
        seen = asyncio.Event()
        loop.add_reader(other, seen.set)
        one.send(b"z")
        await seen.wait()
        loop.remove_reader(other)


async def use_timers(loop: asyncio.AbstractEventLoop) -> None:
    """Timers that fire, that are cancelled and that time out, and callbacks from a thread."""
    for number in range(ROUNDS_OF_LOOP):
        loop.call_later(number / 1e5, int)
        loop.call_later(60, int).cancel()
        loop.call_soon(int)
        await asyncio.wait_for(nothing(), 5)
    await asyncio.gather(*(asyncio.sleep(number / 1e5) for number in range(ROUNDS_OF_LOOP)))
    for _ in range(20):
        await loop.run_in_executor(None, int)


async def use_loop(scope: Message, receive: Receive, send: Send) -> None:
    """Use the loop as an application's libraries do, then answer."""
    loop = asyncio.get_running_loop()
    await use_streams()
    await use_sockets(loop)
    await use_timers(loop)
    await hello(scope, receive, send)


async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
    """Start and stop."""
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


HANDLERS = {
    "/": hello,
    "/look": look,
    "/echo": echo,
    "/upload": upload,
    "/stream": stream,
    "/events": events,
    "/talk": talk,
    "/to_all": to_all,
    "/refuse": refuse,
    "/task": await_task,
    "/sleep": sleep,
    "/wait": wait,
    "/fail": fail,
    "/loop": use_loop,
}


async def serve(listener: socket.socket, access_log: bool) -> None:
    """Serve one listener until a client asks for /stop."""
    import cuvee

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
        elif scope["path"] == "/stop":
            server.should_exit = True
            await hello(scope, receive, send)
        else:
            await HANDLERS[scope["path"]](scope, receive, send)

    config = cuvee.Config(app, access_log=access_log, log_level="info" if access_log else "error")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the failures are meant
    server = cuvee.Server(config)
    await server.serve(sockets=[listener])


def main() -> None:
    """Serve both listeners, one after the other."""
    import cuvee

    for number, access_log in zip(sys.argv[2:], (False, True), strict=True):
        cuvee.loop.run(serve(socket.socket(fileno=int(number)), access_log))
    gc.collect()


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    main()
