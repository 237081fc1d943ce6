# SPDX-License-Identifier: MIT
"""The environ of a request, from its ASGI scope (PEP 3333, "environ Variables")."""

from __future__ import annotations

import sys
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from cuvee._types import Scope
from cuvee.wsgi._types import Environ
from cuvee.wsgi.files import FileWrapper

_KEPT_NAMES = 256
_keys: dict[bytes, str] = {}
"""The keys of field names that were seen before, as many of them as there is room for."""


def make_environ(scope: Scope, body: BinaryIO | None, *, multithread: bool) -> Environ:
    """Return what the application is called with; strings are bytes read as Latin-1."""
    scheme: str = scope.get("scheme", "http")
    script_name, path_info = _paths(scope)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": "HTTP/" + scope["http_version"],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,  # it ends by itself, also where no length was said
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": True,  # nobody can tell here, and this is the answer that is safe
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "asgi.scope": scope,
    }
    _add_addresses(environ, scope, scheme)
    _add_fields(environ, scope["headers"])
    return environ


def _add_addresses(environ: Environ, scope: Scope, scheme: str) -> None:
    server = scope.get("server")
    if server is None or server[1] is None:  # a Unix socket has no name that a URL could have
        server = ("localhost", 443 if scheme == "https" else 80)
    environ["SERVER_NAME"] = server[0]
    environ["SERVER_PORT"] = str(server[1])
    client = scope.get("client")
    if client is not None:
        environ["REMOTE_ADDR"] = client[0]
        environ["REMOTE_PORT"] = str(client[1])


def _add_fields(environ: Environ, headers: Any) -> None:
    keys = _keys
    for name, value in headers:
        key = keys.get(name)
        if key is None:
            key = _key(name)
        if not key:
            continue
        text = value.decode("latin-1")
        if key in environ:
            separator = "; " if key == "HTTP_COOKIE" else ","  # RFC 9113 section 8.2.3
            text = f"{environ[key]}{separator}{text}"
        environ[key] = text


def _key(name: bytes) -> str:
    """Return the key of a field; "" where it gets none.

    A name with an underscore would have the key of another name: what a proxy removes or sets
    could be sent under its twin. Scripts that run below the application take HTTP_PROXY for an
    instruction.
    """
    key = name.decode("latin-1").upper().replace("-", "_")
    if b"_" in name or key == "PROXY":
        key = ""
    elif key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = "HTTP_" + key
    if len(_keys) < _KEPT_NAMES:
        _keys[name] = key
    return key


def _paths(scope: Scope) -> tuple[str, str]:
    """Return SCRIPT_NAME and PATH_INFO: the root path, and what of the path is behind it."""
    root: str = scope.get("root_path", "").rstrip("/")
    path = _native(scope)
    if not root:
        return "", path
    script_name = root.encode().decode("latin-1")
    if path.startswith(script_name) and path[len(script_name) :][:1] in ("", "/"):
        path = path[len(script_name) :]
    return script_name, path


def _native(scope: Scope) -> str:
    path: str = scope["path"]
    if path.isascii():
        return path
    raw = scope.get("raw_path")
    if "\ufffd" in path and raw:  # bytes that are no UTF-8 are in the raw path only
        return unquote_to_bytes(raw).decode("latin-1")
    return path.encode("utf-8", "surrogateescape").decode("latin-1")
