# SPDX-License-Identifier: MIT
"""Applies what a `Config` says about logs to Python's logging, where that is not the default."""

from __future__ import annotations

import copy
import logging
import logging.config
import os
import sys
from collections.abc import Mapping
from configparser import ConfigParser, RawConfigParser
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

from cuvee.access_format import is_json
from cuvee.log_file import check_log_file
from cuvee.log_syslog import find_syslog
from cuvee.logging import LOGGING_CONFIG

if TYPE_CHECKING:
    from cuvee.config import Config

STANDARD_STREAM = "-"
COLOURED = ("cuvee.logging.DefaultFormatter", "cuvee.logging.AccessFormatter")
"""The factories of formatters that know `use_colors`."""


def configure(config: Config) -> None:
    """Set the loggers up. Raises ValueError where that can't be done as it is asked for."""
    if config.log_config is LOGGING_CONFIG:
        _apply(_built_in(config))
        return
    if config.log_options:
        names = " and ".join(config.log_options)
        raise ValueError(f"{names} and log_config exclude each other: it replaces all of that")
    log_config = config.log_config
    if log_config is None:
        return
    if isinstance(log_config, os.PathLike):
        log_config = os.fspath(log_config)
    if not isinstance(log_config, str):
        _apply_any(log_config, config.use_colors)
        return
    try:
        _apply_any(_read(log_config), None)
    except Exception as exc:
        raise ValueError(f"log_config {log_config!r}: {_reason(exc)}") from exc


def _apply_any(
    log_config: dict[str, Any] | RawConfigParser | IO[Any], use_colors: bool | None
) -> None:
    if isinstance(log_config, dict):
        _apply(_coloured(copy.deepcopy(log_config), use_colors))
        return
    if not isinstance(log_config, RawConfigParser):
        parser = ConfigParser()
        parser.read_file(log_config)
        log_config = parser
    logging.config.fileConfig(_without_uvicorn_in_sections(log_config), None, False)


def _apply(log_config: dict[str, Any]) -> None:
    if not _has_uvicorn():
        log_config = _without_uvicorn(log_config)
    logging.config.dictConfig(log_config)


def _coloured(log_config: dict[str, Any], use_colors: bool | None) -> dict[str, Any]:
    """Give both formatters of a configuration `use_colors`, as uvicorn does."""
    formatters = log_config.get("formatters", {})
    for name in ("default", "access"):
        if use_colors is not None and name in formatters:
            formatters[name]["use_colors"] = use_colors
    return log_config


def _reason(exc: BaseException) -> str:
    """Return in one line why a configuration could not be read or applied."""
    if isinstance(exc, OSError):
        return exc.strerror or str(exc)
    text = f"{type(exc).__name__}: {exc}" if isinstance(exc, KeyError) else str(exc)
    if exc.__cause__ is not None:
        text = f"{text}: {exc.__cause__}"
    return " ".join(text.split())


# ---- a file --------------------------------------------------------------------------------------


def _read(path: str) -> dict[str, Any] | RawConfigParser:
    """Return what is in a JSON or YAML file, or in one of another kind for fileConfig."""
    with open(path, encoding="utf-8") as file:
        match os.path.splitext(path)[1]:
            case ".json":
                import json

                return _mapping(json.load(file))
            case ".yaml" | ".yml":
                return _mapping(_yaml().safe_load(file))
        parser = ConfigParser()
        parser.read_file(file)
        return parser


def _mapping(loaded: object) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise ValueError(f"must be a mapping for logging.config, not {type(loaded).__name__}")
    return loaded


def _yaml() -> Any:
    try:
        return import_module("yaml")
    except ImportError:
        raise ValueError("a YAML file needs PyYAML: pip install 'cuvee[yaml]'") from None


# ---- formatters of a uvicorn that is not there ---------------------------------------------------


def _has_uvicorn() -> bool:
    from importlib.util import find_spec

    return "uvicorn" in sys.modules or find_spec("uvicorn") is not None


def _ours(value: Any) -> Any:
    """Return the name of our formatter for the name of uvicorn's."""
    if isinstance(value, str) and value.startswith("uvicorn.logging."):
        return "cuvee." + value.removeprefix("uvicorn.")
    return value


def _without_uvicorn(value: Any) -> Any:
    """Return a copy of a configuration that names our formatters in place of uvicorn's."""
    if isinstance(value, Mapping):
        return {key: _without_uvicorn(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_without_uvicorn(member) for member in value]
    return _ours(value)


def _without_uvicorn_in_sections(parser: RawConfigParser) -> RawConfigParser:
    if _has_uvicorn():
        return parser
    changed = copy.deepcopy(parser)
    for name in changed.sections():
        section = changed[name]
        if "class" in section:
            section["class"] = _ours(section["class"])
    return changed


# ---- the built-in one, with options --------------------------------------------------------------


def _built_in(config: Config) -> dict[str, Any]:
    """Return LOGGING_CONFIG as the options change it."""
    made = _coloured(copy.deepcopy(LOGGING_CONFIG), config.use_colors)
    syslog = None
    if config.log_syslog is not None:
        syslog = find_syslog("log_syslog", config.log_syslog)
    for name, option in (("default", "error_logfile"), ("access", "access_logfile")):
        path = getattr(config, option)
        if path is not None and path != STANDARD_STREAM:
            check_log_file(option, path)
            made["handlers"][name] = {
                "()": "cuvee.log_file.LogFileHandler",
                "path": path,
                "formatter": name,
            }
            if made["formatters"][name].get("()") in COLOURED:
                made["formatters"][name]["use_colors"] = bool(config.use_colors)
        elif path is None and syslog is not None:
            made["handlers"][name] = {
                "()": "cuvee.log_syslog.SyslogHandler",
                "address": syslog,
                "formatter": name,
            }
            made["formatters"][name] = {"format": "%(message)s"}
    if config.log_format == "json":
        made["formatters"]["default"] = {"()": "cuvee.json_log.JsonFormatter"}
    if config.access_format is not None:
        made["formatters"]["access"] = {
            "()": "cuvee.logging.AccessLineFormatter",
            "json": is_json(config.access_format),
        }
    return made
