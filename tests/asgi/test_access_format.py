# SPDX-License-Identifier: MIT
"""Access log lines of other formats than uvicorn's: what they show, and when they are written."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, hello, respond

ALL = "%(h)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(b)s|%(r)s"


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """Take the handlers of a test away again: others expect none to a file that is gone."""
    yield
    for name in ("uvicorn", "uvicorn.access"):
        logger = logging.getLogger(name)
        for handler in [*logger.handlers]:
            logger.removeHandler(handler)
            handler.close()


class LogFile:
    """Where the access log of a test goes, read once its server has ended."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "access.log"

    def options(self, access_format: str) -> dict[str, Any]:
        """Return Config's options for it."""
        return {
            "access_log": True,
            "access_logfile": str(self.path),
            "access_log_format": access_format,
        }

    def lines(self) -> list[str]:
        """Return its lines; what is behind the last end of line would be one too."""
        text = self.path.read_bytes().decode("ascii")
        return text.removesuffix("\n").split("\n") if text else []


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path)


def test_each_atom_shows_its_part(serve: Serve, log: LogFile) -> None:
    with serve(hello, **log.options(ALL)) as server, server.connect() as client:
        assert client.ask("/a%20b?c=%22d").status == 200
        client.send(b"POST / HTTP/1.0\r\n\r\n")
        assert client.read_response().status == 200
    assert log.lines() == [
        "127.0.0.1|GET|/a%20b|c=%22d|HTTP/1.1|200|5|5|GET /a%20b?c=%22d HTTP/1.1",
        "127.0.0.1|POST|/|-|HTTP/1.0|200|5|5|POST / HTTP/1.0",
    ]


def test_nginx_variables_do_too(serve: Serve, log: LogFile) -> None:
    text = "$remote_addr:${remote_port} $request_method $uri $args $status $body_bytes_sent $host"
    with serve(hello, **log.options(text)) as server, server.connect() as client:
        host, port = client.sock.getsockname()
        assert client.ask("/a?b").status == 200
    assert log.lines() == [f"{host}:{port} GET /a b 200 5 test"]


def test_fields_of_request_and_answer(serve: Serve, log: LogFile) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"X-Answer", b"first"), (b"x-answer", b"last"), (b"content-length", b"2")]
        await respond(send, b"hi", headers=headers)

    text = "%({X-Odd}i)s|%({host}i)s|%(a)s|%({X-Answer}o)s|%({missing}o)s|%(f)s|%({x-odd}i)s"
    with serve(app, **log.options(text)) as server, server.connect() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: h\r\nX-ODD: 1\r\nUser-Agent: curl\r\nx-odd: 2\r\n\r\n"
        )
        assert client.read_response().status == 200
    assert log.lines() == ["2|h|curl|last|-|-|2"]


HOSTILE = b'a"b\\c\td{}\xe9\xff,' + "\u00e9\u2028".encode()


def test_what_clients_send_stays_in_its_place(serve: Serve, log: LogFile) -> None:
    request = b"GET /%s HTTP/1.1\r\nHost: h\r\nUser-Agent: %s\r\n\r\n" % (b'?"}\\x', HOSTILE)
    with serve(hello, **log.options('"%(r)s" "%(a)s"')) as server, server.connect() as client:
        client.send(request)
        assert client.read_response().status == 200
    (line,) = log.lines()
    assert line.isprintable()
    assert line.count('"') == 4
    shown = line.split('"')[3]
    raw = re.sub(rb"\\x([0-9A-F]{2})", lambda byte: bytes.fromhex(byte[1].decode()), shown.encode())
    assert raw == HOSTILE


def test_json_is_json_whatever_clients_send(serve: Serve, log: LogFile) -> None:
    request = (
        b"GET /p%%20q?%s HTTP/1.1\r\nHost: h\r\nUser-Agent: %s\r\nReferer: \r\n"
        b"X-Request-ID: id\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    ) % (b'"}\\x', HOSTILE)
    before = datetime.now(UTC)
    with serve(hello, **log.options("json")) as server, server.connect() as client:
        client.send(request)
        assert client.read_response().status == 200
    (line,) = log.lines()
    assert line.isprintable()
    members = json.loads(line)
    assert before - timedelta(seconds=1) < datetime.fromisoformat(members.pop("time"))
    assert members.pop("duration_ms") >= 0
    assert members == {
        "level": "INFO",
        "logger": "uvicorn.access",
        "message": '1.2.3.4:0 - "GET /p%20q?"}\\x HTTP/1.1" 200',
        "client": "1.2.3.4:0",
        "method": "GET",
        "path": "/p%20q",
        "query": '"}\\x',
        "http_version": "1.1",
        "status": 200,
        "bytes": 5,
        "referer": "",
        "user_agent": HOSTILE.decode("latin-1"),
        "request_id": "id",
        "forwarded_for": "1.2.3.4",
    }


def test_a_json_format_of_the_users_own(serve: Serve, log: LogFile) -> None:
    text = '{"status":$status,"agent":"$http_user_agent","args":"$args"}'
    with serve(hello, **log.options(text)) as server, server.connect() as client:
        client.send(b'GET /?" HTTP/1.1\r\nHost: h\r\n\r\n')
        assert client.read_response().status == 200
    (line,) = log.lines()
    assert json.loads(line) == {"status": 200, "agent": "", "args": '"'}


