# SPDX-License-Identifier: MIT
"""Files that the kernel sends: http.response.pathsend and http.response.zerocopysend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, hello, respond
from tests.support.raw import Incomplete, RawClient

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"body"}
MORE: dict[str, Any] = BODY | {"more_body": True}
CONTENT = random.Random(7).randbytes(3_000_000)


def counted(length: int) -> dict[str, Any]:
    """The start of an answer that says how long it is."""
    return START | {"headers": [(b"content-length", b"%d" % length)]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is more than the socket takes at once."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


class SendsFile:
    """Answers with a file, and reports what send() raised, or None."""

    def __init__(self, notes: Notes, path: Any, start: Any = START) -> None:
        self.notes = notes
        self.path = path
        self.start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any path but /hello gets the file."""
        if scope["path"] == "/hello":
            await hello(scope, receive, send)
            return
        try:
            await send(dict(self.start))
            await send({"type": "http.response.pathsend", "path": self.path})
        except Exception as error:
            self.notes.put(error)
            raise
        self.notes.put(None)


def get_it(client: RawClient, *fields: str) -> bytes:
    """Ask for a file; return it."""
    return client.ask("/", *fields).body


# ---- pathsend ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4096, 600_000, len(CONTENT)])
def test_a_file_is_the_answer(serve: Serve, notes: Notes, tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT[:size])
    with serve(SendsFile(notes, str(path))) as server, server.connect() as client:
        for _ in range(2):
            client.get()
            response = client.read_response()
            assert response.get(b"content-length") == b"%d" % size
            assert response.body == CONTENT[:size]
            assert notes.get() is None
        client.assert_open("/hello")
        assert server.server.server_state.total_requests == 3


@pytest.mark.parametrize(
    "kind", [str, os.fsencode, Path, os.path.relpath], ids=["str", "bytes", "Path", "relative"]
)
def test_a_path_of_any_kind(
    serve: Serve, notes: Notes, file: Path, kind: Callable[[Path], Any]
) -> None:
    with serve(SendsFile(notes, kind(file))) as server, server.connect() as client:
        assert get_it(client) == CONTENT


def test_a_file_in_chunks(serve: Serve, notes: Notes, file: Path) -> None:
    start = START | {"headers": [(b"transfer-encoding", b"chunked")]}
    with serve(SendsFile(notes, str(file), start)) as server, server.connect() as client:
        client.get()
        response = client.read_response()
        assert response.chunks == [CONTENT]
        client.assert_open("/hello")


def test_a_file_for_http_1_0(serve: Serve, notes: Notes, file: Path) -> None:
    with serve(SendsFile(notes, str(file))) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().body == CONTENT
        client.assert_closed()


def test_trailers_behind_a_file(serve: Serve, notes: Notes, file: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START | {"trailers": True})
        await send({"type": "http.response.pathsend", "path": str(file)})
        await send({"type": "http.response.trailers", "headers": [(b"sum", b"1")]})

    with serve(app) as server, server.connect() as client:
        client.get("/", "TE: trailers")
        assert client.read_head().chunked
        assert int(client.read_until(b"\r\n"), 16) == len(CONTENT)
        assert client.read(len(CONTENT)) == CONTENT
        assert client.read_until(b"\r\n\r\n") == b"\r\n0\r\nsum: 1\r\n\r\n"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_a_body_sends_no_file(
    serve: Serve, notes: Notes, file: Path, method: str, status: int
) -> None:
    app = SendsFile(notes, str(file), START | {"status": status})
    with serve(app) as server, server.connect() as client:
        client.request(method, "/")
        response = client.read_response(method)
        assert response.status == status
        known = method == "HEAD"
        assert response.get(b"content-length") == (b"%d" % len(CONTENT) if known else None)
        client.assert_open("/hello")


def test_a_file_goes_out_to_slow_clients_while_others_are_served(
    serve: Serve, notes: Notes, file: Path
) -> None:
    with serve(SendsFile(notes, str(file))) as server, contextlib.ExitStack() as clients:
        slow = [clients.enter_context(server.connect(rcvbuf=4096)) for _ in range(4)]
        for client in slow:
            client.get()
            assert notes.get() is None
        with server.connect() as other:
            other.assert_open("/hello")
        file.unlink()
        for client in slow:
            assert client.read_response().body == CONTENT
            client.assert_open("/hello")


def test_pipelined_files(serve: Serve, notes: Notes, file: Path) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with serve(SendsFile(notes, str(file))) as server, server.connect() as client:
        client.send(request * 3 + request.replace(b"/", b"/hello", 1))
        for _ in range(3):
            assert client.read_response().body == CONTENT
        assert client.read_response().body == b"hello"


