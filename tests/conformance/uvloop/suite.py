# SPDX-License-Identifier: MIT
"""uvloop's test suite, got from its source distribution."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path

from build_support.pins import LIBUV
from build_support.sources import read_archive
from tests.conformance.process import Worker

HERE = Path(__file__).resolve().parent


def unpack(folder: Path) -> None:
    """Write the suite and the stand-in for its package into a folder.

    Its tests are no package there: in the process that runs them, ours is called `tests`.
    """
    root = LIBUV.archive.removesuffix(".tar.gz") + "/"
    with tarfile.open(fileobj=io.BytesIO(read_archive(LIBUV)), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix(root)
            wanted = name.startswith("tests/") or name == "uvloop/_testbase.py"
            if not member.isreg() or not wanted or ".." in name.split("/"):
                continue
            if name == "tests/__init__.py":
                continue
            file = archive.extractfile(member)
            assert file is not None  # a regular file
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read())
    (folder / "uvloop" / "__init__.py").write_bytes((HERE / "stand_in.py").read_bytes())


def start(folder: Path) -> Worker:
    """Unpack the suite and return a process for it."""
    unpack(folder)
    return Worker(folder, "tests.conformance.uvloop.worker")


def names() -> list[str]:
    """Return the names of all tests."""
    with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as worker:
        return worker.names()