def test_a_line_is_written_when_the_answer_is_complete(serve: Serve, log: LogFile) -> None:
    go_on = Notes()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/other":
            return await respond(send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        assert (await receive())["type"] == "http.request"
        await send({"type": "http.response.body", "body": b"de"})
        return None

    with serve(app, **log.options("%(U)s %(B)s")) as server:
        with server.connect() as slow, server.connect() as quick:
            slow.send(b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
            slow.read_head()
            assert quick.ask("/other").status == 200
            slow.send(b"12")
            server.settle()
    assert go_on.empty()
    assert log.lines() == ["/other 5", "/slow 5"]


def test_answers_that_the_server_gives(serve: Serve, log: LogFile) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/raise":
            raise LookupError("no such thing")
        if scope["path"] == "/none":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise LookupError("in the middle")

    with serve(app, limit_request_body=5, **log.options("%(U)s %(s)s %(B)s")) as server:
        for path, status in (("/raise", 500), ("/none", 500)):
            with server.connect() as client:
                assert client.ask(path).status == status
        with server.connect() as client:
            client.get("/middle")
            client.read_head()
            client.read_to_end()
        with server.connect() as client:
            client.send(b"POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
            assert client.read_response().status == 413
        for text in ("Exception in", "without starting", "Exception in"):
            server.log.expect(text, logging.ERROR)
    assert log.lines() == ["/raise 500 21", "/none 500 21", "/middle 200 3"]


def test_clients_that_leave(serve: Serve, log: LogFile) -> None:
    notes = Notes()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/after":
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        notes.put(scope["path"])
        while (await receive())["type"] != "http.disconnect":
            pass
        notes.put("gone")

    with serve(app, **log.options("%(U)s %(s)s %(B)s")) as server:
        for path in ("/before", "/after"):
            with server.connect() as client:
                client.get(path)
                assert notes.get() == path
            assert notes.get() == "gone"
    assert log.lines() == ["/before 499 0", "/after 201 3"]


def test_head_and_what_is_cut(serve: Serve, log: LogFile) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"3")]
        await respond(send, b"abc" if scope["method"] == "HEAD" else b"abcdef", headers=headers)

    with serve(app, **log.options("%(m)s %(s)s %(b)s")) as server:
        with server.connect() as client:
            client.send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            client.read_head()
        with server.connect() as client:
            client.get("/")
            client.read_to_end()
            server.log.expect("Exception in ASGI application", logging.ERROR)
    assert log.lines() == ["HEAD 200 -", "GET 200 3"]


def test_a_file_that_can_not_be_opened_is_logged_once(
    serve: Serve, log: LogFile, tmp_path: Path
) -> None:
    """The answer that had begun is taken back, and so is what was noted of it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-try", b"first"), (b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            missing = str(tmp_path / "missing")
            await send({"type": "http.response.pathsend", "path": missing})
        except OSError:
            await respond(send, b"none", 404)

    with serve(app, **log.options("%(s)s %(B)s %({x-try}o)s")) as server:
        with server.connect() as client:
            assert client.ask("/").status == 404
    assert log.lines() == ["404 4 -"]


def test_an_answer_that_was_wrong_leaves_nothing(serve: Serve, log: LogFile) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        wrong = [(b"x-try", b"first"), (b"bad name", b"")]
        with pytest.raises(RuntimeError, match="Invalid HTTP header name"):
            await send({"type": "http.response.start", "status": 200, "headers": wrong})
        await respond(send, b"none", 404)

    with serve(app, **log.options("%(s)s %({x-try}o)s")) as server, server.connect() as client:
        assert client.ask("/").status == 404
    assert log.lines() == ["404 -"]


def test_pipelined_requests_have_a_line_each(serve: Serve, log: LogFile) -> None:
    with serve(hello, **log.options("%(U)s %(B)s")) as server, server.connect() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(50)))
        for _ in range(50):
            assert client.read_response().status == 200
    assert log.lines() == [f"/{number} 5" for number in range(50)]


@pytest.mark.parametrize("text", ["json", "%(U)s %(s)s"])
def test_a_filter_gets_uvicorns_arguments_and_the_line_is_written(
    serve: Serve, log: LogFile, text: str
) -> None:
    class NotHealth(logging.Filter):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []

        def filter(self, record: logging.LogRecord) -> bool:
            self.seen.append(record.args)
            assert isinstance(record.args, tuple)
            return record.args[2] != "/health"

    logger = logging.getLogger("uvicorn.access")
    one = NotHealth()
    with serve(hello, **log.options(text), setup=lambda: logger.addFilter(one)) as server:
        with server.connect() as client:
            host, port = client.sock.getsockname()
            assert client.ask("/health").status == 200
            assert client.ask("/a?b").status == 200
    logger.removeFilter(one)
    client_text = f"{host}:{port}"
    assert one.seen == [
        (client_text, "GET", "/health", "1.1", 200),
        (client_text, "GET", "/a?b", "1.1", 200),
    ]
    (line,) = log.lines()
    assert line == "/a 200" if text != "json" else json.loads(line)["path"] == "/a"


def test_a_filter_that_raises_harms_nobody(serve: Serve, log: LogFile) -> None:
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise LookupError("broken filter")

    logger = logging.getLogger("uvicorn.access")
    one = Broken()
    caught: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", caught.append)
        with serve(hello, **log.options("json"), setup=lambda: logger.addFilter(one)) as server:
            with server.connect() as client:
                assert client.ask("/").status == 200
                assert client.ask("/").status == 200
    logger.removeFilter(one)
    assert [str(one.exc_value) for one in caught] == ["broken filter", "broken filter"]
    assert log.lines() == []


def test_the_plain_format_keeps_its_moment(serve: Serve, tmp_path: Path) -> None:
    """uvicorn's line is written when the answer begins, also to a file."""
    path = tmp_path / "access.log"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    with serve(app, access_log=True, access_logfile=str(path)) as server:
        with server.connect() as client:
            host, port = client.sock.getsockname()
            assert client.ask("/a%20b?c").status == 200
    assert path.read_text() == f'INFO:     {host}:{port} - "GET /a%20b?c HTTP/1.1" 200 OK\n'
