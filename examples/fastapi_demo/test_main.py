"""The demo application behind a real server on a real socket.

``CUVEE_DEMO_SERVER`` names the module that serves it (cuvee), so that the same checks can be held
against another server.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


class Browser:
    """Headless Chromium with one page, told what to do over a socket (DevTools protocol)."""

    # The browser reads commands from its descriptor 3 and writes answers to 4.
    LAUNCH = (
        "import os, sys; fd = int(sys.argv[1]); os.dup2(fd, 3); os.dup2(fd, 4);"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )

    def __init__(self, path: str, profile: Path) -> None:
        flags = (
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--remote-debugging-pipe", f"--user-data-dir={profile}"),
        )
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.LAUNCH, str(theirs.fileno()), path, *flags],
                pass_fds=(theirs.fileno(),),
                stderr=subprocess.DEVNULL,
            )
        self.answers = self.socket.makefile("rb")
        self.sent = 0
        self.session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]

    def close(self) -> None:
        self.call("Browser.close")
        self.process.wait(timeout=20)
        self.answers.close()
        self.socket.close()

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Send one command and return its result."""
        self.sent += 1
        command = {"id": self.sent, "method": method, "params": params}
        if self.session is not None:
            command["sessionId"] = self.session
        self.socket.sendall(json.dumps(command).encode() + b"\0")
        answer = self._next(lambda message: message.get("id") == self.sent)
        result: dict[str, Any] = answer["result"]
        return result

    def visit(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self.call("Page.enable")
        self.call("Page.navigate", url=url)
        self._next(lambda message: message.get("method") == "Page.loadEventFired")

    def evaluate(self, expression: str, by_value: bool = True) -> dict[str, Any]:
        """Evaluate JavaScript in the page and wait for the promise that it may be."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=by_value
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            text = bytearray()
            while (byte := self.answers.read(1)) != b"\0":
                assert byte, "the browser is gone"
                text += byte
            message: dict[str, Any] = json.loads(text)
            assert "error" not in message, message["error"]
            if wanted(message):
                return message


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    browser = Browser(CHROMIUM, tmp_path / "profile")
    yield browser
    browser.close()


def test_page_works_in_a_browser(url: str, browser: Browser) -> None:
    browser.visit(f"{url}/#all")
    browser.evaluate("finished")
    texts: dict[str, list[str]] = browser.evaluate(
        "Object.fromEntries(Object.entries(cards).map(([name, card]) =>"
        " [name, [card.out.textContent, card.state.className, card.state.textContent]]))"
    )["value"]
    assert {name: state for name, (_, state, _) in texts.items()} == dict.fromkeys(
        ("json", "validation", "stream", "upload", "events", "after"), "state good"
    )
    assert '"message": "Hello, browser!"' in texts["json"][0]
    assert "body.price" in texts["validation"][0]
    assert texts["stream"][0].splitlines() == [f"line {n} of 20" for n in range(1, 21)]
    assert "1,048,576 bytes" in texts["upload"][0]
    assert texts["events"][0].splitlines() == [f"tick {n}" for n in range(1, 9)]
    assert "background task wrote: cuvee at 12.50" in texts["after"][0]


def test_page_shows_a_stream_while_it_arrives(url: str, browser: Browser) -> None:
    browser.visit(url)
    first = browser.evaluate(
        "new Promise((resolve) => new MutationObserver(() => resolve(cards.stream.out.textContent))"
        ".observe(cards.stream.out, {childList: true}))"
    )["value"]
    assert "line 20 of 20" not in first


def test_page_uploads_a_chosen_file(url: str, browser: Browser, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("corked")
    browser.visit(url)
    element = browser.evaluate("picker", by_value=False)
    browser.call("DOM.setFileInputFiles", files=[str(chosen)], objectId=element["objectId"])
    shown = browser.evaluate("sendPicked().then(() => cards.upload.out.textContent)")["value"]
    assert shown.split()[:3] == ["chosen.txt", "6", "bytes"]
