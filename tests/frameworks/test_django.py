# SPDX-License-Identifier: MIT
"""Django at its current release: the shape of its tutorial, then what ends when the client goes.

Django's ASGI handler reads the whole body before it looks for a view. Beside the view and the stream of
its answer it waits for http.disconnect, and then cancels them; what runs in a thread is waited for.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Serve
from tests.frameworks import django_app
from tests.frameworks.support import (
    LEAVING,
    LEAVING_ON_EVERY_LOOP,
    ON_EVERY_LOOP,
    at_once,
    client_of,
    csrf_token,
    take,
)
from tests.support.asgi import Notes
from tests.support.server import RunningServer
from tests.support.server_process import ServerProcess


@pytest.fixture(scope="module", autouse=True)
def database() -> None:
    """The tables, and what stands in them at the beginning."""
    django_app.prepare()


@pytest.fixture(autouse=True)
def reports(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The views report to this test, whose gate is closed."""
    monkeypatch.setattr(django_app, "NOTES", notes)
    monkeypatch.setattr(django_app, "GATE", threading.Event())


@pytest.fixture
def server(serve: Serve) -> Iterator[RunningServer]:
    """The project behind a server, which asks for a lifespan that Django does not have."""
    with serve(django_app.application, lifespan="auto") as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """An ordinary HTTP client of it."""
    with client_of(server) as client:
        yield client


@ON_EVERY_LOOP
def test_the_tutorial(client: httpx.Client) -> None:
    """One visit of everything: question, vote, result, and the ways in which a vote is refused."""
    assert '<a href="/1/">What&#x27;s up?</a>' in client.get("/").text
    page = client.get("/1/")
    assert "<h1>What&#x27;s up?</h1>" in page.text
    assert page.headers["x-frame-options"] == "DENY"
    fields = {"csrfmiddlewaretoken": csrf_token(client, "/1/")}
    before = client.get("/1/results/").text
    voted = client.post("/1/vote/", data=fields | {"choice": "2"})
    assert (voted.status_code, voted.headers["location"]) == (302, "/1/results/")
    assert client.get("/1/results/").text != before
    assert "voted for The sky" in client.get("/").text
    nothing = client.post("/1/vote/", data=fields)
    assert (nothing.status_code, "You chose nothing." in nothing.text) == (400, True)
    assert client.post("/1/vote/", data={"choice": "2"}).status_code == 403
    assert client.get("/77/").status_code == 404
    assert client.get("/1").headers["location"] == "/1/"
    assert client.get("/", headers={"host": "elsewhere"}).status_code == 400


def test_a_form_of_a_model(client: httpx.Client) -> None:
    fields = {"csrfmiddlewaretoken": csrf_token(client, "/ask/")}
    assert "This field is required." in client.post("/ask/", data=fields | {"text": " "}).text
    kept = client.post("/ask/", data=fields | {"text": "\u00bfQu\u00e9?"}, follow_redirects=True)
    assert "<h1>\u00bfQu\u00e9?</h1>" in kept.text


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_file_in_a_form(client: httpx.Client, size: int) -> None:
    """Above 2.5 MB Django keeps body and file on the disk."""
    data = os.urandom(size)
    fields = {"csrfmiddlewaretoken": csrf_token(client, "/token/"), "title": "a title"}
    answer = client.post("/upload/", data=fields, files={"file": ("name", data)})
    assert answer.json() == {"title": "a title", "sha256": hashlib.sha256(data).hexdigest()}
    missing = client.post("/upload/", data=fields)
    assert (missing.status_code, list(missing.json())) == (400, ["file"])


def test_sessions(client: httpx.Client, server: RunningServer) -> None:
    assert [client.get("/visits/").json()["visits"] for _ in range(3)] == [1, 2, 3]
    with client_of(server) as other:
        assert other.get("/visits/").json() == {"visits": 1}


def test_the_admin(client: httpx.Client) -> None:
    entrance = client.get("/admin/", follow_redirects=True)
    assert entrance.url.path == "/admin/login/"
    assert "Django administration" in entrance.text
    fields = {"csrfmiddlewaretoken": csrf_token(client, "/admin/login/"), "username": "admin"}
    refused = client.post("/admin/login/", data=fields | {"password": "another"})
    assert "Please enter the correct username and password" in refused.text
    inside = client.post("/admin/login/?next=/admin/", data=fields | {"password": "a password"})
    assert (inside.status_code, inside.headers["location"]) == (302, "/admin/")
    page = "/admin/django_app/question/add/"
    fields = {"csrfmiddlewaretoken": csrf_token(client, page), "text": "Added by hand"}
    added = client.post(page, data=fields, follow_redirects=True)
    assert added.url.path == "/admin/django_app/question/"
    assert "was added successfully" in added.text


