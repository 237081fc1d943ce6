# SPDX-License-Identifier: MIT
"""An application server for Python's async web frameworks: asyncio and ASGI on a C core.

`cuvee main:app` on the command line, or `cuvee.run(app)`, serves an ASGI application. What is named
here is imported when it is first used, so that `import cuvee` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cuvee._core import ClientDisconnected
    from cuvee.cli import main
    from cuvee.config import Config
    from cuvee.loop import Loop, new_event_loop
    from cuvee.runner import run
    from cuvee.server import Server

__version__ = "0.1.0"
__all__ = ["ClientDisconnected", "Config", "Loop", "Server", "main", "new_event_loop", "run"]

_HOMES = {
    "ClientDisconnected": "_core",
    "Config": "config",
    "Loop": "loop",
    "Server": "server",
    "main": "cli",
    "new_event_loop": "loop",
    "run": "runner",
}
_MODULES = (
    "cli",
    "compat",
    "config",
    "importer",
    "lifespan",
    "logging",
    "loop",
    "runner",
    "server",
)


def __getattr__(name: str) -> object:
    """Import what is asked for (PEP 562)."""
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f"module 'cuvee' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"cuvee.{_HOMES.get(name, name)}")
    value: object = getattr(module, name) if name in _HOMES else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazy names too."""
    return sorted({*globals(), *_HOMES, *_MODULES})
