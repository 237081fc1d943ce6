# SPDX-License-Identifier: MIT
"""Every request of the parser's corpus on a real connection: whole, byte by byte, and between two good requests.

The application must see the requests that the case names, and no other one; each has one answer, what is refused has
the status of the rule and ends the connection, and nothing hangs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.asgi import Notes, Receive, Scope, Send, respond
from tests.support.raw import RawClient
from tests.support.server import RunningServer, running_server
from tests.wire.corpus_client import GOOD, drip, read_final, send_some
from tests.wire.parser_corpus import Case, read_corpus
from tests.wire.parser_events import Expected, Seen, expectation, seen_in, shown

CASES = [case for case in read_corpus() if not case.limits]  # the server's own limits are larger
THE_GOOD_ONE = Seen("GET", "1.1", "/good", fields=["host: good"], whole=True)

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def outcome(case: Case) -> Expected:
    """What the server must do with a case."""
    return expectation(case.events.splitlines())


@dataclass
class Recorder:
    """An application that notes each request when its body has come to its end, or the client is gone."""

    notes: Notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A CONNECT is refused: what follows a tunnel's 2xx would be no HTTP."""
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.notes.put(seen_in(scope).ended(None))
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.notes.put(seen_in(scope).ended(shown(body)))
        await respond(send, b"seen", 405 if scope["method"] == "CONNECT" else 200)


@dataclass
class Watched:
    """A server, and what its application has noted."""

    server: RunningServer
    notes: Notes

    def check_answers(self, client: RawClient, expected: Expected) -> None:
        """Read all that must come back for a case, in order."""
        for request in expected.answered:
            assert read_final(client, request.method).body == (
                b"" if request.method == "HEAD" else b"seen"
            )
        if expected.refused is not None:
            status, rule = expected.refused
            assert read_final(client, "GET").status == status
            self.server.log.expect(f"Invalid HTTP request received. ({rule})")
        if expected.incomplete:
            self.server.settle()
            client.fin()
        if not expected.open:
            client.assert_closed()

    def check_seen(self, *expected: Seen) -> None:
        """The application must have seen these requests, and no other one."""
        assert [self.notes.get() for _ in expected] == list(expected)
        self.server.settle()
        assert self.notes.empty(), f"a request that nobody sent: {self.notes.get()}"

    def check_open(self, client: RawClient) -> None:
        """One request more must be served, with nothing left over before it."""
        client.send(GOOD)
        assert client.read_response().body == b"seen"
        self.check_seen(THE_GOOD_ONE)


@pytest.fixture(scope="module")
def shared() -> Iterator[Watched]:
    """One server for all cases."""
    notes = Notes()
    with running_server(Recorder(notes)) as server:
        yield Watched(server, notes)


@pytest.fixture
def watched(shared: Watched) -> Watched:
    """The server, with nothing left of a case that failed before."""
    while not shared.notes.empty():
        shared.notes.get()
    return shared


@each_case
@pytest.mark.parametrize("cut", ["whole", "byte by byte"])
def test_alone(watched: Watched, case: Case, cut: str) -> None:
    expected = outcome(case)
    with watched.server.connect() as client:
        if cut == "whole":
            send_some(client, case.request)
        else:
            drip(watched.server, client, case.request)
        watched.check_answers(client, expected)
        watched.check_seen(*expected.requests)
        if expected.open:
            watched.check_open(client)


@each_case
def test_between_two_good_requests(watched: Watched, case: Case) -> None:
    """The one before is always served; the one behind only where the case leaves the connection open."""
    expected = outcome(case)
    behind = b"" if expected.incomplete else GOOD
    with watched.server.connect() as client:
        send_some(client, GOOD + case.request + behind)
        assert client.read_response().body == b"seen"
        watched.check_answers(client, expected)
        served_behind = [THE_GOOD_ONE] if expected.open else []
        for _ in served_behind:
            assert client.read_response().body == b"seen"
        watched.check_seen(THE_GOOD_ONE, *expected.requests, *served_behind)
        if expected.open:
            watched.check_open(client)
