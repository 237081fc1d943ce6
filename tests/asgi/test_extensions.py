# SPDX-License-Identifier: MIT
"""The extensions of http.response but for files: what is offered, early hints, trailers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import Message, Notes, Receive, Scope, Send, hello
from tests.support.raw import RawClient, parse_head

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
START_WITH_TRAILERS = START | {"trailers": True}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"ok"}
MORE: dict[str, Any] = BODY | {"more_body": True}
HINT: dict[str, Any] = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
SUM: dict[str, Any] = {"type": "http.response.trailers", "headers": [(b"Digest", b"abc")]}
PREFIX = "http.response."
ALL = ("early_hint", "trailers", "pathsend", "zerocopysend")


class Sends:
    """Sends the messages that it has, and reports the error that ends that, or none."""

    def __init__(self, notes: Notes, *messages: Message) -> None:
        self.notes = notes
        self.messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go through the messages."""
        if scope["path"] == "/hello":
            await hello(scope, receive, send)
            return
        try:
            for message in self.messages:
                await send(dict(message))
        except Exception as error:
            self.notes.put((type(error), str(error)))
            raise
        self.notes.put(None)


# ---- what is offered ---------------------------------------------------------------------------


def offered(serve: Serve, notes: Notes, request: bytes, **config: Any) -> set[str]:
    """What the scope of a request offers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope["extensions"])
        await hello(scope, receive, send)

    with serve(app, **config) as server, server.connect() as client:
        client.send(request)
        assert client.read_response().status == 200
        extensions = notes.get()
        assert all(value == {} for value in extensions.values())
        return {name.removeprefix(PREFIX) for name in extensions}


@pytest.mark.parametrize(
    ("request_bytes", "missing"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n", set()),
        (b"GET / HTTP/1.1\r\nHost: a\r\nte: gzip;q=0.5 , Trailers\r\n\r\n", set()),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\nTE: trailers\r\n\r\n", set()),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", {"trailers"}),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailersx, x-trailers\r\n\r\n", {"trailers"}),
        (b"GET / HTTP/1.0\r\nTE: trailers\r\n\r\n", {"trailers", "early_hint"}),
    ],
)
def test_what_the_connection_can_deliver_is_offered(
    serve: Serve, notes: Notes, request_bytes: bytes, missing: set[str]
) -> None:
    assert offered(serve, notes, request_bytes) == set(ALL) - missing


@pytest.mark.parametrize("off", ALL)
def test_each_can_be_switched_off(serve: Serve, notes: Notes, off: str) -> None:
    rest = [name for name in ALL if name != off]
    request = b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"
    assert offered(serve, notes, request, extensions=rest) == set(rest)


def test_a_scope_has_its_own(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(dict(scope["extensions"]))
        scope["extensions"].clear()
        await hello(scope, receive, send)

    with serve(app) as server, server.connect() as client:
        client.assert_open()
        client.assert_open()
        first = notes.get()
        assert first and first == notes.get()


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("early_hint", []),
        ("trailers", [START, BODY]),
        ("pathsend", [START]),
        ("zerocopysend", [START]),
    ],
)
def test_what_is_switched_off_is_no_message(
    serve: Serve, notes: Notes, name: str, before: list[Any]
) -> None:
    app = Sends(notes, *before, {"type": PREFIX + name})
    with serve(app, extensions=()) as server, server.connect() as client:
        client.get()
        kind, text = notes.get()
        assert kind is RuntimeError
        assert PREFIX + name in text
        server.log.expect("Exception in ASGI application")


# ---- early hints -------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [START]], ids=["before the start", "behind it"])
def test_an_early_hint_goes_out_at_once(serve: Serve, notes: Notes, before: list[Any]) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before:
            await send(message)
        await send({"type": HINT["type"], "links": iter([b"</a>; rel=preload", b"</b>"])})
        await send(HINT)
        await go_on.wait()
        for message in [START, BODY][len(before) :]:
            await send(message)

    with serve(app) as server, server.connect() as client:
        client.get()
        hint = client.read_head()
        assert (hint.status, hint.reason) == (103, b"Early Hints")
        assert hint.headers == [(b"link", b"</a>; rel=preload"), (b"link", b"</b>")]
        assert client.read_head().headers == [(b"link", HINT["links"][0])]
        assert server.loop is not None
        server.loop.call_soon_threadsafe(go_on.set)
        response = client.read_response()
        assert (response.status, response.body) == (200, b"ok")
        client.fin()
        client.assert_closed()


def test_a_hint_behind_the_first_piece_is_ignored(serve: Serve, notes: Notes) -> None:
    with serve(Sends(notes, START, MORE, HINT, BODY)) as server, server.connect() as client:
        assert client.ask().body == b"okok"
        assert notes.get() is None


def test_a_hint_without_links_is_none(serve: Serve, notes: Notes) -> None:
    hints = [{"type": HINT["type"]}, {"type": HINT["type"], "links": []}]
    with serve(Sends(notes, *hints, START, BODY)) as server, server.connect() as client:
        assert client.ask().body == b"ok"
        assert notes.get() is None


@pytest.mark.parametrize(
    ("links", "kind"),
    [(["</a>"], TypeError), ([b"</a>\r\nx: y"], RuntimeError), (7, TypeError)],
)
def test_a_wrong_link_is_refused(serve: Serve, notes: Notes, links: Any, kind: type) -> None:
    app = Sends(notes, {"type": HINT["type"], "links": links})
    with serve(app) as server, server.connect() as client:
        assert client.ask().status == 500
        assert notes.get()[0] is kind
        server.log.expect("Exception in ASGI application")


def test_http_1_0_knows_no_hints(serve: Serve, notes: Notes) -> None:
    with serve(Sends(notes, HINT)) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().status == 500
        assert notes.get()[0] is RuntimeError
        server.log.expect("Exception in ASGI application")


def test_hints_wait_for_a_client_that_does_not_read(serve: Serve, notes: Notes) -> None:
    """What waits to be written is bounded for them too."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hint = {"type": HINT["type"], "links": [b"</" + b"x" * 60000 + b">"]}
        for count in range(1000):  # 60 MB, more than all buffers between take
            waiting = asyncio.ensure_future(send(hint))
            await asyncio.sleep(0)
            if not waiting.done():
                notes.put(count)
                await waiting
                break
        await send(START)
        await send(BODY)

    with serve(app) as server, server.connect(rcvbuf=4096) as client:
        client.get()
        assert 0 < notes.get() < 1000
        while (head := client.read_head()).status == 103:
            pass
        assert head.status == 200


