# SPDX-License-Identifier: MIT
"""What an option's value may be: read from text, checked as an object, and described in one phrase.

Each kind raises ValueError with a phrase that goes behind the option's name: "must be …, not …".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

MOST_SECONDS = 1e9
_YES = ("1", "true", "t", "yes", "y", "on")
_NO = ("0", "false", "f", "no", "n", "off")


class Kind:
    """The base of all kinds, and the kind of a text."""

    is_flag = False
    """Whether the command line takes --name and --no-name, without a value."""
    is_many = False
    """Whether the command line takes the option several times."""

    def __init__(self, metavar: str = "TEXT", *, optional: bool = False) -> None:
        """`optional` allows None, which only Python can say."""
        self.metavar = metavar
        self.optional = optional

    @property
    def expected(self) -> str:
        """What a value has to be, in a few words."""
        return "a text"

    def parse(self, text: str) -> Any:
        """Return the value that a text of the command line or of the environment means."""
        return self.accept(text, text)

    def check(self, value: Any) -> Any:
        """Return a value that was given as an object: in Python, or in a file."""
        if value is None and self.optional:
            return None
        return self.accept(value, value)

    def accept(self, value: Any, shown: object) -> Any:
        """Return `value` if it is one of this kind; else say what `shown` should have been."""
        return value if isinstance(value, str) else self.refuse(shown)

    def refuse(self, shown: object) -> Any:
        """Raise the ValueError."""
        raise ValueError(f"must be {self.expected}, not {shown!r}")


Text = Kind


class Path(Kind):
    """The path of a file; in Python any path-like object too."""

    @property
    def expected(self) -> str:
        """Say it in a word."""
        return "a path"

    def accept(self, value: Any, shown: object) -> Any:
        """Whether it is there is seen by who opens it."""
        path = os.fspath(value) if isinstance(value, os.PathLike) else value
        return super().accept(path, shown)


class Anything(Kind):
    """What can't be described: a path on the command line, any object in Python."""

    def accept(self, value: Any, shown: object) -> Any:  # noqa: ARG002
        """Leave it to who uses it."""
        return value


class Flag(Kind):
    """On or off."""

    is_flag = True

    @property
    def expected(self) -> str:
        """Text has more words for it than objects."""
        return "true or false"

    def parse(self, text: str) -> bool:
        """Take click's words, which uvicorn's variables may have."""
        word = text.strip().lower()
        if word not in _YES + _NO:
            self.refuse(text)
        return word in _YES

    def accept(self, value: Any, shown: object) -> Any:
        """Take what programs have for it besides, as uvicorn does: 0, 1 and None."""
        is_number = isinstance(value, int) and value in (0, 1)
        return bool(value) if is_number or value is None else self.refuse(shown)


class Boolean(Flag):
    """On or off, as a value on the command line too."""

    is_flag = False


class Whole(Kind):
    """A whole number between two others."""

    base = 10

    def __init__(
        self, low: int, high: int, metavar: str = "NUMBER", *, optional: bool = False
    ) -> None:
        """Both ends are allowed."""
        super().__init__(metavar, optional=optional)
        self.low = low
        self.high = high

    @property
    def expected(self) -> str:
        """Name both ends."""
        return f"a whole number between {self.low} and {self.high}"

    def parse(self, text: str) -> Any:
        """Read a decimal number."""
        try:
            return self.accept(int(text, self.base), text)
        except ValueError:
            return self.refuse(text)

    def accept(self, value: Any, shown: object) -> Any:
        """Take int, but not bool; and text, which is often a variable's."""
        if isinstance(value, str):
            return self.parse(value)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return value if is_number and self.low <= value <= self.high else self.refuse(shown)


class Octal(Whole):
    """Permission bits: octal digits in text, also in a file, where 660 would be another number."""

    base = 8

    @property
    def expected(self) -> str:
        """In the form that chmod takes."""
        return f"octal digits between 0 and {self.high:o}"


