# SPDX-License-Identifier: MIT
"""The private names of asyncio that cuvee uses: all are listed, and all are there."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cuvee
from cuvee import _asyncio_private as private
from cuvee import _core
from tests.loop.support import ROOT

NAME = re.compile(r"(?<!\w)_[a-zA-Z]\w*")


class Listed(NamedTuple):
    """A name of the list, and the versions of Python that have it."""

    owner: str
    name: str
    first: tuple[int, int] = (0, 0)
    last: tuple[int, int] = (99, 0)

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"

    @property
    def is_due(self) -> bool:
        """Whether the running Python must have it."""
        return self.first <= sys.version_info[:2] <= self.last


def version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def read_list(text: str) -> Iterator[Listed]:
    """Read `owner: why` and, indented, `versions: names` or only `names`."""
    owner = ""
    for line in text.splitlines():
        if match := re.match(r"([\w.]+): ", line):
            owner = match[1]
        elif owner and (match := re.match(r"    (?:(3\.\d+)(-?)(3\.\d+)?: )?(\w[\w ]*)$", line)):
            since, dash, until, names = match.groups()
            first = version(since) if since else (0, 0)
            last = version(until) if until else first if since and not dash else (99, 0)
            for name in names.split():
                yield Listed(owner, name, first, last)


LISTED = list(read_list(inspect.getdoc(private) or ""))


def find(path: str) -> object:
    """The module, or the class in a module, of a dotted name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def fields(kind: type) -> Iterator[str]:
    """The names that the methods of a class, and of those below it, use: its fields are among them."""
    for base in kind.__mro__:
        for value in vars(base).values():
            code = getattr(value, "__code__", None)
            yield from code.co_names if code is not None else ()


def has(owner: object, name: str) -> bool:
    return hasattr(owner, name) or (isinstance(owner, type) and name in fields(owner))


def sources() -> list[Path]:
    """The files of the loop."""
    python = ROOT / "python" / "cuvee"
    found = [*python.glob("_*.py"), python / "loop.py", ROOT / "csrc" / "py" / "names.h"]
    return [*found, *ROOT.glob("csrc/loop/*.[ch]")]


def python_names(path: Path) -> Iterator[str]:
    """The attributes, definitions and strings of a Python file that are names with an underscore."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.alias):
            yield node.name


def c_names(path: Path) -> Iterator[str]:
    """The strings of a C file, and the names that its lists of interned names have."""
    text = path.read_text()
    yield from re.findall(r'"(\w+)"', text)
    yield from re.findall(r"\bX\((\w+)\)", text)


def names_of_ours() -> set[str]:
    """Every private name that the loop's files say."""
    found: set[str] = set()
    for path in sources():
        found.update(python_names(path) if path.suffix == ".py" else c_names(path))
    return {name for name in found if NAME.fullmatch(name)}


def names_of_asyncio() -> set[str]:
    """Every private name in the source of asyncio, of sockets and of weak sets."""
    files = [*Path(asyncio.__file__).parent.glob("*.py")]
    files += [Path(inspect.getfile(find(name))) for name in ("socket", "_weakrefset")]  # type: ignore[arg-type]
    return {name for path in files for name in NAME.findall(path.read_text())}


# Names of ours which say what asyncio's own loop calls by them too, and that nothing of asyncio asks for.
BY_CHANCE = {
    "_add_callback",
    "_check_signal",
    "_format_callback",
    "_handle_signal",
    "_read_ready",
    "_signal_handlers",
}


def test_the_list_is_read() -> None:
    text = """
        Text: of no concern.

        asyncio.tasks: a module
            _first _second
            3.12-3.13: _third
            3.14-: _fourth
            3.11: _fifth
    """
    assert list(read_list(textwrap.dedent(text))) == [
        Listed("asyncio.tasks", "_first"),
        Listed("asyncio.tasks", "_second"),
        Listed("asyncio.tasks", "_third", (3, 12), (3, 13)),
        Listed("asyncio.tasks", "_fourth", (3, 14)),
        Listed("asyncio.tasks", "_fifth", (3, 11), (3, 11)),
    ]
    assert len(LISTED) > 80
    assert len({(str(name), name.first) for name in LISTED}) == len(LISTED)


