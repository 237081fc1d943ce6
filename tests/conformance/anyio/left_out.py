# SPDX-License-Identifier: MIT
"""What of anyio's tests does not run on cuvee's loop, each with the reason. All others pass."""

from __future__ import annotations

import sys

LEFT_OUT = {
    "tests/test_lazyimport.py": (
        "installs anyio by pip into environments of its own; there is no loop in it"
    ),
    "tests/test_pytest_plugin.py": (
        "starts a pytest of its own for each test, and gives it a few seconds"
    ),
    "tests/test_sockets.py::test_getaddrinfo": "asks name servers about names of the internet",
}

if sys.version_info[:2] == (3, 13):
    for name in (
        "test_send_waits_for_the_os_to_accept_the_datagram",
        "test_cancelled_send_does_not_buffer_the_next_datagram",
    ):
        LEFT_OUT[f"tests/test_sockets.py::TestUDPSocketBackpressure::{name}"] = (
            "fails on the loop of asyncio of 3.13.0 too, whose datagram transport is ours"
        )