class Seconds(Kind):
    """A number of seconds."""

    def __init__(self, most: float = MOST_SECONDS, *, optional: bool = False) -> None:
        """`most` is allowed."""
        super().__init__("SECONDS", optional=optional)
        self.most = most

    @property
    def expected(self) -> str:
        """Name the end where it is an odd one."""
        limit = "" if self.most == MOST_SECONDS else f" up to {self.most:.0f}"
        return f"a number of seconds{limit}"

    def parse(self, text: str) -> Any:
        """Read a decimal number."""
        try:
            value = float(text)
        except ValueError:
            return self.refuse(text)
        return self.accept(int(value) if value.is_integer() else value, text)

    def accept(self, value: Any, shown: object) -> Any:
        """Take int and float, but neither bool nor "not a number"; and text."""
        if isinstance(value, str):
            return self.parse(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number and 0 <= value <= self.most else self.refuse(shown)


class Choice(Kind):
    """One of some words."""

    def __init__(self, words: Iterable[str], *, optional: bool = False) -> None:
        """The words stand in the help, too."""
        self.words = tuple(words)
        super().__init__("{" + ",".join(self.words) + "}", optional=optional)

    @property
    def expected(self) -> str:
        """Name all of them."""
        return "one of " + ", ".join(self.words)

    def accept(self, value: Any, shown: object) -> Any:
        """Take the word as it is written."""
        return value if isinstance(value, str) and value in self.words else self.refuse(shown)


class Level(Choice):
    """A name of a log level; in Python its number too."""

    def accept(self, value: Any, shown: object) -> Any:
        """Take any number: logging does."""
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return value if is_number else super().accept(value, shown)


class Some(Kind):
    """Some of some words: with commas between, `all` or `none` in text, a list otherwise."""

    def __init__(self, words: Iterable[str]) -> None:
        """All of them are what `all` means."""
        super().__init__("LIST")
        self.words = tuple(words)

    @property
    def expected(self) -> str:
        """Name all of them."""
        return "some of " + ", ".join(self.words)

    def parse(self, text: str) -> Any:
        """Read the list."""
        if text in ("all", "none"):
            return self.words if text == "all" else ()
        return self.accept(text.split(","), text)

    def accept(self, value: Any, shown: object) -> Any:
        """Take any iterable of words but a text, which would be taken for its letters."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            return self.refuse(shown)
        words = tuple(value)
        for word in words:
            if word not in self.words:
                self.refuse(word)
        return words


class Many(Kind):
    """A list: an option that may be given several times, a variable with separators."""

    is_many = True

    def __init__(self, kind: Kind, separator: str | None = None) -> None:
        """`separator` is what stands between the values of a variable; None: white space."""
        super().__init__(kind.metavar, optional=True)
        self.kind = kind
        self.separator = separator

    @property
    def expected(self) -> str:
        """Describe the list by one of it."""
        return f"a list of values, each {self.kind.expected}"

    def parse(self, text: str) -> Any:
        """Read a variable."""
        return [self.kind.parse(part) for part in text.split(self.separator) if part]

    def accept(self, value: Any, shown: object) -> Any:
        """Take any iterable but a text, which is one value."""
        if isinstance(value, str):
            return [self.kind.check(value)]
        if not isinstance(value, Iterable):
            return self.refuse(shown)
        return [self.kind.check(one) for one in value]


class Paths(Many):
    """Directories or files; a variable has the system's separator of paths between them."""

    def __init__(self, metavar: str = "DIR") -> None:
        """Take them as text: who uses them looks whether they are there."""
        super().__init__(Text(metavar), os.pathsep)


class _Directory(Path):
    """A path. Text names one that is there; uvicorn's API warns of one that is not."""

    @property
    def expected(self) -> str:
        """Text is looked at."""
        return "a directory that is there"

    def parse(self, text: str) -> Any:
        """Look."""
        return text if os.path.exists(text) else self.refuse(text)


class Directories(Many):
    """Directories that have to be there."""

    def __init__(self, metavar: str = "DIR") -> None:
        """A variable has the system's separator of paths between them."""
        super().__init__(_Directory(metavar), os.pathsep)

    def accept(self, value: Any, shown: object) -> Any:
        """A path of pathlib's is one value."""
        return super().accept([value] if isinstance(value, os.PathLike) else value, shown)


class Form(Kind):
    """What a function understands: it raises ValueError where it does not."""

    def __init__(
        self,
        reader: Callable[[Any], Any],
        expected: str,
        metavar: str,
        *,
        optional: bool = False,
    ) -> None:
        """`reader` only looks; the value stays as it was given."""
        super().__init__(metavar, optional=optional)
        self.reader = reader
        self._expected = expected

    @property
    def expected(self) -> str:
        """As it was described."""
        return self._expected

    def accept(self, value: Any, shown: object) -> Any:
        """Let the function look."""
        try:
            self.reader(value)
        except ValueError:
            self.refuse(shown)
        return value
