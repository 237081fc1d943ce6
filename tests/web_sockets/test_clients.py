# SPDX-License-Identifier: MIT
"""Clients that others have written, with and without compression, from no byte to 64 MiB."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.measured import ROOT
from tests.support.server_process import ServerProcess

Messages = list[str | bytes]

MEBIBYTE = 1 << 20
SIZES = (0, 1, 125, 126, 65535, 65536, MEBIBYTE, 16 * MEBIBYTE)
LARGEST = 64 * MEBIBYTE

HERE = Path(__file__).parent
NODE_FOLDER = Path(sys.prefix) / "node"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

COMPRESSION = pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
HOW_LARGE = pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(SIZES, id="to 16 MiB"),
        pytest.param((LARGEST,), id="64 MiB", marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)
LIMIT = 110.0


@pytest.fixture(scope="module", params=[True, False], ids=["", "server without deflate"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """An echo in a process; it serves the page for browsers, too."""
    options = ("--port", "0", "--lifespan", "off", "--ws-max-size", str(LARGEST))
    deflate = ("--ws-per-message-deflate", str(request.param).lower())
    target = "tests.web_sockets.page:app"
    with ServerProcess(target, *options, *deflate, cwd=ROOT) as server:
        server.wait_until_running()
        yield server
        assert server.stop() == 0
        assert not any("Traceback" in line for line in server.errors())


@pytest.fixture
def address(server: ServerProcess) -> str:
    """Where that is, without a scheme."""
    return f"127.0.0.1:{server.wait_until_running()}"


def messages_of(sizes: tuple[int, ...]) -> Messages:
    """Return bytes and a text of each size."""
    found: Messages = []
    for size in sizes:
        found.append((bytes(range(256)) * (size // 256 + 1))[:size])
        found.append("0123456789é" * (size // 12) + "x" * (size % 12))
    return found


def run(main: Any) -> None:
    """Run a client on asyncio's loop."""
    asyncio.run(asyncio.wait_for(main, 500))


@HOW_LARGE
@COMPRESSION
def test_websockets(address: str, compression: bool, sizes: tuple[int, ...]) -> None:
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect

    async def main() -> None:
        deflate: Any = "deflate" if compression else None
        options: dict[str, Any] = {"max_size": None, "proxy": None}
        async with connect(f"ws://{address}/", compression=deflate, **options) as connection:
            for message in messages_of(sizes):
                await connection.send(message)
                assert await connection.recv() == message

            async def pieces() -> Any:
                for number in range(100):
                    yield f"{number} "

            await connection.send(pieces())
            assert await connection.recv() == "".join([f"{number} " for number in range(100)])
            assert await (await connection.ping()) >= 0
        assert connection.close_code == 1000

    run(main())


@HOW_LARGE
@COMPRESSION
def test_aiohttp(address: str, compression: bool, sizes: tuple[int, ...]) -> None:
    aiohttp: Any = pytest.importorskip("aiohttp")

    async def main() -> None:
        options: dict[str, Any] = {"compress": 15 if compression else 0, "max_msg_size": 0}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://{address}/", **options) as socket,
        ):
            for message in messages_of(sizes):
                if isinstance(message, str):
                    await socket.send_str(message)
                    assert await socket.receive_str() == message
                else:
                    await socket.send_bytes(message)
                    assert await socket.receive_bytes() == message
            await socket.close(code=4000, message=b"done")
            assert socket.close_code == 4000

    run(main())


@HOW_LARGE
def test_picows(address: str, sizes: tuple[int, ...]) -> None:
    """It knows no compression."""
    picows: Any = pytest.importorskip("picows")

    async def main() -> None:
        received: asyncio.Queue[str | bytes] = asyncio.Queue()

        class Listener(picows.WSListener):  # type: ignore[misc]
            def on_ws_frame(self, transport: Any, frame: Any) -> None:
                if frame.msg_type == picows.WSMsgType.TEXT:
                    received.put_nowait(frame.get_payload_as_utf8_text())
                elif frame.msg_type == picows.WSMsgType.BINARY:
                    received.put_nowait(frame.get_payload_as_bytes())
                elif frame.msg_type == picows.WSMsgType.CLOSE:
                    received.put_nowait(f"closed with {int(frame.get_close_code())}")
                    transport.disconnect()

        transport, _ = await picows.ws_connect(
            Listener, f"ws://{address}/", max_frame_size=LARGEST + 1
        )
        for message in messages_of(sizes):
            if isinstance(message, str):
                transport.send(picows.WSMsgType.TEXT, message.encode())
            else:
                transport.send(picows.WSMsgType.BINARY, message)
            assert await received.get() == message
        transport.send_close(picows.WSCloseCode.GOING_AWAY, b"done")
        assert await received.get() == "closed with 1001"
        await transport.wait_disconnected()

    run(main())


@HOW_LARGE
def test_websocket_client(address: str, sizes: tuple[int, ...]) -> None:
    """It knows no compression."""
    websocket: Any = pytest.importorskip("websocket")
    socket = websocket.create_connection(f"ws://{address}/", timeout=LIMIT)
    for message in messages_of(sizes):
        if isinstance(message, str):
            socket.send(message)
        else:
            socket.send_binary(message)
        assert socket.recv() == message
    socket.close(status=4000, reason=b"done", timeout=LIMIT)
    assert not socket.connected


def environment() -> dict[str, str]:
    """A sanitizer is for us, not for clients."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def node(which: str, address: str, compression: bool, sizes: tuple[int, ...]) -> None:
    """Let Node talk to the echo."""
    assert NODE is not None
    said = subprocess.run([NODE, "--version"], capture_output=True, text=True).stdout
    version = int(said.lstrip("v").partition(".")[0])
    flags = ["--experimental-websocket"] if which == "own" and version < 22 else []
    if which == "own" and version < 20:
        pytest.skip(f"Node {version} has no client of its own")
    script = [str(HERE / "node_client.js"), str(NODE_FOLDER), which, f"ws://{address}/"]
    arguments = [str(compression).lower(), json.dumps(sizes)]
    done = subprocess.run(
        [NODE, *flags, *script, *arguments],
        capture_output=True,
        env=environment(),
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2 * len(sizes), 4000]


@HOW_LARGE
@COMPRESSION
@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.skipif(
    not (NODE_FOLDER / "node_modules" / "ws").exists(), reason="ws is not installed"
)
def test_ws_of_node(address: str, compression: bool, sizes: tuple[int, ...]) -> None:
    node("ws", address, compression, sizes)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_client_of_node_itself(address: str) -> None:
    # Of what is compressed it takes 4 MiB at most.
    node("own", address, True, tuple(size for size in SIZES if size <= 4 * MEBIBYTE))


@HOW_LARGE
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_chromium(
    server: ServerProcess, address: str, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    """A page does the work, and reports it; browsers always offer compression."""
    assert CHROMIUM is not None
    before = sum("RESULT " in line for line in server.stderr.lines)
    flags = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--user-data-dir={tmp_path}",
    )
    url = f"http://{address}/?{json.dumps(sizes, separators=(',', ':'))}"
    browser = subprocess.Popen(
        [CHROMIUM, *flags, "--remote-debugging-port=0", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    try:
        line = server.stderr.expect("RESULT ", LIMIT, nth=before + 1)
    finally:
        browser.kill()
        browser.wait()
    found = re.search("RESULT (.*)", line)
    assert found is not None and json.loads(found[1]) == [2 * len(sizes), 4000]
