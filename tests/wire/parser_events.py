# SPDX-License-Identifier: MIT
"""What the events of a parser case say about a server: the requests its application sees, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.asgi import Scope

SHOWN = 200
"""Bytes that an event shows; of a longer text it gives the length."""

_HEAD = re.compile(r"head (\S+) \S+ 1\.(\d) \d+ bytes")
_ERROR = re.compile(r"error (\d+) (.+)")


def shown(data: bytes) -> str:
    """Return bytes as events show them."""
    text = "".join(
        chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in data[:SHOWN]
    )
    return text + (f"... ({len(data)} bytes)" if len(data) > SHOWN else "")


@dataclass
class Seen:
    """One request, as an event or an ASGI scope has it."""

    method: str
    version: str
    path: str = "/"
    query: str = ""
    fields: list[str] = field(default_factory=list)
    body: str = ""
    whole: bool = False
    """Whether the body came to its end; if not, what came of it is not looked at."""

    def ended(self, body: str | None) -> Seen:
        """Note the body, or None where the client was gone before its end."""
        self.whole, self.body = body is not None, body or ""
        return self


def seen_in(scope: Scope) -> Seen:
    """Return the request that a scope describes."""
    return Seen(
        scope["method"],
        scope["http_version"],
        shown(scope["raw_path"]),
        shown(scope["query_string"]),
        [f"{shown(name)}: {shown(value)}" for name, value in scope["headers"]],
    )


@dataclass
class Expected:
    """All that a server must do with the bytes of a case."""

    requests: list[Seen]
    refused: tuple[int, str] | None = None
    """Status, and the rule that the log names."""
    open: bool = True
    incomplete: bool = False
    """Whether only the end of the client's bytes ends the case."""

    @property
    def answered(self) -> list[Seen]:
        """The requests that came whole."""
        return [request for request in self.requests if request.whole]


def lower_name(line: str) -> str:
    """Put the name of a field in lower case, as a scope has it."""
    name, colon, value = line.partition(": ")
    return name.lower() + colon + value


def _note(expected: Expected, word: str, rest: str) -> None:
    request = expected.requests[-1]
    if word == "path":
        request.path = rest or "/"
    elif word == "query":
        request.query = rest
    elif word == "field":
        request.fields.append(lower_name(rest))
    elif word == "flags":
        expected.open = "close" not in rest.split()
    elif word == "body":
        request.body = rest
    elif word == "end":
        request.ended(request.body)
    else:
        raise ValueError(f"an event that is none: {word}")


def expectation(events: Iterable[str]) -> Expected:
    """Read the events of one case."""
    expected = Expected([])
    for line in events:
        word, _, rest = line.partition(" ")
        if match := _HEAD.fullmatch(line):
            expected.requests.append(Seen(match[1], f"1.{match[2]}"))
        elif match := _ERROR.fullmatch(line):
            expected.refused, expected.open = (int(match[1]), match[2]), False
        elif word == "incomplete":
            expected.incomplete, expected.open = True, False
        else:
            _note(expected, word, rest)
    if expected.requests and not expected.requests[-1].whole:
        expected.requests[-1].ended(None)
    return expected
