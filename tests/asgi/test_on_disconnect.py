# SPDX-License-Identifier: MIT
"""--on-disconnect cancel: what becomes of a request whose client goes before its answer is complete."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.asgi import WAIT, Notes, Receive, Scope, Send, read_body, respond
from tests.support.server import RunningServer

WAYS = pytest.mark.parametrize("how", ["fin", "close", "rst"])
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
DISCONNECT = {"type": "http.disconnect"}
CANCELLED = ("cancelled", ("client disconnected",))
"""What an application reports that is cancelled: the arguments of the CancelledError."""
GRACE = 0.1


async def piece(send: Send, data: bytes = b"part", more: bool = True) -> None:
    """Send a piece of a body."""
    await send({"type": "http.response.body", "body": data, "more_body": more})


class Parts:
    """An application whose path says what it does before it waits; it reports how that ends."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what the path says, report "in", then wait for the gate."""
        part = getattr(self, scope["path"][1:] or "nothing")
        try:
            await part(scope, receive, send)
            self.notes.put("in")
            await self.gate.wait()
            task = asyncio.current_task()
            assert task is not None
            self.notes.put(("went on", task.cancelling()))
        except asyncio.CancelledError as exc:
            self.notes.put(("cancelled", exc.args))
            raise

    async def nothing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait at once."""

    async def body(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a first piece of a body."""
        assert (await receive())["more_body"]

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the whole request."""
        await read_body(receive)

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin an answer."""
        await read_body(receive)
        await send(dict(START))
        await piece(send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the whole answer."""
        await respond(send)

    async def told(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait until the client is gone."""
        self.notes.put("listens")
        await read_body(receive)
        self.notes.put(await receive())

    async def answer_late(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the whole answer to nobody."""
        await self.told(scope, receive, send)
        await respond(send)

    async def hello(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be served."""
        await respond(send)
        self.gate.set()


def open_gate(server: RunningServer) -> None:
    """Let what waits go on."""
    assert server.loop is not None
    server.loop.call_soon_threadsafe(server.config.loaded_app.gate.set)


def requests_of(server: RunningServer) -> int:
    """Return how many requests have a task that is not done."""
    core = server.server.server_state.core
    assert core is not None
    return core.requests


def wait_for_no_request(server: RunningServer) -> None:
    """Every task of a request ends."""
    end = time.monotonic() + WAIT
    while requests_of(server):
        assert time.monotonic() < end, "a request goes on"
        server.settle(1)


UPLOAD = b"POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n"
POINTS = {
    "before the body": UPLOAD % (b"nothing", 10),
    "within the body": UPLOAD % (b"body", 10) + b"12345",
    "while reading is paused": UPLOAD % (b"nothing", 1 << 30) + b"x" * (1 << 17),
    "before the answer": GET % b"request",
    "within the answer": GET % b"stream",
    "pipelined": GET % b"request" + GET % b"hello" * 20,
    "pipelined, while reading is paused": GET % b"request" + GET % b"hello" * 3500,
}


@WAYS
@pytest.mark.parametrize("point", POINTS)
def test_a_request_is_cancelled(serve: Serve, notes: Notes, how: str, point: str) -> None:
    """Wherever it is, however the client goes; other requests are not touched."""
    with serve(Parts(notes), on_disconnect="cancel") as server:
        with server.connect() as other, server.connect() as client:
            other.get("/stream")
            assert notes.get() == "in"
            client.send(POINTS[point])
            assert notes.get() == "in"
            client.leave(how)
            assert notes.get() == CANCELLED
            assert requests_of(server) <= 2
            open_gate(server)
            assert notes.get() == ("went on", 0)
            server.log.expect("ASGI callable returned without completing response.")
        wait_for_no_request(server)
        assert server.server.server_state.cancel_ignored == 0


@WAYS
def test_a_request_has_a_while(serve: Serve, notes: Notes, how: str) -> None:
    """It is told at once, and cancelled later, never too early."""
    with serve(Parts(notes), on_disconnect=f"cancel:{GRACE}") as server:
        with server.connect() as client:
            client.get("/told")
            assert notes.get() == "listens"
            left = time.monotonic()
            client.leave(how)
            assert notes.get() == DISCONNECT
            assert notes.get() == "in"
            assert notes.get() == CANCELLED
            assert time.monotonic() - left >= GRACE
        wait_for_no_request(server)


def test_each_has_its_own_while(serve: Serve, notes: Notes) -> None:
    with serve(Parts(notes), on_disconnect=f"cancel:{GRACE}") as server:
        clients = [server.connect() for _ in range(50)]
        for client in clients:
            client.get("/request")
        assert [notes.get() for _ in clients] == ["in"] * 50
        for client in clients:
            client.rst()
        assert [notes.get() for _ in clients] == [CANCELLED] * 50
        wait_for_no_request(server)


@WAYS
@pytest.mark.parametrize("grace", [0, GRACE])
def test_it_comes_out_of_receive(serve: Serve, notes: Notes, how: str, grace: float) -> None:
    """At once it is all that comes; later it comes to who waits for anything else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        notes.put("in")
        try:
            notes.put(await receive())
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            notes.put(("cancelled", exc.args))
            notes.put(await receive())
            raise

    with serve(app, on_disconnect=f"cancel:{grace}") as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        if grace:
            assert notes.get() == DISCONNECT
        assert notes.get() == CANCELLED
        assert notes.get() == DISCONNECT


@WAYS
def test_it_comes_out_of_a_send_that_waits(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        notes.put("in")
        try:
            await piece(send, bytes(32 << 20))
        except asyncio.CancelledError as exc:
            notes.put(("cancelled", exc.args))
            raise

    with serve(app, on_disconnect="cancel") as server, server.connect(rcvbuf=8192) as client:
        client.get()
        assert notes.get() == "in"
        server.settle()
        client.leave(how)
        assert notes.get() == CANCELLED


@pytest.mark.parametrize("policy", ["notify", "cancel", "cancel:0.1"])
def test_who_sends_without_end_is_in_nobodys_way(serve: Serve, notes: Notes, policy: str) -> None:
    """No send waits for anything: the client is gone."""
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hello":
            gate.set()
            return await respond(send)
        await read_body(receive)
        await send(dict(START))
        await piece(send)
        notes.put("in")
        try:
            while not gate.is_set():
                await piece(send, b"x")
        except asyncio.CancelledError as exc:
            notes.put(("cancelled", exc.args))
            raise
        notes.put("went on")

    with serve(app, on_disconnect=policy) as server:
        with server.connect() as client:
            client.get()
            client.read_until(b"part")
            assert notes.get() == "in"
            client.rst()
        if policy != "notify":
            assert notes.get() == CANCELLED
        with server.connect() as other:
            other.assert_open("/hello")
        if policy == "notify":
            assert notes.get() == "went on"


def test_a_client_that_is_gone_before_the_task_waits(serve: Serve, notes: Notes) -> None:
    """The task's first step finds out itself, when nobody knows the task yet."""
    left = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("in")
        assert left.wait(WAIT)
        try:
            await send(dict(START))
            for _ in range(3):
                await piece(send, bytes(100_000))
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            notes.put(("cancelled", exc.args))
            raise

    with serve(app, on_disconnect="cancel") as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.rst()
        left.set()
        assert notes.get() == CANCELLED


# ---- who is not cancelled ---------------------------------------------------------------------


@WAYS
def test_what_runs_behind_the_answer_is_left_alone(serve: Serve, notes: Notes, how: str) -> None:
    with serve(Parts(notes), on_disconnect="cancel") as server:
        with server.connect() as client:
            client.assert_open("/answer")
            assert notes.get() == "in"
            client.leave(how)
            with server.connect() as other:
                other.get("/request")
                assert notes.get() == "in"
                other.leave(how)
                assert notes.get() == CANCELLED
        open_gate(server)
        assert notes.get() == ("went on", 0)


@WAYS
def test_what_runs_behind_an_answer_to_nobody_is_left_alone(
    serve: Serve, notes: Notes, how: str
) -> None:
    """It was complete before the while was over, which is over for another one by then."""
    with serve(Parts(notes), on_disconnect=f"cancel:{GRACE}") as server:
        for path, last in (("/answer_late", "in"), ("/told", "in")):
            with server.connect() as client:
                client.get(path)
                assert notes.get() == "listens"
                client.leave(how)
                assert notes.get() == DISCONNECT
                assert notes.get() == last
        assert notes.get() == CANCELLED
        open_gate(server)
        assert notes.get() == ("went on", 0)


ENDS: dict[str, tuple[bool, list[dict[str, Any]]]] = {
    "the last piece": (False, [{"type": "http.response.body"}]),
    "a file": (False, [{"type": "http.response.pathsend", "path": __file__}]),
    "a part of a file": (False, [{"type": "http.response.zerocopysend", "file": 0}]),
    "trailers": (
        True,
        [{"type": "http.response.body"}, {"type": "http.response.trailers", "headers": []}],
    ),
}
OTHERS: dict[str, tuple[bool, list[dict[str, Any]]]] = {
    "a piece": (False, [{"type": "http.response.body", "more_body": True}]),
    "a part of a file": (
        False,
        [{"type": "http.response.zerocopysend", "file": 0, "more_body": True}],
    ),
    "no trailers": (True, [{"type": "http.response.body"}]),
    "half of the trailers": (
        True,
        [
            {"type": "http.response.body"},
            {"type": "http.response.trailers", "headers": [], "more_trailers": True},
        ],
    ),
    "a hint": (False, [{"type": "http.response.early_hint", "links": []}]),
    "nonsense": (False, [{"type": "nonsense"}]),
}


@pytest.mark.parametrize("last", ENDS)
@pytest.mark.parametrize("other", OTHERS)
def test_what_ends_an_answer_to_nobody(serve: Serve, notes: Notes, last: str, other: str) -> None:
    """Everything that would end an answer to a client, and nothing else."""
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        known = ENDS if scope["path"] == "/ends" else OTHERS
        trailers, messages = known[last if known is ENDS else other]
        await send({**START, "trailers": trailers})
        await read_body(receive)
        notes.put("in")
        notes.put(await receive())
        try:
            for message in messages:
                await send(message)
            await gate.wait()
        except asyncio.CancelledError:
            notes.put(scope["path"])
            raise
        notes.put("went on")

    with serve(app, on_disconnect=f"cancel:{GRACE}") as server:
        for path in ("/ends", "/goes-on"):
            with server.connect() as client:
                client.get(path, "TE: trailers", "Connection: TE")
                assert notes.get() == "in"
                client.rst()
                assert notes.get() == DISCONNECT
        assert notes.get() == "/goes-on"
        assert server.loop is not None
        server.loop.call_soon_threadsafe(gate.set)
        assert notes.get() == "went on"


@WAYS
def test_nobody_is_cancelled_by_default(serve: Serve, notes: Notes, how: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert "cuvee.disconnect" not in scope.get("extensions", {})
        await parts(scope, receive, send)

    parts = Parts(notes)
    with serve(app) as server:
        with server.connect() as client:
            client.get("/told")
            assert notes.get() == "listens"
            client.leave(how)
            assert notes.get() == DISCONNECT
            assert notes.get() == "in"
        with server.connect() as other:
            other.get("/hello")
            assert other.read_response().status == 200
        assert notes.get() in ("in", ("went on", 0))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "QUERY"])
@pytest.mark.parametrize("policy", ["all", "safe"])
def test_safe_methods_are_cancelled(serve: Serve, notes: Notes, method: str, policy: str) -> None:
    with (
        serve(Parts(notes), on_disconnect="cancel", cancel_methods=policy) as server,
        server.connect() as client,
    ):
        client.request(method, "/request")
        assert notes.get() == "in"
        client.rst()
        assert notes.get() == CANCELLED


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "MKCOL"])
def test_others_are_cancelled_unless_safe_ones_only(
    serve: Serve, notes: Notes, method: str
) -> None:
    with (
        serve(Parts(notes), on_disconnect="cancel", cancel_methods="all") as server,
        server.connect() as client,
    ):
        client.request(method, "/request")
        assert notes.get() == "in"
        client.rst()
        assert notes.get() == CANCELLED
    with serve(Parts(notes), on_disconnect="cancel", cancel_methods="safe") as server:
        for verb in (method, "GET"):
            with server.connect() as client:
                client.request(verb, "/request")
                assert notes.get() == "in"
                client.rst()
        assert notes.get() == CANCELLED
        open_gate(server)
        assert notes.get() == ("went on", 0)


