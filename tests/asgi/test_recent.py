# SPDX-License-Identifier: MIT
"""What scopes of different requests share, and that nothing of one request shows up in another."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Any
from urllib.parse import unquote

import pytest

from tests.conftest import Serve
from tests.support.asgi import App, Notes, Receive, Scope, Send, respond
from tests.support.raw import RawClient
from tests.support.server import RunningServer

Pair = tuple[bytes, bytes]


def reporter(notes: Notes) -> App:
    """An application that hands each scope to its test."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put(scope)
        await respond(send)

    return app


def ask_all(client: RawClient, requests: list[bytes], notes: Notes) -> list[Any]:
    """Send the requests, 50 at once, and return the scopes that they make."""
    scopes = []
    for at in range(0, len(requests), 50):
        some = requests[at : at + 50]
        client.send(b"".join(some))
        for _ in some:
            assert client.read_response().status == 200
            scopes.append(notes.get())
    return scopes


def with_fields(*fields: bytes) -> bytes:
    """A request with these fields, and with a Host behind them."""
    return b"\r\n".join([b"GET / HTTP/1.1", *fields, b"Host: h", b"", b""])


def fields_of(scope: Scope) -> list[Pair]:
    """The fields in front of the Host."""
    assert scope["headers"][-1] == (b"host", b"h")
    return list(scope["headers"][:-1])


REPEATED = [
    b"User-Agent: test/1.0 (a longer one than eight bytes)",
    b"Accept: */*",
    b"Accept-Encoding: gzip",
    b"Accept-Language: en",
    b"Content-Length: 0",
    b"Origin:",
    b"Via: " + b"v" * 256,
]
NEVER_SHARED = [
    b"Cookie: a=1",
    b"Authorization: Basic YTpi",
    b"X-Unknown-To-All: one",
    b"User-Agent: " + b"u" * 257,
    b"Accept: " + b"a" * 300,
]


@pytest.mark.parametrize("same_connection", [True, False])
def test_pairs_that_clients_repeat_are_shared(
    serve: Serve, notes: Notes, same_connection: bool
) -> None:
    with serve(reporter(notes)) as server, server.connect() as client, server.connect() as other:
        (first,) = ask_all(client, [with_fields(*REPEATED)], notes)
        (second,) = ask_all(client if same_connection else other, [with_fields(*REPEATED)], notes)
    assert first["headers"] == second["headers"]
    assert [value for _, value in fields_of(first)] == [
        field.partition(b":")[2].strip() for field in REPEATED
    ]
    assert first["headers"] is not second["headers"]
    # Two of them may have one place, so that only most are sure to be shared.
    shared = [a is b for a, b in zip(first["headers"], second["headers"], strict=True)]
    assert shared.count(False) <= 2, shared


@pytest.mark.parametrize("field", REPEATED)
def test_a_repeated_pair_is_the_same_object(serve: Serve, notes: Notes, field: bytes) -> None:
    with serve(reporter(notes)) as server, server.connect() as client, server.connect() as other:
        seen = [ask_all(each, [with_fields(field)], notes)[0] for each in (client, client, other)]
    for at in range(2):
        pairs = [scope["headers"][at] for scope in seen]
        assert pairs[0] is pairs[1] is pairs[2]
        assert type(pairs[0]) is tuple


@pytest.mark.parametrize("field", NEVER_SHARED)
def test_what_is_secret_unknown_or_long_is_not_kept(
    serve: Serve, notes: Notes, field: bytes
) -> None:
    with serve(reporter(notes)) as server, server.connect() as client:
        first, second = ask_all(client, [with_fields(field)] * 2, notes)
    (one,), (two,) = fields_of(first), fields_of(second)
    assert one == two
    assert one is not two
    assert one[1] is not two[1]


