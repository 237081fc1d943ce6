# SPDX-License-Identifier: MIT
"""Every request of the parser's corpus through nginx and HAProxy, alone and between two good requests.

Where a proxy and the server read the same bytes in two ways, a request is smuggled: the application sees one that the
proxy has not forwarded, or a client gets another one's answer. The proxy keeps its connections to the server, and all
cases share them: what one case leaves behind on a connection meets another one.
"""

from __future__ import annotations

import contextlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.asgi import Receive, Scope, Send, respond
from tests.support.raw import RawClient
from tests.support.server import running_server
from tests.support.services import MissingError
from tests.wire.conftest import SLOW_CLIENT
from tests.wire.corpus_client import GOOD, send_some
from tests.wire.parser_corpus import read_corpus
from tests.wire.proxies import ECHO, ID, HAProxy, Logged, Nginx, Proxy

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="each client has an address of its own in 127.0.0.0/8"
)

TOGETHER = 32
"""Clients at a time."""
REFUSED = "Invalid HTTP request received."
REFUSALS = {400, 501, 505}
"""What the server answers by itself; the application answers with other numbers."""


@dataclass
class Client:
    """What one client sends, and what it got."""

    name: str
    address: str
    data: bytes
    answers: bytes = b""


def make_clients() -> Iterator[Client]:
    """Give two for each case."""
    number = 0
    for case in read_corpus():
        for how, data in ("alone", case.request), ("between", GOOD + case.request + GOOD):
            number += 1
            address = f"127.1.{number // 250}.{number % 250 + 1}"
            yield Client(f"{case.name} ({how})", address, data)


@dataclass
class Seen:
    """A request, as the application saw it."""

    id: str
    body: bytes | None
    """None where the client was gone before its end."""


async def read_whole(receive: Receive) -> bytes | None:
    """Return the body, or None where the client is gone before its end."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


@dataclass
class Recorder:
    """An application that notes what it sees, and tells the proxy which request it answers."""

    seen: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A CONNECT is refused, unread: what follows a tunnel's 2xx would be no HTTP."""
        ids = b" ".join(value for name, value in scope["headers"] if name == ID.encode())
        connect = scope["method"] == "CONNECT"
        body = None if connect else await read_whole(receive)
        self.seen.append(Seen(ids.decode(), body))
        fields = [(b"content-length", b"4"), (ECHO.encode(), ids)]
        await respond(send, b"seen", 405 if connect else 200, fields)


@dataclass
class Run:
    """What all clients, one proxy and the application behind it have to tell."""

    clients: list[Client]
    log: list[Logged]
    seen: list[Seen]
    refusals: int
    """What the server has logged of them."""

    def forwarded(self) -> list[Logged]:
        """Return what the proxy has forwarded."""
        return [request for request in self.log if request.forwarded]

    def by_client(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """Sort requests by the name of the client, or what comes close to one."""
        names = {client.address: client.name for client in self.clients}
        clients = {request.id: names.get(request.client, "others") for request in self.log}
        found = defaultdict(list)
        for each in sorted(ids):
            found[clients.get(each, "nobody")].append(each)
        return found


def send_together(proxy: Proxy, other: RawClient, clients: Sequence[Client]) -> None:
    """Send what these clients send; when the proxy has read it, end their side, and read their answers."""
    address = (proxy.host, proxy.port)
    with contextlib.ExitStack() as stack:
        connections = []
        for client in clients:
            connection = stack.enter_context(RawClient(address, source=client.address))
            connections.append(connection)
            send_some(connection, client.data)
        for _ in range(2):
            other.send(GOOD)
            other.read_until(b"seen")
        for client, connection in zip(clients, connections, strict=True):
            with contextlib.suppress(OSError):
                connection.fin()
            client.answers = connection.read_to_end()


def run_all(kind: type[Proxy], lenient: bool) -> Run:
    """Run all cases through one proxy."""
    clients = list(make_clients())
    recorder = Recorder()
    with running_server(recorder, timeout_keep_alive=SLOW_CLIENT) as server:
        with kind(server.port, lenient=lenient) as proxy:
            with RawClient((proxy.host, proxy.port)) as other:
                for first in range(0, len(clients), TOGETHER):
                    send_together(proxy, other, clients[first : first + TOGETHER])
            proxy.stop()
            log = proxy.log()
        server.settle()
        refusals = sum(REFUSED in line for line in server.log.lines())
    return Run(clients, log, recorder.seen, refusals)


@pytest.fixture(
    scope="module",
    params=[(kind, lenient) for kind in (Nginx, HAProxy) for lenient in (False, True)],
    ids=lambda param: f"{'lenient' if param[1] else 'strict'} {param[0].__name__}",
)
def run(request: pytest.FixtureRequest) -> Run:
    """What came of all cases behind one proxy."""
    try:
        return run_all(*request.param)
    except MissingError as missing:
        pytest.skip(str(missing))


def test_each_forwarded_request_is_seen_once(run: Run) -> None:
    """In every case the same requests, by the proxy's ids, but for those that the server refuses."""
    seen = {request.id for request in run.seen}
    expected = [
        request.id
        for request in run.forwarded()
        if request.id in seen or request.status not in REFUSALS
    ]
    assert run.by_client(request.id for request in run.seen) == run.by_client(expected)


def test_each_refusal_answers_a_forwarded_request(run: Run) -> None:
    """No bytes that are left over on a connection are taken for a request, and refused as such."""
    assert run.refusals == sum(request.status in REFUSALS for request in run.forwarded())


def test_each_answer_is_that_of_its_request(run: Run) -> None:
    whole = {request.id for request in run.seen if request.body is not None}
    wrong = [request for request in run.log if request.echo != request.id and request.id in whole]
    assert not wrong
    assert not [request for request in run.log if request.echo not in ("", request.id)]


def test_each_body_is_what_was_forwarded(run: Run) -> None:
    forwarded = {request.id: request.body for request in run.log if request.body is not None}
    if not forwarded:
        pytest.skip("this proxy forwards a body as it comes, and knows no more of it")
    whole = [request for request in run.seen if request.body is not None]
    assert not [request for request in whole if forwarded.get(request.id) != request.body]


def test_a_good_request_is_in_nobodys_way(run: Run) -> None:
    """The one before each case has its answer, whatever others left behind on the server's connections."""
    between = [client for client in run.clients if client.data.startswith(GOOD)]
    assert len(between) >= len(run.clients) / 2
    for client in between:
        assert client.answers.startswith(b"HTTP/1.1 200 "), client.name
    assert len(run.forwarded()) > len(run.clients)
