# SPDX-License-Identifier: MIT
"""WSGI applications (PEP 3333) as ASGI applications: `WSGIMiddleware(app, workers=10)`."""

from cuvee.wsgi.middleware import WSGIMiddleware

__all__ = ["WSGIMiddleware"]