def test_values_of_one_place(serve: Serve, notes: Notes) -> None:
    """The same ends and the same length: only a comparison of all bytes tells them apart."""
    values = [b"12345678" + bytes([c]) * 3 + b"87654321" for c in b"abcdefghij"]
    order = random.Random(1).choices(values, k=600)
    with serve(reporter(notes)) as server, server.connect() as client:
        requests = [with_fields(b"User-Agent: " + value) for value in order]
        scopes = ask_all(client, requests, notes)
    assert [fields_of(scope) for scope in scopes] == [[(b"user-agent", value)] for value in order]


def test_one_value_under_many_names(serve: Serve, notes: Notes) -> None:
    names = [b"accept", b"user-agent", b"via", b"te", b"pragma", b"dnt", b"origin", b"x-a"]
    order = random.Random(2).choices(names, k=400)
    with serve(reporter(notes)) as server, server.connect() as client:
        scopes = ask_all(client, [with_fields(name + b": h") for name in order], notes)
    assert [fields_of(scope) for scope in scopes] == [[(name, b"h")] for name in order]


def test_many_random_values(serve: Serve, notes: Notes) -> None:
    """Far more than there are places, of every length up to what is kept and beyond."""
    rng = random.Random(3)
    names = [b"accept", b"user-agent", b"x-requested-with", b"cookie"]
    asked: list[list[Pair]] = []
    for _ in range(600):
        length = rng.choice([0, 1, 2, 7, 8, 9, 15, 16, 17, 255, 256, 257, rng.randrange(300)])
        asked.append([(rng.choice(names), bytes(rng.choices(b"ab", k=length)))])
    requests = [with_fields(b"%s: %s" % fields[0]) for fields in asked]
    with serve(reporter(notes)) as server, server.connect() as client:
        scopes = ask_all(client, requests, notes)
    assert [fields_of(scope) for scope in scopes] == asked


def random_paths(rng: random.Random, count: int) -> list[str]:
    """Paths of which many collide: with equal ends and length, escaped or not, kept or too long."""
    paths = []
    for _ in range(count):
        length = rng.choice([0, 1, 5, 7, 8, 20, 100, 126, 127, 128, 129, 200])
        middle = "".join(rng.choices("ab", k=length))
        escaped = rng.choice(["", "%41", "%20", "%2F", "%C3%A9", "%FF"])
        at = rng.randrange(length + 1)
        paths.append(f"/{middle[:at]}{escaped}{middle[at:]}")
        paths.append(f"/fixed-start/{middle[:3]}{escaped}/{middle[:2]}/fixed-end")
    return rng.choices(paths, k=count)


@pytest.mark.parametrize("root_path", ["", "/api", "/caf\u00e9"])
def test_every_path_is_its_own(serve: Serve, notes: Notes, root_path: str) -> None:
    paths = random_paths(random.Random(4), 1500)
    requests = [f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for path in paths]
    with serve(reporter(notes), root_path=root_path) as server, server.connect() as client:
        scopes = ask_all(client, requests, notes)
    for path, scope in zip(paths, scopes, strict=True):
        assert scope["path"] == root_path + unquote(path, errors="replace")
        assert scope["raw_path"] == root_path.encode() + path.encode()
        assert scope["root_path"] == root_path


def test_paths_that_collide_take_turns(serve: Serve, notes: Notes) -> None:
    paths = ["/1234567/a/7654321", "/1234567/b/7654321", "/1234567%417654321"]
    requests = [f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for path in paths] * 100
    with serve(reporter(notes)) as server, server.connect() as client:
        scopes = ask_all(client, requests, notes)
    assert [(scope["path"], scope["raw_path"]) for scope in scopes] == [
        (unquote(path), path.encode()) for path in paths
    ] * 100


