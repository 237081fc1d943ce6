# SPDX-License-Identifier: MIT
"""Every dialogue of the corpus of answers, to the byte: whole, byte by byte, and with a good request behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.asgi import Notes, Receive, Scope, Send
from tests.support.raw import RawClient
from tests.support.server import RunningServer, running_server
from tests.wire.answer_corpus import AnswerCase, read_answers
from tests.wire.answering_app import answering_app
from tests.wire.corpus_client import GOOD, drip, send_some

CASES = list(read_answers())
IN_PIECES = [case for case in CASES if not case.whole_only]
CONTINUED = [case for case in CASES if not case.half_close and not case.last]
GOOD_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"


def named(cases: list[AnswerCase]) -> pytest.MarkDecorator:
    """Run a test with each of these cases."""
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@dataclass
class Answering:
    """A server that adds no date and no name, and what its application has seen."""

    server: RunningServer
    notes: Notes

    def check_seen(self, *requests: str) -> None:
        """The application must have seen these requests, and no other one."""
        self.server.settle()
        assert [self.notes.get() for _ in requests] == list(requests)
        assert self.notes.empty(), f"a request that nobody sent: {self.notes.get()}"

    def check_end(self, client: RawClient, case: AnswerCase) -> None:
        """The connection serves one request more, or has ended with no byte more."""
        if case.half_close:
            self.server.settle()
            client.fin()
        if case.open:
            client.send(GOOD)
            assert client.read(len(GOOD_ANSWER)) == GOOD_ANSWER
            self.check_seen(*case.requests, "GET /good")
        else:
            client.assert_closed()
            self.check_seen(*case.requests)


@pytest.fixture(scope="module")
def shared() -> Iterator[Answering]:
    """One server for all cases."""
    notes = Notes()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        target = scope["raw_path"].decode()
        query = scope["query_string"].decode()
        notes.put(f"{scope['method']} {target}{'?' * bool(query)}{query}")
        await answering_app(scope, receive, send)

    with running_server(app, date_header=False, server_header=False) as server:
        yield Answering(server, notes)


@pytest.fixture
def answering(shared: Answering) -> Answering:
    """The server, with nothing left of a case that failed before."""
    while not shared.notes.empty():
        shared.notes.get()
    return shared


@named(CASES)
def test_whole(answering: Answering, case: AnswerCase) -> None:
    with answering.server.connect() as client:
        for sent, answer in case.steps:
            send_some(client, sent)
            assert client.read(len(answer)) == answer
        answering.check_end(client, case)


@named(IN_PIECES)
def test_byte_by_byte(answering: Answering, case: AnswerCase) -> None:
    with answering.server.connect() as client:
        for sent, answer in case.steps:
            drip(answering.server, client, sent)
            assert client.read(len(answer)) == answer
        answering.check_end(client, case)


@named(CONTINUED)
def test_with_a_good_request_behind(answering: Answering, case: AnswerCase) -> None:
    """It is served where the case leaves the connection open, and never elsewhere."""
    *first, (last, last_answer) = case.steps
    with answering.server.connect() as client:
        for sent, answer in first:
            send_some(client, sent)
            assert client.read(len(answer)) == answer
        send_some(client, last + GOOD)
        assert client.read(len(last_answer)) == last_answer
        if case.open:
            assert client.read(len(GOOD_ANSWER)) == GOOD_ANSWER
            answering.check_seen(*case.requests, "GET /good")
        else:
            client.assert_closed()
            answering.check_seen(*case.requests)
