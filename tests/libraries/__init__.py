# SPDX-License-Identifier: MIT
"""Libraries that people use, unmodified and with real servers, on cuvee's loop and under its server."""
