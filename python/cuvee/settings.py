# SPDX-License-Identifier: MIT
"""Where the value of each option comes from: command line, environment, file, or the default.

The first of them that has the option decides. A wrong value is told with its source.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from cuvee.kinds import Many, Text
from cuvee.option import Option
from cuvee.options import OPTIONS

FILE = "cuvee.toml"
PROJECT_FILE = "pyproject.toml"
DEFAULT = "default"
COMMAND_LINE = "command line"
PREFIXES = ("CUVEE_", "UVICORN_")
PLACES = ("host", "port", "uds", "fd")
"""The options that `bind` stands in place of."""

APP = Option("app", Text("APP"), "", "where the application is", "APP")
SETTINGS = (APP, *OPTIONS)
BY_NAME = {option.name: option for option in SETTINGS}

_NOT_OPTIONS = frozenset(
    "CUVEE_" + name
    for name in (
        "CONFIG",  # the file, see `find_file`
        # what a build of cuvee reads
        "BUILD_SYSTEM_LIBS",
        "CACHE_DIR",
        "COVERAGE",
        "DEBUG",
        "JOBS",
        "LTO",
        "PGO",
        "SANITIZE",
        "WERROR",
    )
)
# What a project file has that says anything about cuvee; tomllib itself is not loaded for others.
_PROJECT_TABLE = re.compile(
    rb"""tool["']?\s*\.\s*["']?cuvee|^\s*\[\s*["']?tool["']?\s*\]""", re.MULTILINE
)
# Kubernetes injects these for a Service that is called cuvee.
_OF_A_SERVICE = re.compile(r"CUVEE_(SERVICE_(HOST|PORT)|PORT_\d+)(_\w+)?")


class SettingsError(Exception):
    """A setting is wrong: the text is one line with its source."""


class Setting(NamedTuple):
    """A value, and where it comes from."""

    value: Any
    source: str


class Settings(NamedTuple):
    """All values that are not defaults, and what is to be said about their sources."""

    values: dict[str, Setting]
    warnings: list[str]


def gather(arguments: Mapping[str, Any], environment: Mapping[str, str], file: str) -> Settings:
    """Return what `arguments` (texts, lists of texts and flags), variables and `file` say.

    `file` may be "" for none. Raises SettingsError.
    """
    variables, warnings = _from_environment(environment)
    sources = [_from_arguments(arguments)]
    for prefix in PREFIXES:
        sources.append({n: one for n, one in variables.items() if one.source.startswith(prefix)})
    sources.append(_from_file(file))
    return Settings(_first_of(sources), warnings)


def _first_of(sources: Iterable[Mapping[str, Setting]]) -> dict[str, Setting]:
    """Return each option from the first source that has it.

    The places of `bind` and those of the other options replace each other in the same way.
    """
    found: dict[str, Setting] = {}
    for source in sources:
        known = [*found]
        if "bind" in found:
            known += PLACES
        elif any(name in found for name in PLACES):
            known.append("bind")
        found.update({name: one for name, one in source.items() if name not in known})
    return found


def did_you_mean(name: str, names: Iterable[str], prefix: str = "") -> str:
    """Return the question with the one of `names` that is nearest, or nothing.

    `prefix` makes a variable of the name.
    """
    from difflib import get_close_matches  # only for who has made a mistake

    near = get_close_matches(name, list(names), n=1)
    if not near:
        return ""
    found = prefix + near[0].upper() if prefix else near[0]
    return f" Did you mean {found!r}?"


# ---- the command line ----------------------------------------------------------------------------


def _from_arguments(arguments: Mapping[str, Any]) -> dict[str, Setting]:
    found = {}
    for name, given in arguments.items():
        option = BY_NAME[name]
        found[name] = Setting(_read(option, given, option.option_string), COMMAND_LINE)
    return found


def _read(option: Option, given: Any, source: str) -> Any:
    """Return the value that text stands for; flags are values already."""
    try:
        if isinstance(given, str):
            return option.kind.parse(given)
        if isinstance(given, list) and isinstance(option.kind, Many):
            return [option.kind.kind.parse(text) for text in given]
    except ValueError as exc:
        raise SettingsError(f"{source} {exc}") from None
    return given