@pytest.mark.parametrize("root_path", ["", "/api"])
@pytest.mark.parametrize("target", ["/", "http://other", "http://other/"])
def test_an_empty_path(serve: Serve, notes: Notes, root_path: str, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    with serve(reporter(notes), root_path=root_path) as server, server.connect() as client:
        scopes = ask_all(client, [request] * 3, notes)
    for scope in scopes:
        assert scope["path"] == root_path + "/"
        assert scope["raw_path"] == root_path.encode() + b"/"


def test_a_query_is_not_part_of_what_is_kept(serve: Serve, notes: Notes) -> None:
    targets = ["/p", "/p?a", "/p?b", "/p", "/p?", "/p?a"]
    requests = [f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for target in targets]
    with serve(reporter(notes)) as server, server.connect() as client:
        scopes = ask_all(client, requests, notes)
    assert [scope["query_string"] for scope in scopes] == [b"", b"a", b"b", b"", b"", b"a"]
    assert {scope["raw_path"] for scope in scopes} == {b"/p"}


def test_servers_with_different_root_paths(serve: Serve) -> None:
    """They share a process, not what they keep."""
    roots = ["", "/a", "/b", "/longer"]
    all_notes = [Notes() for _ in roots]
    for each, root in zip(all_notes, roots, strict=True):
        with serve(reporter(each), root_path=root) as server, server.connect() as client:
            with serve(reporter(each), root_path=root + "/2") as more, more.connect() as other:
                for _ in range(3):
                    for where, prefix in ((client, root), (other, root + "/2")):
                        assert where.ask("/x%41").status == 200
                        scope = each.get()
                        assert scope["path"] == prefix + "/xA"
                        assert scope["raw_path"] == prefix.encode() + b"/x%41"
                        assert scope["root_path"] == prefix


def test_methods_take_turns(serve: Serve, notes: Notes) -> None:
    methods = ["GET", "POST", "GET", "QUERY", "GET", "PUT", "PROPFIND", "PATCH", "DELETE", "GET"]
    requests = [f"{m} / HTTP/1.1\r\nHost: h\r\n\r\n".encode() for m in methods * 5]
    with serve(reporter(notes)) as server, server.connect() as client:
        scopes = ask_all(client, requests, notes)
    assert [scope["method"] for scope in scopes] == methods * 5


def test_versions_take_turns(serve: Serve, notes: Notes) -> None:
    old = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    new = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    with serve(reporter(notes)) as server, server.connect() as client:
        scopes = ask_all(client, [new, old, new, old], notes)
    assert [scope["http_version"] for scope in scopes] == ["1.1", "1.0", "1.1", "1.0"]


class TwoListeners(RunningServer):
    """A server with a listening socket on a second address."""

    def __init__(self, app: Any, second: str, **options: Any) -> None:
        super().__init__(app, **options)
        self.second = self._bind_second(second)

    def _bind_second(self, host: str) -> socket.socket:
        sock = socket.socket()
        sock.bind((host, 0))
        sock.listen(16)
        return sock

    async def _main(self) -> None:
        await self.server.serve(sockets=[self._listener, self.second])
        me = asyncio.current_task()
        self.leftover = [repr(task) for task in asyncio.all_tasks() if task is not me]


def test_the_server_address_of_each_connection(loop_kind: str, notes: Notes) -> None:
    server = TwoListeners(reporter(notes), "127.0.0.2", loop=loop_kind)
    first = ("127.0.0.1", server.port)
    second: tuple[str, int] = server.second.getsockname()
    with server, RawClient(first) as one, RawClient(second) as two, RawClient(first) as three:
        for order in ([one, two] * 3, [one, one, three, two, two, three]):
            for client in order:
                assert client.ask().status == 200
                expected = second if client is two else first
                assert notes.get()["server"] == expected


def test_what_an_application_changes_stays_with_its_request(serve: Serve, notes: Notes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put({key: repr(value) for key, value in scope.items() if key != "client"})
        scope["headers"].clear()
        scope["asgi"].clear()
        scope["state"]["left"] = "behind"
        for key in list(scope):
            scope[key] = "changed"
        scope["more"] = "changed"
        await respond(send)

    request = [b"GET /p%41?q HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\n\r\n"]
    with serve(app) as server, server.connect() as client, server.connect() as other:
        seen = []
        for each in (client, client, other):
            seen += ask_all(each, request, notes)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]["headers"] == repr([(b"host", b"h"), (b"user-agent", b"u")])
    assert seen[0]["state"] == "{}"
    assert seen[0]["method"] == "'GET'"
