"""The error that ends a build with one line, and no traceback, where setuptools runs it."""

from __future__ import annotations

try:
    from setuptools.errors import BaseError
except ImportError:  # a tool that compiles without setuptools
    BaseError = Exception  # type: ignore[assignment, misc]


class BuildError(BaseError):
    """What is wrong, and what would help, in one line."""
