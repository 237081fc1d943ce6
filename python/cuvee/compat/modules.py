# SPDX-License-Identifier: MIT
"""The modules that stand in for uvicorn's, and what is in them: names of uvicorn's, objects of cuvee's."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

UVICORN = "uvicorn"
VERSION = "0.54.0"
"""What `uvicorn.__version__` says: the release whose interface this is."""

_NAMES = "cuvee.compat.names"

MODULES: Mapping[str, Mapping[str, str]] = {
    "uvicorn": {
        "Config": "cuvee.config:Config",
        "Server": "cuvee.server:Server",
        "main": f"{_NAMES}:main",
        "run": "cuvee.runner:run",
    },
    "uvicorn._types": {
        "ASGI3Application": "cuvee._types:ASGIApplication",
        "ASGIApplication": "cuvee._types:ASGIApplication",
        "ASGIReceiveCallable": "cuvee._types:Receive",
        "ASGISendCallable": "cuvee._types:Send",
        "HTTPScope": "cuvee._types:Scope",
        "Scope": "cuvee._types:Scope",
        "WWWScope": "cuvee._types:Scope",
    },
    "uvicorn.config": {
        "Config": "cuvee.config:Config",
        "HTTP_PROTOCOLS": f"{_NAMES}:HTTP_PROTOCOLS",
        "LIFESPAN": f"{_NAMES}:LIFESPAN",
        "LOGGING_CONFIG": "cuvee.logging:LOGGING_CONFIG",
        "LOG_LEVELS": "cuvee.logging:LOG_LEVELS",
        "LOOP_FACTORIES": f"{_NAMES}:LOOP_FACTORIES",
        "HTTPProtocolType": "cuvee.config:HTTPType",
        "LifespanType": "cuvee.config:LifespanType",
        "LoopFactoryType": "cuvee.loop_choice:LoopType",
        "SSL_PROTOCOL_VERSION": f"{_NAMES}:SSL_PROTOCOL_VERSION",
        "STARTUP_FAILURE": "cuvee.config:STARTUP_FAILURE",
        "TRACE_LOG_LEVEL": "cuvee.logging:TRACE_LOG_LEVEL",
        "WSProtocolType": "cuvee.config:WSType",
        "WS_PROTOCOLS": f"{_NAMES}:WS_PROTOCOLS",
    },
    "uvicorn.importer": {
        "ImportFromStringError": "cuvee.importer:ImportFromStringError",
        "import_from_string": "cuvee.importer:import_from_string",
    },
    "uvicorn.lifespan": {},
    "uvicorn.lifespan.off": {"LifespanOff": "cuvee.lifespan:LifespanOff"},
    "uvicorn.lifespan.on": {"LifespanOn": "cuvee.lifespan:Lifespan"},
    "uvicorn.logging": {
        "AccessFormatter": "cuvee.logging:AccessFormatter",
        "ColourizedFormatter": "cuvee.logging:ColourizedFormatter",
        "DefaultFormatter": "cuvee.logging:DefaultFormatter",
        "TRACE_LOG_LEVEL": "cuvee.logging:TRACE_LOG_LEVEL",
    },
    "uvicorn.main": {
        "Config": "cuvee.config:Config",
        "LOGGING_CONFIG": "cuvee.logging:LOGGING_CONFIG",
        "LOG_LEVELS": "cuvee.logging:LOG_LEVELS",
        "STARTUP_FAILURE": "cuvee.config:STARTUP_FAILURE",
        "Server": "cuvee.server:Server",
        "ServerState": "cuvee.server_state:ServerState",
        "main": f"{_NAMES}:main",
        "run": "cuvee.runner:run",
    },
    "uvicorn.middleware": {},
    "uvicorn.middleware.asgi2": {"ASGI2Middleware": "cuvee.interface:ASGI2Middleware"},
    "uvicorn.middleware.message_logger": {
        "MessageLoggerMiddleware": "cuvee.message_logger:MessageLogger",
    },
    "uvicorn.middleware.proxy_headers": {
        "ProxyHeadersMiddleware": "cuvee.proxy_headers:ProxyHeadersMiddleware",
    },
    "uvicorn.middleware.wsgi": {"WSGIMiddleware": "cuvee.wsgi:WSGIMiddleware"},
    "uvicorn.protocols": {},
    "uvicorn.protocols.utils": {
        name: f"cuvee.compat.protocol_utils:{name}"
        for name in (
            "ClientDisconnected",
            "get_client_addr",
            "get_local_addr",
            "get_path_with_query_string",
            "get_remote_addr",
            "is_ssl",
        )
    },
    "uvicorn.server": {
        "Config": "cuvee.config:Config",
        "HANDLED_SIGNALS": "cuvee.server:HANDLED_SIGNALS",
        "STARTUP_FAILURE": "cuvee.config:STARTUP_FAILURE",
        "Server": "cuvee.server:Server",
        "ServerState": "cuvee.server_state:ServerState",
    },
    "uvicorn.workers": {
        "UvicornH11Worker": "cuvee.workers:CuveeWorker",
        "UvicornWorker": "cuvee.workers:CuveeWorker",
    },
}
"""For each module of uvicorn's that there is here: its names, and where cuvee has them."""

_LOADED_WITH_UVICORN = ("config", "importer", "logging", "main", "middleware", "server")
_PACKAGES = frozenset(name.rpartition(".")[0] for name in MODULES)


class StandIn(ModuleType):
    """A module of uvicorn's, whose names are looked up in cuvee when they are first used."""

    def __getattr__(self, name: str) -> Any:
        """Find what nobody has asked for yet."""
        known = MODULES[self.__name__]
        if name in known:
            module, _, attribute = known[name].partition(":")
            value = getattr(importlib.import_module(module), attribute)
            setattr(self, name, value)
            return value
        if self.__name__ == UVICORN and name in _LOADED_WITH_UVICORN:
            return importlib.import_module(f"{UVICORN}.{name}")
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        raise AttributeError(f"cuvee, which stands in for {self.__name__}, has no {name!r} there")

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *MODULES[self.__name__]})


class _Maker(Loader):
    """Makes the modules."""

    def create_module(self, spec: ModuleSpec) -> StandIn:
        """Make an empty one."""
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Say what `import *` takes; `uvicorn.main` is the function, as it is in uvicorn."""
        module.__file__ = __file__  # which errors show
        module.__dict__["__all__"] = sorted(MODULES[module.__name__])
        if module.__name__ == UVICORN:
            module.__dict__["__version__"] = VERSION
            importlib.import_module(f"{UVICORN}.main")
            del module.__dict__["main"]  # the import has put the module there


class Finder(MetaPathFinder):
    """Answers for uvicorn and everything in it, before anything that is installed."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return how to make the module, or say that it is not there."""
        if fullname in MODULES:
            return ModuleSpec(fullname, _Maker(), is_package=fullname in _PACKAGES)
        if fullname.startswith(f"{UVICORN}."):
            raise ModuleNotFoundError(
                f"cuvee, which stands in for uvicorn, has no module {fullname!r}", name=fullname
            )
        return None