# ---- the application's say --------------------------------------------------------------------


class Asking:
    """An application whose path says what it asks for before it waits."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.gate = asyncio.Event()
        self.kept: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, listen, perhaps ask again, and wait."""
        disconnect = scope["extensions"]["cuvee.disconnect"]
        before, _, after = scope["path"][1:].partition("/")
        await read_body(receive)
        try:
            self.ask(disconnect, before)
            self.notes.put("in")
            self.notes.put(await receive())
            self.ask(disconnect, after)
            await self.gate.wait()
            task = asyncio.current_task()
            assert task is not None
            self.notes.put(("went on", task.cancelling()))
        except asyncio.CancelledError as exc:
            self.notes.put(("cancelled", exc.args))
            raise
        finally:
            self.kept = disconnect

    def ask(self, disconnect: Any, what: str) -> None:
        """Do what a part of the path says."""
        if what == "shield":
            disconnect.shield()
        elif what == "shield,0":
            disconnect.shield()
            disconnect.cancel_after(0)
        elif what:
            disconnect.cancel_after(float(what))


def go(server: RunningServer, notes: Notes, path: str, method: str = "GET") -> None:
    """A client asks, and leaves once the application listens."""
    with server.connect() as client:
        client.request(method, path)
        assert notes.get() == "in"
        client.rst()


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ("cancel:60", "/0.1/"),
        ("cancel:60", "//0.1"),
        ("cancel:60", "/30/0.1"),
        ("cancel:60", "//0"),
        ("cancel:60", "//shield,0"),
        ("cancel:60", "/shield/0.1"),
        ("cancel:0.1", "/shield/0"),
    ],
)
def test_a_request_is_cancelled_when_it_asks_for_it(
    serve: Serve, notes: Notes, policy: str, path: str
) -> None:
    with serve(Asking(notes), on_disconnect=policy) as server:
        go(server, notes, path)
        assert notes.get() == DISCONNECT
        assert notes.get() == CANCELLED
        wait_for_no_request(server)


