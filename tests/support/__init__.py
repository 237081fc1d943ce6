# SPDX-License-Identifier: MIT
"""What the tests share: a server in a thread, a client that controls every byte, ASGI helpers."""
