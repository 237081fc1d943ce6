# SPDX-License-Identifier: MIT
"""uvicorn and cuvee side by side: the same applications, requests, options and signals."""