# ---- the environment -----------------------------------------------------------------------------


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, Setting], list[str]]:
    found: dict[str, Setting] = {}
    warnings = []
    for variable, text in environment.items():
        prefix = next((prefix for prefix in PREFIXES if variable.startswith(prefix)), None)
        if prefix is None or not text or variable in _NOT_OPTIONS:
            continue
        name = variable[len(prefix) :].lower()
        if prefix == "CUVEE_" and (_OF_A_SERVICE.fullmatch(variable) or text.startswith("tcp://")):
            if name == "port":
                warnings.append(
                    f"CUVEE_PORT={text} is ignored: it is what Kubernetes says of a Service that "
                    "is called cuvee. --port or UVICORN_PORT set the port."
                )
        elif name not in BY_NAME:
            near = did_you_mean(name, BY_NAME, prefix)
            warnings.append(f"{variable} is ignored: there is no such option.{near}")
        elif prefix == "CUVEE_" or name not in found:
            found[name] = Setting(_read(BY_NAME[name], text, variable), variable)
    return found, warnings


# ---- a file --------------------------------------------------------------------------------------


def find_file(given: str | None) -> str:
    """Return the file that is read: the one that was asked for, or what the directory has, or "".

    A pyproject.toml counts if it has a table for cuvee.
    """
    if given:
        return given
    if os.path.exists(FILE):
        return FILE
    try:
        with open(PROJECT_FILE, "rb") as file:
            return PROJECT_FILE if _PROJECT_TABLE.search(file.read()) else ""
    except OSError:
        return ""


def _from_file(path: str) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    if not path:
        return found
    text, table = _load(path)
    for key, value in table.items():
        source = f"{path}:{_line_of(key, text, path)}"
        name = key.replace("-", "_")
        if name not in BY_NAME:
            raise SettingsError(f"{source}: no such option: {key!r}.{did_you_mean(name, BY_NAME)}")
        if name in found:
            raise SettingsError(f"{source}: {key} is there twice")
        try:
            found[name] = Setting(_from_object(BY_NAME[name], value), f"{source}")
        except ValueError as exc:
            raise SettingsError(f"{source}: {key} {exc}") from None
    return found


def _from_object(option: Option, value: Any) -> Any:
    if isinstance(value, dict):
        option.kind.refuse(value)
    return option.kind.check(value)


def _load(path: str) -> tuple[str, dict[str, Any]]:
    """Return a file's text and its table of options."""
    import tomllib

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        loaded = tomllib.loads(text)
    except OSError as exc:
        raise SettingsError(f"{path} can't be read: {(exc.strerror or str(exc)).lower()}") from None
    except ValueError as exc:
        raise SettingsError(f"{path} is not TOML: {exc}") from None
    if os.path.basename(path) != PROJECT_FILE:
        return text, loaded
    table = loaded.get("tool", {})
    table = table.get("cuvee", {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: tool.cuvee must be a table")
    return text, table


def _line_of(key: str, text: str, path: str) -> int:
    """Return the number of the line that sets `key`: tomllib does not say."""
    lines = list(enumerate(text.splitlines(), 1))
    if os.path.basename(path) == PROJECT_FILE:
        lines = list(_section("tool.cuvee", lines)) or lines
    for pattern in (rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", rf".*\b{re.escape(key)}\b"):
        for number, line in lines:
            if re.match(pattern, line):
                return number
    return 1


def _section(name: str, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    inside = False
    for number, line in lines:
        header = re.match(r"\s*\[+([^\]]*)\]", line)
        if header:
            inside = re.sub(r"[\s\"']", "", header[1]) == name
        elif inside:
            yield number, line


def with_source(message: str, values: Mapping[str, Setting]) -> str:
    """Return what Config says of an option by its name, with the place where it was set."""
    name, _, rest = message.partition(" ")
    if name not in values:
        return message
    source = values[name].source
    if source == COMMAND_LINE:
        return f"{BY_NAME[name].option_string} {rest}"
    return f"{source}: {message}" if ":" in source else f"{source} {rest}"


# ---- what is in force ----------------------------------------------------------------------------


def render(values: Mapping[str, Setting], defaults: Mapping[str, Any]) -> str:
    """Return all options as a file that would give the same, with the source of each."""
    lines = []
    for option in SETTINGS:
        name = option.name
        setting = values.get(name, Setting(defaults.get(name), DEFAULT))
        is_set = setting.value is not None
        line = f"{name} = {_toml(setting.value)}" if is_set else f"# {name} is not set"
        lines.append(f"{line:<44} # {setting.source}")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    return "[" + ", ".join(_toml(one) for one in value) + "]"


def _quoted(text: str) -> str:
    """Return a basic string of TOML; JSON has the same escapes."""
    import json

    return json.dumps(text, ensure_ascii=False)
