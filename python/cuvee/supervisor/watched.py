# SPDX-License-Identifier: MIT
"""Which files a reload depends on: directories, and patterns of names, with uvicorn's rules."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

INCLUDED = ("*.py",)
EXCLUDED = (".*", ".py[cod]", ".sw.*", "~*")
SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Names of directories that nobody edits in; neither are hidden ones and virtual environments."""

logger = logging.getLogger("uvicorn.error")


class Watched:
    """Says of a path whether it is watched. Directories that were asked for always are."""

    def __init__(
        self,
        roots: Sequence[Path],
        includes: Iterable[str],
        excludes: Iterable[str],
        excluded_directories: Iterable[Path],
    ) -> None:
        """Add the default patterns to those that were given, unless the others name them."""
        includes, excludes = [*includes], [*excludes]
        self.roots = [str(root) for root in roots]
        self._includes = [*(name for name in INCLUDED if name not in excludes), *includes]
        self._excludes = [*(name for name in EXCLUDED if name not in includes), *excludes]
        self._excluded_directories = {str(directory) for directory in excluded_directories}

    def wants(self, path: str) -> bool:
        """Say whether a change of the file `path` is one to reload for, wherever it is."""
        pure = PurePath(path)
        for pattern in self._includes:
            if pure.match(pattern):
                # A name that was asked for letter by letter is meant, though it be a hidden one.
                return path.endswith(pattern) or not any(map(pure.match, self._excludes))
        return False

    def enters(self, directory: str) -> bool:
        """Say whether what is in `directory`, which is in a watched one, is watched too."""
        return not (
            _is_skipped(os.path.basename(directory))
            or directory in self._excluded_directories
            or _is_virtual_environment(directory)
        )

    def reaches(self, path: str) -> bool:
        """Say whether the file `path` is in a watched directory."""
        parents = [str(parent) for parent in PurePath(path).parents]
        for root in self.roots:
            if root in parents:
                between = parents[: parents.index(root)]
                if all(self.enters(directory) for directory in between):
                    return True
        return False

    def files(self, directory: str) -> Iterator[str]:
        """Yield the watched files in `directory`, however deep."""
        for parent, directories, names in os.walk(directory):
            directories[:] = [
                name for name in directories if self.enters(os.path.join(parent, name))
            ]
            yield from filter(self.wants, (os.path.join(parent, name) for name in names))


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def _is_virtual_environment(directory: str) -> bool:
    return os.path.exists(os.path.join(directory, "pyvenv.cfg"))


def resolve(patterns: Iterable[str], directories: Iterable[str]) -> list[Path]:
    """Return the directories among `directories` and `patterns`, without those that others cover."""
    found = [Path(directory) for directory in directories]
    for pattern in patterns:
        if pattern == ".*":
            continue  # it would name every hidden directory, and means files
        if os.path.isdir(pattern):
            found.append(Path(pattern))
        else:
            named = os.path.join(pattern, "")  # directories only
            found += map(Path, glob.glob(named, recursive=True, include_hidden=True))
    there = sorted({path.resolve() for path in found if os.path.isdir(path)})
    return [path for path in there if not any(_covers(other, path) for other in there)]


def _covers(directory: Path, other: Path) -> bool:
    if directory not in other.parents:
        return False
    return not any(map(_is_skipped, other.relative_to(directory).parts))


def resolve_roots(
    directories: Sequence[str], includes: Sequence[str], excluded: Iterable[Path]
) -> list[Path]:
    """Return the directories to watch: the current one, where no other is given or left."""
    outside = set(excluded)
    roots = [
        root
        for root in resolve(includes, directories)
        if root not in outside and outside.isdisjoint(root.parents)
    ]
    if roots:
        return roots
    if directories:
        logger.warning(
            "Provided reload directories %s did not contain valid "
            "directories, watching current working directory.",
            directories,
        )
    return [Path.cwd()]