@pytest.mark.parametrize("path", ["/0/", "/shield,0/"])
def test_a_request_asks_for_no_while(serve: Serve, notes: Notes, path: str) -> None:
    with serve(Asking(notes), on_disconnect="cancel:60") as server:
        go(server, notes, path)
        assert notes.get() == CANCELLED


def test_an_unsafe_request_asks_for_it(serve: Serve, notes: Notes) -> None:
    with serve(Asking(notes), on_disconnect="cancel:60", cancel_methods="safe") as server:
        go(server, notes, "/0", "POST")
        assert notes.get() == CANCELLED


@pytest.mark.parametrize("path", ["/shield/", "//shield", "/60/", "//60", "/0.01/shield"])
def test_a_request_goes_on_when_it_asks_for_it(serve: Serve, notes: Notes, path: str) -> None:
    """Another one that asks for nothing is cancelled later than this one would have been."""
    with serve(Asking(notes), on_disconnect=f"cancel:{GRACE}") as server:
        go(server, notes, path)
        assert notes.get() == DISCONNECT
        go(server, notes, "/")
        assert notes.get() == DISCONNECT
        assert notes.get() == CANCELLED
        open_gate(server)
        assert notes.get() == ("went on", 0)


def test_what_is_asked_when_all_is_over(serve: Serve, notes: Notes) -> None:
    """Nothing happens, whoever kept it."""
    app = Asking(notes)
    with serve(app, on_disconnect="cancel:0.1") as server:
        go(server, notes, "/")
        assert [notes.get(), notes.get()] == [DISCONNECT, CANCELLED]
        wait_for_no_request(server)
    assert app.kept.cancel_after(0) is None
    assert app.kept.shield() is None


