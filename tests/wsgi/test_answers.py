# SPDX-License-Identifier: MIT
"""What WSGI applications return, write and raise, and what their clients get of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, Notes
from tests.support.raw import Incomplete

Environ = dict[str, Any]
Start = Callable[..., Any]
OK = "200 OK"


def test_one_piece_is_counted(serve_wsgi: Serve) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("201 Created", [("X-Kind", "caf\u00e9"), ("Set-Cookie", "a=1")])
        return [b"hello"]

    with serve_wsgi(app) as server, server.connect() as client:
        for _ in range(3):
            answer = client.ask()
            assert (answer.status, answer.body) == (201, b"hello")
            assert answer.get(b"content-length") == b"5"
            assert answer.get(b"x-kind") == b"caf\xe9"
            assert answer.get(b"set-cookie") == b"a=1"


@pytest.mark.parametrize("result", [[], (), [b""], [b"", b""], iter([]), iter([b"", b""])])
def test_nothing_is_an_answer_too(serve_wsgi: Serve, result: Any) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("404 Not Found", [])
        return result  # type: ignore[no-any-return]

    with serve_wsgi(app) as server, server.connect() as client:
        answer = client.ask()
        assert (answer.status, answer.body, answer.get(b"content-length")) == (404, b"", b"0")


@pytest.mark.parametrize("status", ["299", "299 ", "299 What it is", "204 No Content"])
def test_status(serve_wsgi: Serve, status: str) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(status, [])
        return []

    with serve_wsgi(app) as server, server.connect() as client:
        assert client.ask().status == int(status[:3])


def test_each_piece_goes_out_before_the_next_is_asked_for(serve_wsgi: Serve) -> None:
    gate = threading.Semaphore(0)

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response(OK, [])  # as late as with the first piece
        for number in range(3):
            yield b"piece %d" % number
            assert gate.acquire(timeout=WAIT)
        yield b""
        yield b"end"

    with serve_wsgi(app) as server, server.connect() as client:
        client.get()
        for number in range(3):
            client.read_until(b"piece %d\r\n" % number)
            gate.release()
        assert client.read_until(b"0\r\n\r\n") == b"3\r\nend\r\n0\r\n\r\n"


def test_what_is_written_goes_before_what_is_returned(serve_wsgi: Serve) -> None:
    gate = threading.Semaphore(0)

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        write = start_response(OK, [("Content-Length", "9")])
        write(b"")
        write(b"one")
        assert gate.acquire(timeout=WAIT)
        write(bytearray(b"two"))
        return [b"end"]

    with serve_wsgi(app) as server, server.connect() as client:
        client.get()
        assert client.read_head().get(b"content-length") == b"9"
        assert client.read(3) == b"one"
        gate.release()
        assert client.read(6) == b"twoend"
        client.get()
        gate.release()
        assert client.read_response().body == b"onetwoend"


@pytest.mark.parametrize("length", ["5", None])
def test_head_has_no_body(serve_wsgi: Serve, length: str | None) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [("Content-Length", length)] if length else [])
        return [b"hello"]

    with serve_wsgi(app) as server, server.connect() as client:
        for _ in range(2):
            client.request("HEAD", "/")
            answer = client.read_response("HEAD")
            assert (answer.status, answer.get(b"content-length")) == (200, b"5")
            assert client.quiet()


def test_large_pieces_arrive_whole(serve_wsgi: Serve) -> None:
    pieces = [bytes([65 + number]) * 300_000 for number in range(20)]

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [])
        return pieces if environ["PATH_INFO"] == "/list" else iter(pieces)

    with serve_wsgi(app) as server, server.connect() as client:
        for path in ("/list", "/iterator"):
            assert client.ask(path).body == b"".join(pieces)


# ---- start_response ----------------------------------------------------------------------------


def test_an_answer_that_was_not_sent_can_be_replaced(serve_wsgi: Serve) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [("X-First", "1")])
        try:
            raise LookupError("on second thoughts")
        except LookupError:
            start_response("500 Sorry", [("X-Second", "2")], sys.exc_info())
        return [b"sorry"]

    with serve_wsgi(app) as server, server.connect() as client:
        answer = client.ask()
        assert (answer.status, answer.body) == (500, b"sorry")
        assert (answer.get(b"x-first"), answer.get(b"x-second")) == (None, b"2")
        assert client.ask().status == 500


def test_an_answer_that_was_sent_cannot(serve_wsgi: Serve) -> None:
    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response(OK, [])
        yield b"begun"
        try:
            raise LookupError("too late")
        except LookupError:
            start_response("500 Sorry", [], sys.exc_info())
        yield b"never"

    with serve_wsgi(app) as server, server.connect() as client:
        client.get()
        with pytest.raises(Incomplete):
            client.read_response()
        assert_logged(server, LookupError, "too late")


def test_exc_info_may_be_empty(serve_wsgi: Serve) -> None:
    """What sys.exc_info() returns where nothing was raised."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [], (None, None, None))
        return [b"hello"]

    with serve_wsgi(app) as server, server.connect() as client:
        client.assert_open()