# ---- trailers ----------------------------------------------------------------------------------


def ask_with_trailers(client: RawClient, method: str = "GET") -> None:
    client.request(method, "/", "TE: trailers", "Connection: TE")


def read_trailers(client: RawClient) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The body of a chunked answer, and the fields behind it."""
    response = client.read_head()
    assert response.chunked
    body = b""
    while size := int(client.read_until(b"\r\n"), 16):
        body += client.read(size)
        assert client.read(2) == b"\r\n"
    section = b"HTTP/1.1 200 OK\r\n"
    while (line := client.read_until(b"\r\n")) != b"\r\n":
        section += line
    return body, parse_head(section + line).headers


@pytest.mark.parametrize(
    ("messages", "body", "fields"),
    [
        ([BODY, SUM], b"ok", [(b"digest", b"abc")]),
        ([MORE, BODY, SUM], b"okok", [(b"digest", b"abc")]),
        ([MORE, {"type": BODY["type"]}, SUM], b"ok", [(b"digest", b"abc")]),
        ([BODY, {"type": SUM["type"]}], b"ok", []),
        (
            [
                BODY,
                SUM | {"more_trailers": True},
                {"type": SUM["type"], "headers": ([b"b", b""],)},
            ],
            b"ok",
            [(b"digest", b"abc"), (b"b", b"")],
        ),
    ],
)
def test_trailers_follow_the_body(
    serve: Serve, notes: Notes, messages: list[Any], body: bytes, fields: list[Any]
) -> None:
    app = Sends(notes, START_WITH_TRAILERS, *messages)
    with serve(app) as server, server.connect() as client:
        ask_with_trailers(client)
        assert read_trailers(client) == (body, fields)
        assert notes.get() is None
        client.assert_open("/hello")


def test_trailers_of_a_start_without_headers(serve: Serve, notes: Notes) -> None:
    start = {key: value for key, value in START_WITH_TRAILERS.items() if key != "headers"}
    with serve(Sends(notes, start, BODY, SUM)) as server, server.connect() as client:
        ask_with_trailers(client)
        assert read_trailers(client) == (b"ok", [(b"digest", b"abc")])
        assert notes.get() is None
        client.assert_open("/hello")


@pytest.mark.parametrize("case", ["not asked for", "http/1.0", "counted", "head", "no content"])
def test_trailers_that_cannot_be_sent_are_dropped(serve: Serve, notes: Notes, case: str) -> None:
    start = dict(START_WITH_TRAILERS)
    if case == "counted":
        start["headers"] = [(b"content-length", b"2")]
    if case == "no content":
        start["status"] = 204
    section = [SUM | {"more_trailers": True}, SUM]
    with serve(Sends(notes, start, BODY, *section)) as server, server.connect() as client:
        if case == "http/1.0":
            client.send(b"GET / HTTP/1.0\r\nTE: trailers\r\nConnection: keep-alive\r\n\r\n")
        elif case == "not asked for":
            client.get()
        else:
            ask_with_trailers(client, "HEAD" if case == "head" else "GET")
        response = client.read_response("HEAD" if case == "head" else "GET")
        assert response.status == start["status"]
        assert response.body == (b"" if case in ("head", "no content") else b"ok")
        assert notes.get() is None
        client.assert_open("/hello")


def test_the_body_is_complete_before_the_trailers_where_there_are_none(
    serve: Serve, notes: Notes
) -> None:
    """The client does not wait for what it will not get."""
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START_WITH_TRAILERS)
        await send(BODY)
        await go_on.wait()
        await send(SUM)
        notes.put("sent")

    with serve(app) as server, server.connect() as client:
        assert client.ask().body == b"ok"
        assert server.loop is not None
        server.loop.call_soon_threadsafe(go_on.set)
        assert notes.get() == "sent"


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([START, BODY, SUM], RuntimeError),
        ([START, SUM], RuntimeError),
        ([START_WITH_TRAILERS, SUM], RuntimeError),
        ([START_WITH_TRAILERS, BODY, BODY], RuntimeError),
        ([START_WITH_TRAILERS, BODY, SUM, SUM], RuntimeError),
        ([START_WITH_TRAILERS, BODY, SUM | {"headers": [(b"a b", b"c")]}], RuntimeError),
        ([START_WITH_TRAILERS, BODY, SUM | {"headers": [(b"a", b"c\r\nd: e")]}], RuntimeError),
        ([START_WITH_TRAILERS, BODY, SUM | {"headers": [(b"Content-Length", b"3")]}], RuntimeError),
        ([START_WITH_TRAILERS, BODY, SUM | {"headers": [(b"set-cookie", b"a=b")]}], RuntimeError),
        ([START_WITH_TRAILERS, BODY, SUM | {"headers": [("a", "b")]}], TypeError),
        ([START_WITH_TRAILERS, BODY, SUM | {"headers": [(b"a",)]}], ValueError),
    ],
)
def test_wrong_trailers_are_refused(
    serve: Serve, notes: Notes, messages: list[Any], kind: type
) -> None:
    with serve(Sends(notes, *messages)) as server, server.connect() as client:
        ask_with_trailers(client)
        assert notes.get()[0] is kind
        server.log.expect("Exception in ASGI application")
        client.fin()
        raw = client.read_to_end()
        assert raw.count(b"HTTP/1.1") == 1
        assert b": e" not in raw


def test_an_answer_without_its_trailers_is_incomplete(serve: Serve, notes: Notes) -> None:
    with serve(Sends(notes, START_WITH_TRAILERS, BODY)) as server, server.connect() as client:
        ask_with_trailers(client)
        assert client.read_to_end().endswith(b"2\r\nok\r\n0\r\n")
        server.log.expect("ASGI callable returned without completing response.")


# ---- send from several tasks ---------------------------------------------------------------------


def pieces_of(body: bytes, size: int) -> list[bytes]:
    """The first byte of each piece; a piece is one byte, repeated."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert all(piece == piece[:1] * size for piece in pieces)
    return [piece[:1] for piece in pieces]


