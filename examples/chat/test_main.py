"""The chat behind a real server on a real socket, with clients of `websockets` and two pages in a browser."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from examples.fastapi_demo.test_main import Browser

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Serving:
    """The server's process, and where it listens."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "cuvee", "main:app", "--app-dir", str(HERE), *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.errors = self.process.stderr
        self.seen: list[str] = []
        for line in self.errors:
            self.seen.append(line)
            if match := re.search(r"running on (http://127\.0\.0\.1:(\d+))", line):
                self.url, self.port = match[1], match[2]
                return
        pytest.fail("".join(self.seen))

    def stop(self) -> None:
        """Stop it as Ctrl+C would."""
        self.process.send_signal(signal.SIGINT)
        self.end()

    def end(self) -> None:
        """Wait for its end; nothing may have failed."""
        rest = self.errors.read()
        self.errors.close()
        assert self.process.wait(timeout=20) == 0, rest
        assert "Traceback" not in "".join(self.seen) + rest, rest


@pytest.fixture
def server() -> Iterator[Serving]:
    serving = Serving("--port", "0", "--no-access-log")
    try:
        yield serving
        if serving.process.poll() is None:
            serving.stop()
    finally:
        serving.process.kill()
        serving.process.wait()
        serving.errors.close()


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene

    asyncio.run(bounded())


def joining(server: Serving, name: str, room: str = "lobby") -> Any:
    url = f"ws://127.0.0.1:{server.port}/rooms/{room}?member={name}"
    return websockets.asyncio.client.connect(url, proxy=None, compression=None)


async def heard(socket: Any) -> Any:
    return json.loads(await socket.recv())


def test_members_of_a_room_hear_each_other(server: Serving) -> None:
    async def scene() -> None:
        async with joining(server, "ann") as ann, joining(server, "cid", "attic") as cid:
            assert await heard(ann) == {"joined": "ann"}
            assert await heard(cid) == {"joined": "cid"}
            await ann.send("hello?")
            assert await heard(ann) == {"from": "ann", "said": "hello?"}
            async with joining(server, "bob") as bob:
                assert await heard(bob) == {"joined": "ann"}
                assert await heard(bob) == {"from": "ann", "said": "hello?"}
                await bob.send("é€😀" + "x" * 1000)
                said = {"from": "bob", "said": "é€😀" + "x" * 497}
                for each in (ann, bob):
                    assert await heard(each) == {"joined": "bob"}
                    assert await heard(each) == said
            assert await heard(ann) == {"left": "bob"}
            await cid.send("nobody?")
            assert await heard(cid) == {"from": "cid", "said": "nobody?"}

    play(scene())


def test_a_name_is_needed(server: Serving) -> None:
    async def scene() -> None:
        for name in ("", "x" * 21):
            with pytest.raises(InvalidStatus) as refused:
                await joining(server, name)
            assert refused.value.response.status_code == 403

    play(scene())


def test_bytes_are_refused(server: Serving) -> None:
    async def scene() -> None:
        async with joining(server, "ann") as ann:
            assert await heard(ann) == {"joined": "ann"}
            await ann.send(b"bytes")
            with pytest.raises(ConnectionClosed) as closed:
                await ann.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1003, "text, please")

    play(scene())


def test_who_does_not_read_keeps_nobody_waiting(server: Serving) -> None:
    """Far more is said than sockets and the member's queue hold."""

    async def scene() -> None:
        async with joining(server, "deaf") as deaf, joining(server, "ann") as ann:
            deaf.transport.pause_reading()
            await ann.recv()
            await ann.recv()
            for number in range(4000):
                said = f"{number} " + "€" * 490
                await ann.send(said)
                assert await heard(ann) == {"from": "ann", "said": said}
            deaf.transport.abort()
            assert await heard(ann) == {"left": "deaf"}

    play(scene())


def test_a_stop_is_told(server: Serving) -> None:
    async def scene() -> None:
        async with joining(server, "ann") as ann:
            await ann.recv()
            server.process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                await ann.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012

    play(scene())
    server.end()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    browser = Browser(CHROMIUM, tmp_path / "profile")
    yield browser
    browser.close()


SHOWN = """new Promise((resolve) => {
  const look = () => words.textContent.includes(%s) && resolve(words.textContent);
  new MutationObserver(look).observe(words, {childList: true});
  look();
})"""


def shown(browser: Browser, text: str) -> str:
    """Wait until the page shows `text`, and return all that it shows."""
    value: str = browser.evaluate(SHOWN % json.dumps(text))["value"]
    return value


def test_the_page(server: Serving, browser: Browser) -> None:
    """It shows what others say as text, says what is typed, and comes back after a restart."""

    async def scene() -> None:
        async with joining(server, "ann") as ann:
            assert await heard(ann) == {"joined": "ann"}
            await asyncio.to_thread(browser.visit, f"{server.url}/?name=b%26b")
            assert await heard(ann) == {"joined": "b&b"}
            await ann.send("<b>hi</b>")
            assert "ann: <b>hi</b>" in await asyncio.to_thread(shown, browser, "hi")
            typed = "text.value = 'typed'; form.requestSubmit()"
            await asyncio.to_thread(browser.evaluate, typed)
            assert await heard(ann) == {"from": "ann", "said": "<b>hi</b>"}
            assert await heard(ann) == {"from": "b&b", "said": "typed"}

    play(scene())
    server.stop()
    shown(browser, "closed with 1012")
    second = Serving("--port", server.port)
    try:
        assert "b&b is here" in shown(browser, "is here")
        second.stop()
    finally:
        second.process.kill()
        second.process.wait()
        second.errors.close()
