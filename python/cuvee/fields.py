# SPDX-License-Identifier: MIT
"""`--header`: fields that every answer has besides the application's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cuvee.kinds import Kind

SERVER_NAME = b"cuvee"
FRAMING = ("connection", "content-length", "transfer-encoding")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Field(Kind):
    """NAME:VALUE in text, a pair of texts otherwise; RFC 9110 section 5 says which are fields."""

    def __init__(self) -> None:
        """None of them is optional: the list is."""
        super().__init__("NAME:VALUE")

    @property
    def expected(self) -> str:
        """Give both forms."""
        return "NAME:VALUE or a pair of texts"

    def accept(self, value: Any, shown: object) -> Any:
        """Return the pair; the value is left as it is, spaces included."""
        pair = value.split(":", 1) if isinstance(value, str) else value
        match pair:
            case [str(name), str(text)]:
                return _checked(name, text)
            case _:
                return self.refuse(shown)


def _checked(name: str, text: str) -> tuple[str, str]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"must have a token for a name, not {name!r}")
    if not _VALUE.fullmatch(text):
        raise ValueError(f"must have Latin-1 without control characters for a value, not {text!r}")
    if name.lower() in FRAMING:
        raise ValueError(f"must not say where an answer ends, as {name} does: the server says it")
    return name, text


def default_fields(
    headers: Iterable[tuple[str, str]], *, server: bool
) -> list[tuple[bytes, bytes]]:
    """Return the fields as bytes; the server's name is the first, unless one of them gives it."""
    encoded = [(name.lower().encode(), text.encode("latin-1")) for name, text in headers]
    if server and all(name != b"server" for name, _ in encoded):
        encoded.insert(0, (b"server", SERVER_NAME))
    return encoded
