# SPDX-License-Identifier: MIT
"""The health path: answered without the application, whatever else goes on."""

from __future__ import annotations

import logging

import pytest

from tests.conftest import Serve
from tests.support.asgi import Notes, Receive, Scope, Send, hello, respond
from tests.support.raw import Response


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing but 418, so that one sees who has answered."""
    await respond(send, b"app", 418)


def is_healthy(response: Response) -> bool:
    """Tell the server's own answer."""
    kind = response.get(b"content-type")
    return (response.status, response.body, kind) == (200, b"ok", b"text/plain; charset=utf-8")


def test_get_and_head_are_answered_and_the_connection_goes_on(serve: Serve) -> None:
    with serve(failing, health_path="/health") as server, server.connect() as client:
        for target in ("/health", "/health?verbose", "http://test/health"):
            assert is_healthy(client.ask(target))
        client.request("HEAD", "/health")
        response = client.read_response("HEAD")
        assert (response.status, response.get(b"content-length")) == (200, b"2")
        assert client.ask("/").status == 418


@pytest.mark.parametrize("target", ["/", "/health/", "/Health", "/healthy", "/%68ealth"])
def test_other_paths_are_the_applications(serve: Serve, target: str) -> None:
    with serve(failing, health_path="/health") as server, server.connect() as client:
        assert client.ask(target).status == 418


def test_other_methods_are_the_applications(serve: Serve) -> None:
    with serve(failing, health_path="/health") as server, server.connect() as client:
        for method in ("POST", "OPTIONS", "PUT"):
            client.request(method, "/health", body=b"")
            assert client.read_response().status == 418


def test_without_the_option_there_is_no_health_path(serve: Serve) -> None:
    with serve(failing) as server, server.connect() as client:
        assert client.ask("/health").status == 418


def test_path_is_that_of_the_request_line_under_a_root_path(serve: Serve) -> None:
    options = {"health_path": "/health", "root_path": "/api"}
    with serve(failing, **options) as server, server.connect() as client:
        assert is_healthy(client.ask("/health"))
        assert client.ask("/api/health").status == 418


def test_pipelined_checks_and_requests_keep_their_order(serve: Serve) -> None:
    with serve(failing, health_path="/health") as server, server.connect() as client:
        get = b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n"
        client.send(get % b"/health" + get % b"/" + get % b"/health" + get % b"/health")
        statuses = [client.read_response().status for _ in range(4)]
        assert statuses == [200, 418, 200, 200]


def test_a_body_is_dropped(serve: Serve) -> None:
    with serve(failing, health_path="/health") as server, server.connect() as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe")
        assert is_healthy(client.read_response())
        client.send(b"llo")
        assert client.ask("/").status == 418


def test_checks_are_neither_counted_nor_limited_nor_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture, notes: Notes
) -> None:
    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("here")
        await receive()
        await receive()

    options = {"health_path": "/health", "limit_requests": 1, "access_log": True}
    with (
        caplog.at_level(logging.INFO, "uvicorn.access"),
        serve(waiting, **options) as server,
        server.connect() as busy,
        server.connect() as client,
    ):
        busy.get("/")
        notes.get()
        assert is_healthy(client.ask("/health"))
        assert client.ask("/").status == 503
        assert server.server.server_state.total_requests == 1
    assert not any("/health" in record.getMessage() for record in caplog.records)


def test_old_clients_are_answered(serve: Serve) -> None:
    with serve(hello, health_path="/health") as server, server.connect() as client:
        client.send(b"GET /health HTTP/1.0\r\n\r\n")
        response = client.read_response()
        assert is_healthy(response)
        client.assert_closed()


def test_while_the_server_stops_a_check_fails(serve: Serve, notes: Notes) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        notes.put("here")
        while (await receive())["more_body"]:
            pass
        await respond(send)

    with (
        serve(slow, health_path="/health") as server,
        server.connect() as busy,
        server.connect() as client,
    ):
        busy.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n")
        notes.get()
        assert is_healthy(client.ask("/health"))
        client.send(b"GET /health HTTP/1.1\r\n")  # is not idle: it has more than a second
        server.settle()
        server.server.should_exit = True
        server.log.expect("Waiting for connections to close")
        client.send(b"Host: test\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.body) == (503, b"stopping")
        assert response.get(b"connection") == b"close"
        busy.send(b"x")
        assert busy.read_response().status == 200
