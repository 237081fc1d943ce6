# SPDX-License-Identifier: MIT
"""The command, the configuration, and how a server starts and stops."""
