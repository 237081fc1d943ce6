# SPDX-License-Identifier: MIT
"""The formats of access log lines: gunicorn's atoms and nginx's variables, as pieces for C.

A piece is a pair of a kind and a text. "text" is written as it stands; the kinds of fields show
the header field that the text names; what the others show is said in csrc/observe/access_format.c.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cuvee import _core

Piece: TypeAlias = tuple[str, str]

PRESETS = {
    "common": '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s',
    "combined": '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
    "nginx": '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" "$http_x_forwarded_for"',
}
"""Formats that have a name. `json` has one too, and pieces of its own."""

REQUEST_LINE: tuple[Piece, ...] = (
    ("method", ""),
    ("text", " "),
    ("target", ""),
    ("text", " HTTP/"),
    ("version", ""),
)
PROTOCOL: tuple[Piece, ...] = (("text", "HTTP/"), ("version", ""))

GUNICORN: dict[str, tuple[Piece, ...]] = {
    "h": (("host", ""),),
    "l": (("text", "-"),),
    "u": (("user", ""),),
    "t": (("text", "["), ("time_local", ""), ("text", "]")),
    "r": REQUEST_LINE,
    "m": (("method", ""),),
    "U": (("path", ""),),
    "q": (("query", ""),),
    "H": PROTOCOL,
    "s": (("status", ""),),
    "B": (("bytes", ""),),
    "b": (("bytes_or_dash", ""),),
    "f": (("request_field", "referer"),),
    "a": (("request_field", "user-agent"),),
    "T": (("seconds", ""),),
    "M": (("milliseconds", ""),),
    "D": (("microseconds", ""),),
    "L": (("seconds_6", ""),),
}
"""What %(NAME)s shows, but for p and the {Name} ones."""

NGINX: dict[str, tuple[Piece, ...]] = {
    "remote_addr": (("host", ""),),
    "remote_port": (("port", ""),),
    "remote_user": (("user", ""),),
    "time_local": (("time_local", ""),),
    "time_iso8601": (("time_iso", ""),),
    "msec": (("time_unix", ""),),
    "request": REQUEST_LINE,
    "request_method": (("method", ""),),
    "request_uri": (("target", ""),),
    "uri": (("path", ""),),
    "document_uri": (("path", ""),),
    "args": (("query", ""),),
    "query_string": (("query", ""),),
    "server_protocol": PROTOCOL,
    "status": (("status", ""),),
    "body_bytes_sent": (("bytes", ""),),
    "request_time": (("seconds_3", ""),),
    "host": (("request_field", "host"),),
    "content_type": (("request_field", "content-type"),),
    "content_length": (("request_field", "content-length"),),
}
"""What $NAME shows, but for pid, http_NAME and sent_http_NAME."""

JSON: tuple[Piece, ...] = (
    ("text", '{"time":"'),
    ("time_utc", ""),
    ("text", '","level":"INFO","logger":"uvicorn.access","message":"'),
    ("client", ""),
    ("text", ' - \\"'),
    *REQUEST_LINE,
    ("text", '\\" '),
    ("status", ""),
    ("text", '","client":"'),
    ("client", ""),
    ("text", '","method":"'),
    ("method", ""),
    ("text", '","path":"'),
    ("path", ""),
    ("text", '","query":"'),
    ("query", ""),
    ("text", '","http_version":"'),
    ("version", ""),
    ("text", '","status":'),
    ("status", ""),
    ("text", ',"duration_ms":'),
    ("milliseconds_3", ""),
    ("text", ',"bytes":'),
    ("bytes", ""),
    ("text", ',"referer":'),
    ("request_string", "referer"),
    ("text", ',"user_agent":'),
    ("request_string", "user-agent"),
    ("text", ',"request_id":'),
    ("request_string", "x-request-id"),
    ("text", ',"forwarded_for":'),
    ("request_string", "x-forwarded-for"),
    ("text", "}"),
)

FIELDS = ("request_field", "response_field", "user")
"""The kinds of pieces that show a header field."""
MOST_FIELDS = 64
"""The most header fields that a format may show, as in C."""

_GUNICORN_ATOM = re.compile(r"%%|%(?:\(([^()]*)\)(.?))?")
_NGINX_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))?", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def compile_format(text: str) -> _core.AccessFormat:
    """Make what C writes lines by. Raises ValueError for a format that is none."""
    from cuvee import _core

    return _core.AccessFormat(parse(text), json=is_json(text))


def is_json(text: str) -> bool:
    """Say whether the lines are JSON, so that values are escaped as in JSON strings."""
    return text == "json" or text.startswith("{")


def parse(text: str) -> list[Piece]:
    """Return the pieces of a format, or of the preset with that name.

    Raises ValueError for what is none, with a phrase that goes behind the option's name.
    """
    if text == "json":
        return list(JSON)
    text = PRESETS.get(text, text)
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError(f"has a control character: {text!r}")
    if "%(" in text:
        pieces = _split(text, _GUNICORN_ATOM, _gunicorn_pieces)
    elif "$" in text:
        pieces = _split(text, _NGINX_VARIABLE, _nginx_pieces)
    else:
        names = ", ".join([*PRESETS, "json"])
        raise ValueError(
            f"has no atom like %(h)s or $remote_addr, and is none of {names}: {text!r}"
        )
    return pieces


def _split(
    text: str, atom: re.Pattern[str], pieces_of: Callable[[re.Match[str]], Iterable[Piece]]
) -> list[Piece]:
    pieces: list[Piece] = []
    end = 0
    for match in atom.finditer(text):
        pieces.append(("text", text[end : match.start()]))
        pieces.extend(pieces_of(match))
        end = match.end()
    pieces.append(("text", text[end:]))
    if len({piece for piece in pieces if piece[0] in FIELDS}) > MOST_FIELDS:
        raise ValueError(f"has more than {MOST_FIELDS} header fields in it")
    return [piece for piece in pieces if piece != ("text", "")]


def _gunicorn_pieces(match: re.Match[str]) -> Iterable[Piece]:
    name, conversion = match[1], match[2]
    if match[0] == "%%":
        return (("text", "%"),)
    if name is None:
        raise ValueError("has a % that belongs to no atom; %% writes one")
    if conversion != "s":
        raise ValueError(f"has an unknown atom {match[0]!r}: only s may follow, as in %({name})s")
    if name in GUNICORN:
        return GUNICORN[name]
    if name == "p":
        return (("text", f"<{os.getpid()}>"),)
    if name.startswith("{") and name[-2:] in ("}i", "}o", "}e"):
        return (_named_piece(name[1:-2], name[-1], match[0]),)
    raise _unknown(match[0], (f"%({known})s" for known in (*GUNICORN, "p", "{Name}i")))


def _named_piece(name: str, where: str, atom: str) -> Piece:
    """Return the piece of a request's or a response's field, or of an environment variable."""
    if where == "e":
        return ("text", _escape(os.environ.get(name, "-")))
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"has an atom that names no header field: {atom!r}")
    return ("request_field" if where == "i" else "response_field", name.lower())


def _nginx_pieces(match: re.Match[str]) -> Iterable[Piece]:
    name = match[1] or match[2]
    if name is None:
        raise ValueError("has a $ that belongs to no variable")
    if name in NGINX:
        return NGINX[name]
    if name == "pid":
        return (("text", str(os.getpid())),)
    for prefix, kind in (("http_", "request_field"), ("sent_http_", "response_field")):
        if name.startswith(prefix) and len(name) > len(prefix):
            return ((kind, name[len(prefix) :].replace("_", "-").lower()),)
    raise _unknown(match[0], (f"${known}" for known in (*NGINX, "pid")))


def _unknown(atom: str, known: Iterable[str]) -> ValueError:
    import difflib

    near = difflib.get_close_matches(atom, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ValueError(f"has an unknown atom {atom!r}{hint}")


def _escape(value: str) -> str:
    """Write a value of the environment as C writes those of clients."""
    visible = set(map(chr, range(0x20, 0x7F))) - {'"', "\\"}
    return "".join(
        character
        if character in visible
        else "".join(f"\\x{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
        for character in value
    )
