# SPDX-License-Identifier: MIT
"""Parent processes: they hold the listening sockets, and start and end the processes that serve."""
