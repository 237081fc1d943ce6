# SPDX-License-Identifier: MIT
"""`python -m cuvee.compat program.py` or `-m module`: runs a program in which uvicorn is cuvee."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from typing import NoReturn

from cuvee.compat import install

USAGE = "python -m cuvee.compat PROGRAM.py [ARGUMENTS], or -m MODULE [ARGUMENTS]"


def main(arguments: Sequence[str]) -> None:
    """Run what `arguments` name, as Python itself would."""
    if not arguments:
        _fail(f"missing argument; usage: {USAGE}")
    elif arguments[0] in ("-h", "--help"):
        print(f"usage: {USAGE}")
    elif arguments[0] == "-m":
        _run_module(arguments[1:])
    elif arguments[0].startswith("-"):
        _fail(f"no such option: {arguments[0]!r}; usage: {USAGE}")
    else:
        _run_file(arguments)


def _run_module(arguments: Sequence[str]) -> None:
    if not arguments:
        _fail(f"missing argument MODULE; usage: {USAGE}")
    install()
    name = arguments[0]
    if name == "uvicorn":
        from cuvee.cli import main as command

        sys.exit(command(arguments[1:]))
    if not _is_there(name):
        _fail(f"no module named {name}")
    sys.argv[:] = arguments
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise  # what a package of the program imports
        return False


def _run_file(arguments: Sequence[str]) -> None:
    path = arguments[0]
    if not os.path.exists(path):
        _fail(f"can't open file {path!r}: no such file or directory")
    install()
    sys.argv[:] = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    runpy.run_path(path, run_name="__main__")


def _fail(message: str) -> NoReturn:
    print(f"cuvee.compat: error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
