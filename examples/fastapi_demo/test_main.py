"""The demo application behind a real server on a real socket.

``CUVEE_DEMO_SERVER`` names the module that serves it (cuvee), so that the same checks can be held
against another server.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
SERVER = os.environ.get("CUVEE_DEMO_SERVER", "cuvee")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Start the server on a free port and stop it as Ctrl+C would."""
    command = [sys.executable, "-m", SERVER, "main:app", "--app-dir", str(HERE), "--port", "0"]
    with subprocess.Popen(
        [*command, "--no-access-log"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        seen: list[str] = []
        for line in process.stderr:
            seen.append(line)
            if match := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                break
        else:
            pytest.fail(f"{SERVER} did not start:\n{''.join(seen)}")
        yield match[1]
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(timeout=10) == 0, rest
        assert "Traceback" not in rest


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        yield client


def test_json(client: httpx.Client) -> None:
    response = client.get("/api/hello", params={"name": "Zoë & co"})
    assert response.status_code == 200
    body = response.json()
    assert body["message"] == "Hello, Zoë & co!"
    assert body["http_version"] == "1.1"
    assert body["client"].startswith("127.0.0.1:")
    assert int(response.headers["content-length"]) == len(response.content)
    assert "date" in response.headers


def test_path_and_query_are_converted(client: httpx.Client) -> None:
    assert client.get("/api/items/7", params={"q": "a+b"}).json() == {"item_id": 7, "q": "a+b"}


@pytest.mark.parametrize(
    ("path", "where"),
    [("/api/items/seven", ["path", "item_id"]), ("/api/items/7?q=" + "x" * 21, ["query", "q"])],
)
def test_bad_parameters_are_422(client: httpx.Client, path: str, where: list[str]) -> None:
    response = client.get(path)
    assert response.status_code == 422
    assert [error["loc"] for error in response.json()["detail"]] == [where]


def test_bad_body_is_422(client: httpx.Client) -> None:
    response = client.post("/api/items", json={"name": "", "price": -1})
    assert response.status_code == 422
    assert {error["loc"][-1] for error in response.json()["detail"]} == {"name", "price"}


def test_background_task_runs_after_the_answer(client: httpx.Client) -> None:
    before = len(client.get("/api/journal").json())
    assert client.post("/api/items", json={"name": "cork", "price": 2}).status_code == 201
    journal = client.get("/api/journal", params={"count": before + 1}).json()
    assert journal[before] == "cork at 2.00"


def test_stream_is_chunked_and_complete(client: httpx.Client) -> None:
    with client.stream("GET", "/api/stream", params={"lines": 50, "interval": 0}) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in response.headers
        lines = list(response.iter_lines())
    assert lines == [f"line {number} of 50" for number in range(1, 51)]


def test_first_line_arrives_while_the_stream_goes_on(client: httpx.Client) -> None:
    # The second line is 5 seconds away and the client gives up before: the first one comes alone.
    with client.stream(
        "GET", "/api/stream", params={"lines": 2, "interval": 5}, timeout=4
    ) as response:
        assert next(response.iter_raw()) == b"line 1 of 2\n"


def test_server_sent_events(client: httpx.Client) -> None:
    with client.stream("GET", "/api/events", params={"count": 3, "interval": 0}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = response.read().decode().strip().split("\n\n")
    assert events == [f"id: {n}\nevent: tick\ndata: {n}" for n in (1, 2, 3)] + [
        "event: done\ndata: 3"
    ]


def test_upload_of_two_files(client: httpx.Client) -> None:
    contents = {"small.txt": b"corked", "large.bin": bytes(range(256)) * 8192}
    response = client.post(
        "/api/upload", files=[("files", (name, data)) for name, data in contents.items()]
    )
    assert response.status_code == 200
    assert response.json() == [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
    ]


def test_sync_endpoint_runs_in_a_thread(client: httpx.Client) -> None:
    thread = client.get("/api/sync", params={"pause": 0}).json()["thread"]
    assert thread != "MainThread"


def test_dependency_with_yield_is_closed_behind_the_request(client: httpx.Client) -> None:
    # It is closed after the answer is sent, so a next request may come before: but not the 200th.
    for opened in range(1, 201):
        counts = client.get("/api/lease").json()
        assert counts["opened"] == opened
        assert counts["closed"] < opened
        if counts["closed"]:
            return
    pytest.fail("no lease was ever closed")


def test_openapi_lists_every_endpoint(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert sorted(paths) == [
        "/api/events",
        "/api/hello",
        "/api/items",
        "/api/items/{item_id}",
        "/api/journal",
        "/api/lease",
        "/api/stream",
        "/api/sync",
        "/api/upload",
    ]


def test_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    response = client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", response.text)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path")
def test_page_works_in_a_browser(url: str, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=20000",
        "--dump-dom",
    ]
    finished = subprocess.run(
        [CHROMIUM, *flags, f"--user-data-dir={tmp_path}", f"{url}/#all"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    dom = finished.stdout
    assert 'data-done="yes"' in dom
    assert len(re.findall(r'class="state good"', dom)) == 6
    assert "Hello, browser!" in dom
    assert "line 20 of 20" in dom
    assert "1,048,576 bytes" in dom
    assert "tick 8" in dom
    assert 'class="state bad"' not in dom
