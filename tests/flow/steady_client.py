# SPDX-License-Identifier: MIT
"""A client in a process of its own that asks about a thousand times a second, until its standard input ends.

It then writes the time of each request and the seconds that its answer took, as pairs of doubles. In a process of its
own nothing else has the GIL while it waits for an answer.
"""

from __future__ import annotations

import array
import select
import socket
import sys
import time

from tests.support.server_process import get

PAUSE = 0.001


def main() -> None:
    """Ask."""
    times = array.array("d")
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            began = time.monotonic()
            get(connection)
            times.extend((began, time.monotonic() - began))
    sys.stdout.buffer.write(times.tobytes())


if __name__ == "__main__":
    main()
