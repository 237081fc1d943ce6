# SPDX-License-Identifier: MIT
"""The project of test_django, called by WSGI: each request has a thread, and views need no other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks import django_app
from tests.frameworks.support import ON_EVERY_LOOP, at_once, client_of, csrf_token
from tests.support.asgi import Notes
from tests.support.server import RunningServer


@pytest.fixture(scope="module", autouse=True)
def database() -> None:
    """The tables, and what stands in them at the beginning."""
    django_app.prepare()


@pytest.fixture
def server(serve: Serve) -> Iterator[RunningServer]:
    """The project behind a server."""
    with serve(django_app.wsgi_application, interface="wsgi") as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with client_of(server) as client:
        yield client


@ON_EVERY_LOOP
def test_the_tutorial(client: httpx.Client) -> None:
    assert '<a href="/1/">What&#x27;s up?</a>' in client.get("/").text
    fields = {"csrfmiddlewaretoken": csrf_token(client, "/1/")}
    voted = client.post("/1/vote/", data=fields | {"choice": "2"})
    assert (voted.status_code, voted.headers["location"]) == (302, "/1/results/")
    assert client.post("/1/vote/", data={"choice": "2"}).status_code == 403
    assert client.get("/77/").status_code == 404
    assert client.get("/1").headers["location"] == "/1/"
    assert [client.get("/visits/").json()["visits"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_file_in_a_form(client: httpx.Client, size: int) -> None:
    data = os.urandom(size)
    fields = {"csrfmiddlewaretoken": csrf_token(client, "/token/"), "title": "a title"}
    answer = client.post("/upload/", data=fields, files={"file": ("name", data)})
    assert answer.json() == {"title": "a title", "sha256": hashlib.sha256(data).hexdigest()}


def test_streams_and_files(client: httpx.Client) -> None:
    rows = client.get("/export/")
    assert rows.headers["transfer-encoding"] == "chunked"
    assert rows.text.splitlines()[999] == "998,996004"
    with open(django_app.__file__, "rb") as file:
        source = file.read()
    file_answer = client.get("/download/")
    assert file_answer.content == source
    assert file_answer.headers["content-length"] == str(len(source))
    style = client.get("/static/admin/css/base.css")
    assert int(style.headers["content-length"]) == len(style.content) > 1000


@pytest.mark.parametrize("how", ["fin", "close", "rst"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators")
def test_an_answer_is_closed_when_its_client_goes(
    server: RunningServer, notes: Notes, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    def flood(request: object) -> object:
        return django_app.ReportingResponse(pieces())

    monkeypatch.setattr(django_app, "NOTES", notes)
    monkeypatch.setattr(django_app, "urlpatterns", django_app.urlpatterns)
    pattern = next(one for one in django_app.urlpatterns if one.callback is django_app.flood)
    monkeypatch.setattr(pattern, "callback", flood)
    with server.connect(rcvbuf=8192) as client:
        client.get("/flood/")
        client.read_until(b"\r\n\r\n")
        assert notes.empty()
        client.leave(how)
        assert notes.get() == "answer closed"


def test_an_upload_that_breaks_off(server: RunningServer, client: httpx.Client) -> None:
    """Django takes what reading raises for what it is: the client gets nothing, nobody a traceback."""
    with server.connect() as leaving:
        leaving.send(b"POST /upload/ HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345")
        server.settle()
        leaving.rst()
    assert client.get("/1/").status_code == 200


def test_a_failing_view(client: httpx.Client) -> None:
    assert client.get("/fail/").status_code == 500
    assert client.get("/1/").status_code == 200


def test_many_at_once(server: RunningServer) -> None:
    paths = ["/", "/1/", "/visits/", "/at-once/", "/1/results/"] * 6
    assert {answer.status_code for answer in at_once(server, paths)} == {200}
