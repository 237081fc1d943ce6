# SPDX-License-Identifier: MIT
"""What of anyio's tests does not run on cuvee's loop, each with the reason. All others pass."""

from __future__ import annotations

LEFT_OUT = {
    "tests/test_lazyimport.py": (
        "installs anyio by pip into environments of its own; there is no loop in it"
    ),
    "tests/test_pytest_plugin.py": (
        "starts a pytest of its own for each test, and gives it a few seconds"
    ),
    "tests/test_sockets.py::test_getaddrinfo": "asks name servers about names of the internet",
}
