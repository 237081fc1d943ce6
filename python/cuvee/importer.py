# SPDX-License-Identifier: MIT
"""Finds the object that an import string such as "main:app" names."""

from __future__ import annotations

import importlib
from types import TracebackType
from typing import Any


class ImportFromStringError(Exception):
    """The import string is malformed, or names a module or an attribute that isn't there."""


def import_from_string(import_str: Any) -> Any:
    """Return the object that "module:attribute.attribute" names, or what is no string as it is.

    Raises ImportFromStringError. What the module itself raises while it is imported is passed on.
    """
    if not isinstance(import_str, str):
        return import_str
    module_name, _, attributes = import_str.partition(":")
    if not module_name or not attributes:
        raise ImportFromStringError(
            f'Import string "{import_str}" must be in format "<module>:<attribute>".'
        )
    found = _import_module(module_name)
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ImportFromStringError(
                f'Attribute "{attributes}" not found in module "{module_name}".'
            ) from None
    return found


def _import_module(name: str) -> Any:
    absent = ImportFromStringError(f'Could not import module "{name}".')
    if name.startswith("."):
        raise absent
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        # A module that our module imports is another matter: its traceback says where.
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise
    raise absent


def application_traceback(traceback: TracebackType | None) -> TracebackType | None:
    """Leave out the server's and the import system's frames at the top of `traceback`.

    When nothing else is in it, it is returned whole.
    """
    here = __file__.rpartition("importer")[0]
    rest = traceback
    while rest is not None:
        filename = rest.tb_frame.f_code.co_filename
        if not filename.startswith((here, "<frozen ")) and filename != importlib.__file__:
            return rest
        rest = rest.tb_next
    return traceback
