# SPDX-License-Identifier: MIT
"""ASGI 2, ASGI 3 and WSGI: told apart as uvicorn does it, and served alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import uvicorn

import cuvee
from tests.beside_uvicorn.both import NAMES, Answer, Conversation, running
from tests.beside_uvicorn.double import APPLICATIONS, DISGUISED
from tests.beside_uvicorn.test_http import Pair, request
from tests.conftest import Serve
from tests.support.raw import RawClient


@pytest.mark.parametrize("name", APPLICATIONS)
def test_what_an_application_is(serve: Serve, name: str) -> None:
    app = APPLICATIONS[name]
    theirs = uvicorn.Config(app, log_config=None)
    theirs.load()
    ours = cuvee.Config(app, log_config=None)
    assert (ours.interface, ours.asgi_version) == ("auto", "3.0")
    ours.load()
    assert (ours.interface, ours.asgi_version) == (theirs.interface, theirs.asgi_version)
    assert ours.interface == name[:5]
    for interface in ("auto", name[:5]):
        with serve(app, interface=interface, lifespan="on") as server, server.connect() as client:
            said = json.loads(client.ask().body)
            assert said == {"version": ours.asgi_version, "spec_version": "2.3"}


@pytest.mark.parametrize("name", DISGUISED)
def test_what_can_only_be_asgi_3_is_that(serve: Serve, name: str) -> None:
    app = DISGUISED[name]
    theirs = uvicorn.Config(app, log_config=None)
    theirs.load()
    assert theirs.interface == "asgi2"
    with serve(app, lifespan="on") as server, server.connect() as client:
        assert json.loads(client.ask().body)["version"] == "3.0"
        assert server.config.interface == "asgi3"


def test_an_interface_that_was_said_is_not_asked_for(serve: Serve) -> None:
    """Who says the wrong one gets what they asked for: an exception for each request."""
    with serve(APPLICATIONS["asgi2_class"], interface="asgi3") as server:
        with server.connect() as client:
            assert client.ask().status == 500
        server.log.expect("Exception in ASGI application")


CASES = {
    "a request": request("/a%20b?x=1", "X-Two: 1", "X-Two: 2"),
    "HEAD": request("/", method="HEAD"),
    "a body": request("/", "Content-Length: 5", method="POST", body=b"12345"),
    "chunks": request(
        "/", "Transfer-Encoding: chunked", method="POST", body=b"3\r\nabc\r\n0\r\n\r\n"
    ),
    "pieces": request("/streamed"),
    "written": request("/written"),
    "an exception": request("/raises"),
    "an exception in the middle": request("/late"),
}


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both servers, with the same WSGI application; uvicorn's adapter is a2wsgi."""
    with ExitStack() as stack:
        first, second = (
            Conversation(
                stack.enter_context(
                    running(name, "--interface", "wsgi", target="wsgi_applications:app")
                )
            )
            for name in NAMES
        )
        yield first, second


@pytest.mark.parametrize("case", CASES)
def test_a_wsgi_application_is_served_alike(pair: Pair, case: str) -> None:
    theirs, ours = ([_comparable(answer) for answer in one.exchange(CASES[case])] for one in pair)
    assert ours == theirs
    lines = [one.lines() for one in pair]
    assert lines[1] == lines[0]


def _comparable(answer: Answer) -> Answer:
    return answer._replace(framing=[])


@pytest.mark.parametrize("interface", ["asgi2", "asgi3", "wsgi"])
def test_the_command_takes_it(interface: str) -> None:
    target = "wsgi_applications:app" if interface == "wsgi" else f"double:{interface}_object"
    with running("cuvee", "--interface", interface, target=target) as server:
        with RawClient(("127.0.0.1", server.wait_until_running())) as client:
            assert client.ask().status == 200
        assert server.stop() == 0