@pytest.mark.parametrize("cancelled", [[], [59], [40, 41, 50], list(range(3, 58))])
def test_messages_are_taken_in_the_order_of_the_calls(
    serve: Serve, notes: Notes, cancelled: list[int]
) -> None:
    """Also those of several tasks that wait for the client; one that is cancelled is left out."""
    size = 100_000
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def piece(number: int) -> asyncio.Task[None]:
            message = {"type": BODY["type"], "body": bytes([number]) * size, "more_body": True}
            return asyncio.ensure_future(send(message))  # type: ignore[arg-type]

        await send(START)
        tasks = [piece(number) for number in range(60)]
        await asyncio.sleep(0)
        notes.put("called")
        await go_on.wait()
        waiting = [number for number in cancelled if tasks[number].cancel()]
        notes.put(waiting)
        tasks.append(piece(60))
        await asyncio.gather(*tasks, return_exceptions=True)
        await send({"type": BODY["type"]})

    with serve(app) as server, server.connect(rcvbuf=4096) as client:
        client.get()
        assert notes.get() == "called"
        assert server.loop is not None
        server.loop.call_soon_threadsafe(go_on.set)
        waiting = notes.get()
        response = client.read_response()
        taken = [piece[0] for piece in pieces_of(response.body, size)]
        assert taken == sorted(taken)
        # One more may have been taken, whose send waited until the client had room for others.
        assert set(range(61)) - set(taken) <= set(waiting)
        assert len(set(taken) & set(waiting)) <= 1