@pytest.mark.parametrize("how", ["close", "rst"])
def test_the_client_leaves_while_the_file_is_sent(
    serve: Serve, notes: Notes, file: Path, how: str
) -> None:
    with serve(SendsFile(notes, str(file))) as server:
        for _ in range(3):
            with server.connect(rcvbuf=4096) as client:
                client.get()
                client.read_head()
                client.leave(how)
        with server.connect() as client:
            client.assert_open("/hello")


def test_the_client_leaves_while_the_file_is_opened(serve: Serve, notes: Notes, file: Path) -> None:
    with serve(SendsFile(notes, str(file))) as server:
        for _ in range(20):
            with server.connect() as client:
                client.get()
        for _ in range(20):
            assert notes.get() is None


def test_a_request_is_cancelled_while_its_file_is_opened(
    serve: Serve, notes: Notes, file: Path
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        sending = asyncio.ensure_future(
            send({"type": "http.response.pathsend", "path": str(file)})  # type: ignore[arg-type]
        )
        await asyncio.sleep(0)
        sending.cancel()
        notes.put((await asyncio.wait([sending]))[0].pop().cancelled())
        await send(BODY)

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"body"
        assert notes.get() is True


def make(tmp_path: Path, kind: str) -> Any:
    """What can't be sent."""
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    return str(path)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("missing", FileNotFoundError),
        ("folder", IsADirectoryError),
        ("pipe", OSError),
        ("socket", OSError),
    ],
)
def test_what_is_no_file_is_an_error(
    serve: Serve, notes: Notes, tmp_path: Path, kind: str, error: type[OSError]
) -> None:
    """The client gets 500, not half an answer."""
    path = make(tmp_path, kind)
    with serve(SendsFile(notes, path, counted(4))) as server, server.connect() as client:
        response = client.ask()
        assert response.status == 500
        raised = notes.get()
        assert type(raised) is error
        assert raised.filename == path
        server.log.expect("Exception in ASGI application")


@pytest.mark.parametrize(
    ("path", "error"), [(None, TypeError), (7, TypeError), ("a\0b", ValueError)]
)
def test_what_is_no_path_is_an_error(
    serve: Serve, notes: Notes, path: Any, error: type[Exception]
) -> None:
    with serve(SendsFile(notes, path)) as server, server.connect() as client:
        assert client.ask().status == 500
        assert type(notes.get()) is error
        server.log.expect("Exception in ASGI application")


