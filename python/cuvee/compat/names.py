# SPDX-License-Identifier: MIT
"""Names of uvicorn's that cuvee itself has no use for."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Sequence
from typing import NoReturn

from cuvee import cli

SSL_PROTOCOL_VERSION = int(ssl.PROTOCOL_TLS_SERVER)

HTTP_PROTOCOLS = dict.fromkeys(("auto", "h11", "httptools", "zttp"), "cuvee._core:Connection")
"""What `--http` takes: one parser under each name."""
WS_PROTOCOLS: dict[str, str | None] = {
    "auto": "cuvee._core:Connection",
    "none": None,
    "websockets": "cuvee._core:Connection",
    "websockets-sansio": "cuvee._core:Connection",
    "wsproto": "cuvee._core:Connection",
}
"""What `--ws` takes."""
LIFESPAN = {
    "auto": "cuvee.lifespan:Lifespan",
    "on": "cuvee.lifespan:Lifespan",
    "off": "cuvee.lifespan:LifespanOff",
}
"""What `--lifespan` takes."""
LOOP_FACTORIES: dict[str, str | None] = {
    "none": None,
    "auto": "cuvee.loop:new_event_loop",
    "asyncio": "asyncio:SelectorEventLoop",
    "uvloop": "uvloop:new_event_loop",
    "zuvloop": "zuvloop:new_event_loop",
}
"""What `--loop` takes."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command, and end the process with its exit code."""
    sys.exit(cli.main(args))
