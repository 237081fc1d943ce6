# SPDX-License-Identifier: MIT
"""Does as systemd does with a socket unit: holds the socket, and starts the service when it is wanted."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
from types import TracebackType

# systemd's descriptors begin at 3, and LISTEN_PID is the process that has them.
_HAND_OVER = """
import os, sys
passed = [int(number) for number in sys.argv[1].split(",")]
for place, number in enumerate(passed, 3):
    os.dup2(number, place, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(passed))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "cuvee", *sys.argv[2:]])
"""


def hand_over(sockets: list[socket.socket]) -> tuple[str, ...]:
    """Return the words in front of cuvee's arguments that give it `sockets`."""
    numbers = ",".join(str(one.fileno()) for one in sockets)
    return (sys.executable, "-c", _HAND_OVER, numbers)


class Activator(threading.Thread):
    """Starts the service whenever its socket is readable and it does not run."""

    def __init__(self, listener: socket.socket, *arguments: str) -> None:
        super().__init__(daemon=True)
        self.listener = listener
        self.arguments = arguments
        self.exits: list[int] = []
        self.errors: list[str] = []
        self._over = False

    def run(self) -> None:
        """Work until the block ends."""
        while not self._over:
            if select.select([self.listener], [], [], 0.02)[0]:
                done = subprocess.run(
                    [*hand_over([self.listener]), *self.arguments],
                    pass_fds=(self.listener.fileno(),),
                    stderr=subprocess.PIPE,
                    text=True,
                )
                self.exits.append(done.returncode)
                if done.returncode:
                    self.errors.append(done.stderr)

    def __enter__(self) -> Activator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self.join(60)
