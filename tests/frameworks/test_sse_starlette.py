# SPDX-License-Identifier: MIT
"""sse-starlette: events end with their client, and all of them when the server stops.

It knows of no server but uvicorn, which it finds as the owner of the handler of SIGTERM: an object with
`should_exit`, which cuvee's server is too.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.frameworks.support import LEAVING
from tests.support.asgi import WAIT
from tests.support.raw import RawClient
from tests.support.server_process import ServerProcess


def start() -> ServerProcess:
    """Start the command."""
    return ServerProcess("tests.frameworks.sse_app:application", "--port", "0")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server for all tests but those of its end."""
    with start() as process:
        yield process.wait_until_running()
        assert process.stop() == 0


@pytest.fixture
def client(port: int) -> Iterator[RawClient]:
    """A connection to it."""
    with RawClient(("127.0.0.1", port)) as client:
        yield client


def notes(port: int, count: int) -> list[str]:
    """Return the application's next notes."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT, trust_env=False) as client:
        return [client.get("/note").json() for _ in range(count)]


@LEAVING
def test_events_end_with_their_client(client: RawClient, port: int, how: str) -> None:
    client.get("/events")
    head = client.read_head()
    assert head.get(b"content-type") == b"text/event-stream; charset=utf-8"
    assert head.chunked
    for number in range(3):
        event = b"id: %d\r\nevent: piece\r\ndata: piece %d\r\n\r\n" % (number, number)
        assert client.read_until(b"\r\n") == b"%x\r\n" % len(event)
        assert client.read(len(event) + 2) == event + b"\r\n"
    client.leave(how)
    assert notes(port, 3) == ["told http.disconnect", "cancelled", "closed"]


@LEAVING
def test_events_that_wait_for_their_client_are_closed(port: int, how: str) -> None:
    """The client reads nothing: the generator stands in its `yield`, and sse-starlette closes it there."""
    with RawClient(("127.0.0.1", port), rcvbuf=8192) as client:
        client.get("/flood")
        client.read_until(b"\r\n\r\n")
        client.leave(how)
        assert notes(port, 1) == ["closed"]


def test_head_has_no_events(client: RawClient) -> None:
    """And its connection serves the next request."""
    for _ in range(2):
        client.request("HEAD", "/events")
        assert client.read_response("HEAD").status == 200


def test_pings(client: RawClient) -> None:
    client.get("/pings")
    for _ in range(3):
        client.read_until(b": still here\r\n\r\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_events_end_when_the_server_stops(number: signal.Signals) -> None:
    """Without a time for it: the server waits for answers that are open, and both of them end."""
    with start() as process:
        address = ("127.0.0.1", process.wait_until_running())
        with RawClient(address) as silent, RawClient(address) as polite:
            silent.get("/events")
            silent.read_until(b"piece 2\r\n\r\n\r\n")
            polite.get("/farewell")
            polite.read_until(b"data: hello\r\n\r\n\r\n")
            process.signal(number)
            assert silent.read_to_end() == b""
            assert polite.read_to_end().endswith(b"data: goodbye\r\n\r\n\r\n0\r\n\r\n")
        assert process.wait() == (0 if number == signal.SIGINT else -signal.SIGTERM)