def missing(names: list[Listed]) -> list[str]:
    """Those that the running Python should have and has not."""
    gone = []
    for listed in names:
        try:
            there = has(find(listed.owner), listed.name)
        except (ImportError, AttributeError):
            there = False
        if listed.is_due and not there:
            gone.append(str(listed))
    return gone


def test_no_name_is_missing() -> None:
    assert missing(LISTED) == [], f"not in Python {sys.version}"


def test_a_missing_name_is_told() -> None:
    names = [
        Listed("asyncio.tasks", "_nothing"),
        Listed("asyncio.nothing", "_nothing"),
        Listed("asyncio.tasks.Nothing", "_nothing"),
        Listed("asyncio.tasks", "_gone_before", (3, 1), (3, 2)),
        Listed("asyncio.base_events.BaseEventLoop", "_default_executor"),
    ]
    assert missing(names) == [
        "asyncio.tasks._nothing",
        "asyncio.nothing._nothing",
        "asyncio.tasks.Nothing._nothing",
    ]


def test_every_private_name_is_listed() -> None:
    """Also those that the C half, and the classes that take the place of asyncio's, have by attribute."""
    shared = names_of_ours() & names_of_asyncio()
    listed = {entry.name for entry in LISTED} | {entry.owner.rpartition(".")[2] for entry in LISTED}
    unlisted = shared - listed - set(private.BASE_FIELDS) - BY_CHANCE
    assert not unlisted


def test_every_listed_name_is_used() -> None:
    used = names_of_ours()
    assert [str(entry) for entry in LISTED if entry.name[0] == "_" and entry.name not in used] == []
    assert used >= BY_CHANCE


def private_imports(path: Path) -> Iterator[str]:
    """What a file takes from asyncio by a name with an underscore, by import or by attribute."""
    tree = ast.parse(path.read_text())
    modules = {"asyncio"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "asyncio":
            modules.update(alias.asname or alias.name for alias in node.names)
            yield from (alias.name for alias in node.names if alias.name[0] == "_")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and NAME.fullmatch(node.attr):
            value = node.value
            while isinstance(value, ast.Attribute):
                value = value.value
            if isinstance(value, ast.Name) and value.id in modules:
                yield ast.unparse(node)


def test_only_one_module_imports_private_names() -> None:
    found = {path: list(private_imports(path)) for path in (ROOT / "python").rglob("*.py")}
    assert found.pop(ROOT / "python" / "cuvee" / "_asyncio_private.py")
    assert {path: names for path, names in found.items() if names} == {}


def test_a_private_import_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text("from asyncio import events\nprint(events.A._b, asyncio.c, self._d)\n")
    assert list(private_imports(path)) == ["events.A._b"]
    path.write_text("from asyncio.events import _e\nimport asyncio\nasyncio.tasks._f()\n")
    assert list(private_imports(path)) == ["_e", "asyncio.tasks._f"]


def test_a_loop_has_a_place_for_every_field_of_asyncio() -> None:
    """A field that a new Python adds to BaseEventLoop belongs into BASE_FIELDS, or into the C half."""
    loop = cuvee.new_event_loop()
    try:
        assert vars(loop) == {}
        loop.run_until_complete(loop.shutdown_asyncgens())
        assert vars(loop) == {}
    finally:
        loop.close()


def test_a_stream_continues_the_layout_of_its_base() -> None:
    kind: Any = _core.StreamTransport
    base: Any = find("asyncio.transports._FlowControlMixin")
    assert kind.__base__ is base
    assert kind.__weakrefoffset__ == base.__basicsize__