def test_what_cannot_be_asked(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        disconnect = scope["extensions"]["cuvee.disconnect"]
        for wrong in (-1, float("nan"), float("inf"), 1e10):
            with pytest.raises(ValueError, match="not a possible number of seconds"):
                disconnect.cancel_after(wrong)
        for other in (None, "1"):
            with pytest.raises(TypeError):
                disconnect.cancel_after(other)
        with pytest.raises(TypeError):
            type(disconnect)()
        await respond(send)

    with serve(app, on_disconnect="cancel") as server, server.connect() as client:
        client.assert_open()


@pytest.mark.parametrize("policy", ["notify", "cancel", "cancel:3"])
def test_the_version_says_that_send_is_silent(serve: Serve, notes: Notes, policy: str) -> None:
    """From 2.4 on, frameworks listen to nothing but an error of send, which an idle stream never gets."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope["asgi"]["spec_version"])
        await respond(send)

    with serve(app, on_disconnect=policy) as server, server.connect() as client:
        client.assert_open()
        assert notes.get() == "2.3"


def test_each_request_has_extensions_of_its_own(serve: Serve) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["extensions"])
        assert "mine" not in scope["extensions"]
        scope["extensions"]["mine"] = True
        await respond(send)

    with serve(app, on_disconnect="cancel") as server, server.connect() as client:
        for _ in range(3):
            client.assert_open()
    assert len({id(extensions["cuvee.disconnect"]) for extensions in seen}) == 3


# ---- once, and no more ------------------------------------------------------------------------


class Stubborn:
    """An application that goes on when it is cancelled, until its gate is open."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and wait again; or end."""
        await read_body(receive)
        self.notes.put("in")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.notes.put("cancelled")
        if scope["path"] == "/ends":
            return
        await self.gate.wait()
        task = asyncio.current_task()
        assert task is not None
        self.notes.put(task.cancelling())


IGNORED = "Request goes on though it was cancelled, since its client is gone: "


def test_who_goes_on_is_counted_and_named_once(serve: Serve, notes: Notes) -> None:
    """Who ends, however that is, is not."""
    with serve(Stubborn(notes), on_disconnect="cancel") as server:
        state = server.server.server_state
        go(server, notes, "/ends")
        assert notes.get() == "cancelled"
        wait_for_no_request(server)
        assert state.cancel_ignored == 0
        go(server, notes, "/stubborn")
        assert notes.get() == "cancelled"
        record = server.log.expect(IGNORED)
        assert record.levelno == logging.WARNING
        assert "Stubborn.__call__() running at" in record.getMessage()
        assert "--on-disconnect" in record.getMessage()
        assert state.cancel_ignored == 1
        open_gate(server)
        assert notes.get() == 1
        wait_for_no_request(server)
        assert not [line for line in server.log.lines() if IGNORED in line]
    assert state.cancel_ignored == 1


def test_a_time_limit_does_not_cancel_once_more(serve: Serve, notes: Notes) -> None:
    """Nor does the end of the connection that it brings about."""
    with serve(Stubborn(notes), on_disconnect="cancel", timeout_request=1) as server:
        with server.connect() as first, server.connect() as last:
            first.get()
            assert notes.get() == "in"
            go(server, notes, "/")
            assert notes.get() == "cancelled"
            last.get()
            assert [notes.get() for _ in range(3)] == ["in", "cancelled", "cancelled"]
            for client in (first, last):
                assert client.read_response().status == 504
        server.settle()
        assert server.server.server_state.limited["timeout_request"] == 2
        open_gate(server)
        assert [notes.get() for _ in range(3)] == [1, 1, 1]


def test_a_stop_cancels_once(serve: Serve, notes: Notes) -> None:
    """The connections that are ended then are no reason to do so again."""
    with serve(Stubborn(notes), on_disconnect="cancel") as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        core = server.server.server_state.core
        assert core is not None
        assert server.loop is not None
        server.loop.call_soon_threadsafe(core.cancel_requests, "stop")
        assert notes.get() == "cancelled"
        server.loop.call_soon_threadsafe(core.abort)
        client.assert_closed()
        open_gate(server)
        assert notes.get() == 1


@pytest.mark.parametrize("policy", ["cancel", "cancel:60"])
def test_a_server_stops_while_requests_have_time(serve: Serve, notes: Notes, policy: str) -> None:
    """Those that are left are cancelled by the stop, as without the option."""
    options: dict[str, Any] = {"on_disconnect": policy, "timeout_graceful_shutdown": 0.1}
    with serve(Parts(notes), **options) as server, server.connect() as client:
        client.get("/told")
        assert notes.get() == "listens"
        if policy == "cancel:60":
            client.rst()
            assert notes.get() == DISCONNECT
            assert notes.get() == "in"
        server.server.should_exit = True
        kind, args = notes.get()
        assert kind == "cancelled"
        assert args != CANCELLED[1]
        server.log.expect("timeout graceful shutdown exceeded")
        if policy == "cancel":
            server.log.expect("Exception in ASGI application")


# ---- what is written down ---------------------------------------------------------------------


@contextlib.contextmanager
def access_lines(server: RunningServer) -> Iterator[None]:
    """Have the access log in the server's log, too."""
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(server.log)
    try:
        yield
    finally:
        logger.removeHandler(server.log)


def logged(server: RunningServer, path: str) -> list[str]:
    """Return what the access log says of a path, behind the client's address."""
    lines = [line for line in server.log.lines() if f" {path} HTTP" in line]
    return [line.partition(" - ")[2] for line in lines]


@WAYS
@pytest.mark.parametrize("policy", ["notify", "cancel", "cancel:0.1"])
def test_an_answer_that_never_began_is_a_499(
    serve: Serve, notes: Notes, how: str, policy: str
) -> None:
    """Once, whatever the application sends later."""
    with serve(Parts(notes), access_log=True, on_disconnect=policy) as server:
        with access_lines(server):
            with server.connect() as client:
                client.get("/answer_late")
                assert notes.get() == "listens"
                client.leave(how)
                if policy == "cancel":
                    assert notes.get() == CANCELLED
                else:
                    assert [notes.get(), notes.get()] == [DISCONNECT, "in"]
                record = server.log.expect('"GET /answer_late HTTP/1.1" 499', logging.INFO)
                assert isinstance(record.args, tuple)
                assert record.args[1:] == ("GET", "/answer_late", "1.1", 499)
            with server.connect() as client:
                client.get("/stream")
                assert notes.get() == "in"
                client.leave(how)
                if policy != "notify":
                    assert notes.get() == CANCELLED
            open_gate(server)
            wait_for_no_request(server)
            assert logged(server, "/stream") == ['"GET /stream HTTP/1.1" 200']
            assert logged(server, "/answer_late") == []


def test_a_refused_body_has_its_status(serve: Serve, notes: Notes) -> None:
    """The server has ended the connection, and has said why."""
    with serve(Parts(notes), access_log=True, limit_request_body=10) as server:
        with access_lines(server), server.connect() as client:
            client.send(
                b"POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
            )
            assert notes.get() == "in"
            client.send(b"9\r\n123456789\r\n")
            assert client.read_response().status == 413
            server.settle()
            open_gate(server)
            wait_for_no_request(server)
            assert logged(server, "/body") == ['"POST /body HTTP/1.1" 413']
        server.log.expect("Invalid HTTP request received.")


# ---- with what applications are made of -------------------------------------------------------


class Pool:
    """Connections to a database, as a pool hands them out."""

    def __init__(self, size: int) -> None:
        self.free = list(range(size))

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[int]:
        """Take one, and give it back when its transaction is rolled back, which takes a while."""
        taken = self.free.pop()
        try:
            yield taken
        finally:
            await asyncio.sleep(0)
            self.free.append(taken)


@WAYS
@pytest.mark.parametrize("grace", [0, 0.01])
def test_a_pool_gets_its_connections_back(
    serve: Serve, notes: Notes, how: str, grace: float
) -> None:
    pool = Pool(3)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/free":
            return await respond(send, b"%d" % len(pool.free))
        async with pool.connection():
            notes.put("in")
            await asyncio.Event().wait()

    with serve(app, on_disconnect=f"cancel:{grace}") as server:
        for _ in range(2):
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(server.connect()) for _ in range(3)]
                for client in clients:
                    client.get()
                    assert notes.get() == "in"
                for client in clients:
                    client.leave(how)
                wait_for_no_request(server)
            with server.connect() as client:
                assert client.ask("/free").body == b"3"


async def in_a_timeout() -> None:
    """Wait with a time limit."""
    async with asyncio.timeout(60):
        await asyncio.Event().wait()


async def in_wait_for() -> None:
    """Wait with a time limit, the older way."""
    await asyncio.wait_for(asyncio.Event().wait(), 60)


async def in_a_group() -> None:
    """Wait for the tasks of a group."""
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(asyncio.Event().wait())


async def in_gather() -> None:
    """Wait for several at once."""
    await asyncio.gather(*(asyncio.Event().wait() for _ in range(3)))


@WAYS
@pytest.mark.parametrize("wait", [in_a_timeout, in_wait_for, in_a_group, in_gather])
def test_what_waits_is_cancelled_with_its_parts(
    serve: Serve, notes: Notes, how: str, wait: Any
) -> None:
    """That no task is left is looked at when the server ends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        notes.put("in")
        try:
            await wait()
        finally:
            notes.put("out")

    with serve(app, on_disconnect="cancel") as server, server.connect() as client:
        client.get()
        assert notes.get() == "in"
        client.leave(how)
        assert notes.get() == "out"
        wait_for_no_request(server)