def test_a_send_that_nobody_awaits_holds_up_no_other(serve: Serve, notes: Notes) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        full = asyncio.ensure_future(send(MORE | {"body": bytes(8_000_000)}))
        await asyncio.sleep(0)
        forgotten: Any = send(MORE | {"body": b"forgotten"})
        second = asyncio.ensure_future(send(MORE | {"body": b"second"}))
        await asyncio.sleep(0)
        notes.put("called")
        await go_on.wait()
        del forgotten
        await asyncio.gather(full, second)
        await send(BODY)

    with serve(app) as server, server.connect(rcvbuf=4096) as client:
        client.get()
        assert notes.get() == "called"
        assert server.loop is not None
        server.loop.call_soon_threadsafe(go_on.set)
        assert client.read_response().body == bytes(8_000_000) + b"secondok"


def test_a_message_may_end_the_awaitable_that_takes_it(serve: Serve, notes: Notes) -> None:
    """Its headers are code of the application's, which runs when it is its turn."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        class Headers:
            def __iter__(self) -> Any:
                waiting.close()
                yield (b"sum", b"1")

        await send(START_WITH_TRAILERS)
        full = asyncio.ensure_future(send(BODY | {"body": bytes(8_000_000)}))
        await asyncio.sleep(0)
        waiting: Any = send({"type": SUM["type"], "headers": Headers()})
        notes.put("called")
        await full
        await waiting
        notes.put("over")

    with serve(app) as server, server.connect(rcvbuf=4096) as client:
        ask_with_trailers(client)
        assert notes.get() == "called"
        assert read_trailers(client) == (bytes(8_000_000), [(b"sum", b"1")])
        assert notes.get() == "over"


def test_waiting_sends_end_when_the_client_is_gone(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        tasks = [asyncio.ensure_future(send(MORE | {"body": bytes(4_000_000)})) for _ in range(5)]
        await asyncio.sleep(0)
        notes.put("called")
        notes.put(await asyncio.gather(*tasks))

    with serve(app) as server:
        with server.connect(rcvbuf=4096) as client:
            client.get()
            assert notes.get() == "called"
        assert notes.get() == [None] * 5
