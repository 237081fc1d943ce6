# SPDX-License-Identifier: MIT
"""`--env-file`: variables for the process, from a file of python-dotenv's format."""

from __future__ import annotations

import io
import logging
import os

logger = logging.getLogger("uvicorn.error")


def load_env_file(path: str | os.PathLike[str]) -> None:
    """Put the variables of a file into `os.environ`, but for those that are there already.

    Raises ValueError where the file is not there, or what reads it is not installed.
    """
    try:
        from dotenv import load_dotenv
    except ModuleNotFoundError:
        raise ValueError("env_file needs python-dotenv: pip install 'cuvee[dotenv]'") from None
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as exc:
        raise ValueError(f"env_file cannot be read: {exc.strerror}: {os.fspath(path)!r}") from None
    except UnicodeDecodeError:
        raise ValueError(f"env_file is not UTF-8: {os.fspath(path)!r}") from None
    logger.info("Loading environment from '%s'", path)
    load_dotenv(stream=io.StringIO(text))