def test_an_application_answers_for_a_missing_file(serve: Serve, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(counted(100))
        try:
            await send({"type": "http.response.pathsend", "path": str(tmp_path / "missing")})
        except FileNotFoundError:
            await respond(send, b"not here", 404)

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            response = client.ask()
            assert (response.status, response.body) == (404, b"not here")


def test_a_file_that_is_longer_than_announced_is_cut(
    serve: Serve, notes: Notes, file: Path
) -> None:
    with serve(SendsFile(notes, str(file), counted(10))) as server, server.connect() as client:
        assert client.ask().body == CONTENT[:10]
        assert str(notes.get()) == "Response content longer than Content-Length"
        client.fin()
        client.assert_closed()
        server.log.expect("Exception in ASGI application")


def test_a_file_that_is_shorter_than_announced_ends_the_connection(
    serve: Serve, notes: Notes, file: Path
) -> None:
    app = SendsFile(notes, str(file), counted(len(CONTENT) + 1))
    with serve(app) as server, server.connect() as client:
        client.get()
        client.read_head()
        client.fin()
        assert client.read_to_end() == CONTENT
        assert str(notes.get()) == "Response content shorter than Content-Length"
        server.log.expect("Exception in ASGI application")


def test_a_file_that_becomes_shorter_breaks_the_connection_off(
    serve: Serve, notes: Notes, file: Path
) -> None:
    """The client must not take what it has for the whole."""
    os.truncate(file, 12_000_000)
    with serve(SendsFile(notes, str(file))) as server, server.connect(rcvbuf=4096) as client:
        client.get()
        assert notes.get() is None
        server.settle()
        os.truncate(file, 0)
        with pytest.raises(Incomplete):
            client.read_response()
        assert client.reset
        server.log.expect("Connection closed. (a file became shorter")


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([START, MORE], "sent behind a part of the response body."),
        ([START, BODY], "sent, after response already completed."),
        ([], "Expected ASGI message 'http.response.start', but got 'http.response.pathsend'."),
    ],
)
def test_a_file_is_the_whole_body(
    serve: Serve, notes: Notes, file: Path, messages: list[Any], text: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(dict(message))
        with pytest.raises(RuntimeError) as caught:
            await send({"type": "http.response.pathsend", "path": str(file)})
        notes.put(str(caught.value))
        for message in [START, BODY][0 if not messages else 1 :]:
            if BODY not in messages:
                await send(dict(message))

    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 200
        assert text in notes.get()


def test_nothing_follows_a_file(serve: Serve, notes: Notes, file: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        later = [
            asyncio.ensure_future(send(message))  # type: ignore[arg-type]
            for message in ({"type": "http.response.pathsend", "path": str(file)}, dict(BODY))
        ]
        notes.put(await asyncio.gather(*later, return_exceptions=True))

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == CONTENT
        first, second = notes.get()
        assert first is None
        assert "after response already completed" in str(second)


def test_the_loop_closes_while_files_are_opened_and_sent(
    serve: Serve, notes: Notes, file: Path
) -> None:
    with serve(SendsFile(notes, str(file))) as server:
        clients = [server.connect(rcvbuf=4096) for _ in range(20)]
        for client in clients:
            client.get()
        for client in clients:
            client.close()


# ---- zerocopysend --------------------------------------------------------------------------------


def zero_copy(file: Any, **keys: Any) -> dict[str, Any]:
    return {"type": "http.response.zerocopysend", "file": file, **keys}


@pytest.mark.parametrize(
    ("keys", "content"),
    [
        ({}, CONTENT[5:]),
        ({"offset": 0}, CONTENT),
        ({"offset": 100}, CONTENT[100:]),
        ({"offset": None, "count": None}, CONTENT[5:]),
        ({"count": 10}, CONTENT[5:15]),
        ({"offset": 100, "count": 1_000_000}, CONTENT[100:1_000_100]),
        ({"offset": len(CONTENT) - 3, "count": 100}, CONTENT[-3:]),
        ({"offset": len(CONTENT) + 3}, b""),
        ({"offset": 7, "count": 0}, b""),
    ],
)
def test_a_part_of_a_file(
    serve: Serve, notes: Notes, file: Path, keys: dict[str, Any], content: bytes
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        with file.open("rb", buffering=0) as opened:
            opened.seek(5)
            await send(zero_copy(opened, **keys))
            notes.put(opened.tell())

    with serve(app) as server, server.connect() as client:
        response = client.ask()
        assert response.body == content
        assert response.get(b"content-length") == b"%d" % len(content)
        moved = keys.get("offset") is None
        assert notes.get() == (5 + len(content) if moved else 5)


def test_files_and_bytes_take_turns(serve: Serve, file: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(MORE)
        with file.open("rb") as opened:
            await send(zero_copy(opened.fileno(), offset=0, more_body=True))
        await send(MORE | {"body": bytes(100_000)})
        with file.open("rb") as opened:
            await send(zero_copy(opened, count=1000, more_body=True))
            await send(zero_copy(opened, count=1000, more_body=True))
        await send(BODY)

    with serve(app) as server, server.connect() as client:
        body = b"body" + CONTENT + bytes(100_000) + CONTENT[:2000] + b"body"
        assert client.ask().body == body


def test_send_waits_until_the_file_is_sent(serve: Serve, notes: Notes, file: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        with file.open("rb") as opened:
            sending = asyncio.ensure_future(send(zero_copy(opened, more_body=True)))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            notes.put(sending.done())
            await sending
        await send(BODY)

    os.truncate(file, 12_000_000)
    with serve(app) as server, server.connect(rcvbuf=4096) as client:
        client.get()
        assert notes.get() is False
        assert len(client.read_response().body) == 12_000_004


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"offset": -1}, ValueError),
        ({"count": -1}, ValueError),
        ({"count": 1.5}, ValueError),
        ({"offset": "1"}, ValueError),
        ({"offset": 2**70}, ValueError),
        ({"file": None}, TypeError),
        ({"file": "name"}, TypeError),
        ({"file": -1}, ValueError),
        ({"file": 1 << 20}, OSError),
    ],
)
def test_a_senseless_part_is_an_error(
    serve: Serve, notes: Notes, file: Path, keys: dict[str, Any], error: type[Exception]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        with file.open("rb") as opened, pytest.raises(Exception) as caught:
            await send(zero_copy(opened) | keys)
        notes.put(caught.type)
        await send(BODY)

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"body"
        assert notes.get() is error


@pytest.mark.parametrize("kind", ["pipe", "folder", "none"])
def test_a_descriptor_of_something_else_is_an_error(
    serve: Serve, notes: Notes, tmp_path: Path, kind: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        ends = os.pipe() if kind == "pipe" else (os.open(tmp_path, os.O_RDONLY),)
        message = zero_copy(ends[0])
        if kind == "none":
            del message["file"]
        with pytest.raises((OSError, KeyError)) as caught:
            await send(message)
        notes.put(caught.type)
        for end in ends:
            os.close(end)
        await send(BODY)

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"body"
        kinds = {"pipe": OSError, "folder": IsADirectoryError, "none": KeyError}
        assert notes.get() is kinds[kind]
