# SPDX-License-Identifier: MIT
"""An echo that serves a page beside it, which talks to the echo and reports what it found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.asgi import Receive, Scope, Send, read_body, respond
from tests.web_sockets.applications import echo

CLIENT = Path(__file__).parent / "echo_client.js"
PAGE = """<!doctype html>
<script>%s</script>
<script>
const sizes = JSON.parse(decodeURIComponent(location.search.slice(1)));
check(() => new WebSocket(`ws://${location.host}/`), sizes).then(
  (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) }),
  (error) => fetch("/result", { method: "POST", body: JSON.stringify(String(error)) }),
);
</script>
"""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo, or hand the page out, or tell the test what the page reports."""
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
    elif scope["path"] == "/result":
        result = json.loads(await read_body(receive))
        await respond(send, b"")
        print(f"RESULT {json.dumps(result)}", file=sys.stderr, flush=True)
    else:
        page = (PAGE % CLIENT.read_text()).encode()
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(page)),
        ]
        await respond(send, page, headers=headers)