def test_static_files(client: httpx.Client) -> None:
    style = client.get("/static/admin/css/base.css")
    assert style.headers["content-type"] == "text/css"
    assert int(style.headers["content-length"]) == len(style.content) > 1000
    since = {"if-modified-since": style.headers["last-modified"]}
    assert client.get("/static/admin/css/base.css", headers=since).status_code == 304
    assert client.get("/static/nothing.css").status_code == 404


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_streams_that_end(client: httpx.Client) -> None:
    """Django makes a list of what a sync generator gives before it sends any of it."""
    rows = client.get("/export/")
    assert rows.headers["transfer-encoding"] == "chunked"
    assert rows.text.splitlines()[999] == "998,996004"
    with open(django_app.__file__, "rb") as file:
        source = file.read()
    file_answer = client.get("/download/")
    assert file_answer.content == source
    assert file_answer.headers["content-length"] == str(len(source))
    assert 'filename="django_app.py"' in file_answer.headers["content-disposition"]


def test_a_failing_view(client: httpx.Client) -> None:
    """Django answers and logs it itself; the server hears of nothing."""
    assert client.get("/fail/").status_code == 500
    assert client.get("/").status_code == 200


def test_many_at_once(server: RunningServer) -> None:
    paths = ["/", "/1/", "/visits/", "/at-once/", "/1/results/"] * 6
    assert {answer.status_code for answer in at_once(server, paths)} == {200}


@LEAVING_ON_EVERY_LOOP
def test_a_stream_is_cancelled_when_its_client_goes(
    server: RunningServer, notes: Notes, how: str
) -> None:
    with server.connect() as client:
        client.get("/feed/")
        assert client.read_head().chunked
        client.read_until(b"event: end\n\n")
        server.settle()
        assert notes.empty()
        client.leave(how)
        assert take(notes, 2) == ["events cancelled", "events closed"]


@LEAVING
def test_a_stream_that_waits_for_its_client_ends_with_it(
    server: RunningServer, notes: Notes, how: str
) -> None:
    """The client reads nothing: the generator stands in its `yield`, where nothing is raised.

    Django lets go of it, and the garbage collector closes it, some day.
    """
    with server.connect(rcvbuf=8192) as client:
        client.get("/flood/")
        client.read_until(b"\r\n\r\n")
        assert notes.empty()
        client.leave(how)
        assert notes.get() == "answer closed"


@LEAVING_ON_EVERY_LOOP
def test_an_async_view_is_cancelled_when_its_client_goes(
    server: RunningServer, notes: Notes, how: str
) -> None:
    with server.connect() as client:
        client.get("/wait/")
        assert notes.get() == "waits"
        client.leave(how)
        assert notes.get() == "cancelled"


@LEAVING
def test_a_view_in_a_thread_works_to_its_end(server: RunningServer, notes: Notes, how: str) -> None:
    with server.connect() as client:
        client.get("/work/")
        assert notes.get() == "works"
        client.leave(how)
        server.settle()
        assert notes.empty()
        django_app.GATE.set()
        assert notes.get() == "worked"
    with server.connect() as other:
        other.assert_open("/1/")


@LEAVING
def test_an_upload_that_breaks_off_reaches_no_view(
    server: RunningServer, client: httpx.Client, notes: Notes, how: str
) -> None:
    with server.connect() as leaving:
        leaving.send(b"POST /wait/ HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345")
        server.settle()
        leaving.leave(how)
        server.settle()
    assert client.get("/1/").status_code == 200
    assert notes.empty()


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_django_has_no_lifespan(serve: Serve, mode: str) -> None:
    """`auto` serves it all the same; `on` asks for what is not there, and refuses to start."""
    with serve(django_app.application, lifespan=mode) as server:
        if mode == "auto":
            with server.connect() as client:
                client.assert_open("/1/")
            assert "ASGI 'lifespan' protocol appears unsupported." in server.log.lines()
            return
        server.join()
        assert not server.server.started
        failure = server.log.expect("Exception in 'lifespan' protocol").exc_info
        assert failure and "not lifespan" in str(failure[1])
        server.log.expect("Application startup failed. Exiting.")


def test_the_command_serves_it() -> None:
    arguments = ("tests.frameworks.django_app:application", "--port", "0")
    with ServerProcess(*arguments) as process:
        base = f"http://127.0.0.1:{process.wait_until_running()}"
        with httpx.Client(base_url=base, trust_env=False) as client:
            assert client.get("/static/admin/css/base.css").status_code == 200
        assert process.stop() == 0