def assert_logged(server: Any, kind: type[BaseException], text: str) -> None:
    """The server must have logged what the application raised, with its traceback."""
    record = server.log.expect("Exception in ASGI application")
    assert record.exc_info is not None
    assert record.exc_info[0] is kind
    assert text in str(record.exc_info[1])


def raising(environ: Environ, start_response: Start) -> Iterable[bytes]:
    raise LookupError("at once")


def raising_after_start(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response(OK, [])
    raise LookupError("after the start")


def raising_in_iterator(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response(OK, [])
    if environ:
        raise LookupError("in the iterator")
    yield b""


def not_starting(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return [b"hello"]


def not_starting_nothing(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return []


def starting_twice(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response(OK, [])
    start_response(OK, [])
    return [b"hello"]


def without_a_status(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("OK", [])
    return [b"hello"]


def with_a_number(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response(200, [])
    return [b"hello"]


def with_text(environ: Environ, start_response: Start) -> Iterable[Any]:
    start_response(OK, [])
    return ["hello"]


def with_a_line_end(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response(OK, [("X-Name", "a\r\nb: c")])
    return [b"hello"]


def with_more_than_latin_1(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response(OK, [("X-Name", "\u20ac")])
    return [b"hello"]


def returning_nothing(environ: Environ, start_response: Start) -> Any:
    start_response(OK, [])


FAILURES: list[tuple[Any, type[BaseException], str]] = [
    (raising, LookupError, "at once"),
    (raising_after_start, LookupError, "after the start"),
    (raising_in_iterator, LookupError, "in the iterator"),
    (not_starting, AssertionError, "start_response() was not called"),
    (not_starting_nothing, AssertionError, "start_response() was not called"),
    (starting_twice, AssertionError, "start_response() was called twice"),
    (without_a_status, ValueError, "a status must be like '200 OK', not 'OK'"),
    (with_a_number, ValueError, "a status must be like '200 OK', not 200"),
    (with_text, TypeError, "pieces of an answer must be bytes, not str"),
    (with_a_line_end, RuntimeError, "Invalid HTTP header value."),
    (with_more_than_latin_1, UnicodeEncodeError, "latin-1"),
    (returning_nothing, TypeError, "not iterable"),
]


@pytest.mark.parametrize(("app", "kind", "text"), FAILURES, ids=lambda value: str(value)[:30])
def test_failures_are_logged_and_answered(
    serve_wsgi: Serve, app: Any, kind: type[BaseException], text: str
) -> None:
    with serve_wsgi(app) as server, server.connect() as client:
        answer = client.ask()
        assert (answer.status, answer.body) == (500, b"Internal Server Error")
        client.assert_closed()
        assert_logged(server, kind, text)


def test_a_failure_within_cuts_the_answer(serve_wsgi: Serve) -> None:
    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response(OK, [])
        yield b"begun"
        raise LookupError("within")

    with serve_wsgi(app) as server, server.connect() as client:
        client.get()
        with pytest.raises(Incomplete):
            client.read_response()
        assert_logged(server, LookupError, "within")


# ---- close -------------------------------------------------------------------------------------


class Closing:
    """An iterable that tells of its end."""

    def __init__(self, pieces: Iterable[bytes], notes: Notes, failure: Exception | None = None):
        self.pieces = pieces
        self.notes = notes
        self.failure = failure

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.notes.put("closed")
        if self.failure is not None:
            raise self.failure


def test_close_is_called(serve_wsgi: Serve, notes: Notes) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [])
        return Closing([b"a", b"b"], notes)

    with serve_wsgi(app) as server, server.connect() as client:
        assert client.ask().body == b"ab"
        assert notes.get() == "closed"


@pytest.mark.parametrize("length", ["1", "99"])
def test_close_is_called_after_a_failure(serve_wsgi: Serve, notes: Notes, length: str) -> None:
    """Too much or too little of a body: what the client got is cut."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [("Content-Length", length)])
        return Closing([b"a", b"b"], notes)

    with serve_wsgi(app) as server, server.connect() as client:
        client.get()
        client.read_to_end()
        assert notes.get() == "closed"
        assert_logged(server, RuntimeError, "than Content-Length")


def test_close_is_called_without_a_start(serve_wsgi: Serve, notes: Notes) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        return Closing([b"a"], notes)

    with serve_wsgi(app) as server, server.connect() as client:
        assert client.ask().status == 500
        assert notes.get() == "closed"
        assert_logged(server, AssertionError, "start_response() was not called")


def test_a_failure_of_close_is_logged(serve_wsgi: Serve, notes: Notes) -> None:
    """The answer is complete: it stays, and so does the connection."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [("Content-Length", "2")])
        failure = LookupError("in close") if environ["PATH_INFO"] == "/fail" else None
        return Closing([b"a", b"b"], notes, failure)

    with serve_wsgi(app) as server, server.connect() as client:
        assert client.ask("/fail").body == b"ab"
        assert_logged(server, LookupError, "in close")
        client.assert_open()
