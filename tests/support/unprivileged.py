# SPDX-License-Identifier: MIT
"""Lets a child that is no longer root run the interpreter of the tests, wherever that is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
"""Words in front of a command that is to run as nobody."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")

# In a mount namespace of its own, the closed folder is an empty one in which the interpreter is.
_OPEN = """
closed=$1 inside=$2 parking=$3
shift 3
mount --bind "$inside" "$parking"
mount -t tmpfs -o mode=755 none "$closed"
mkdir -p "$inside"
mount --move "$parking" "$inside"
exec "$@"
"""


def open_to_all(folder: Path) -> None:
    """Let everybody come to `folder` and read there."""
    for path in (folder, *folder.parents):
        found = path.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o011 != 0o011:
            path.chmod(found.st_mode | 0o055)


def prefix(parking: Path) -> tuple[str, ...]:
    """Return the words in front of a command that make the interpreter everybody's.

    `parking` is an empty folder. Skips the test where that can't be done.
    """
    if closed := _closed_parents(Path(sys.prefix)):
        pytest.skip(f"others may not enter {closed[-1]}, where the environment of the tests is")
    inside = Path(sys.base_prefix)
    closed = _closed_parents(inside)
    if not closed:
        return ()
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"]).returncode:
        pytest.skip(f"others may not enter {closed[-1]}, and there is no unshare")
    words = ("unshare", "-m", "sh", "-ec", _OPEN, "sh")
    return (*words, str(closed[-1]), str(inside), str(parking))


def _closed_parents(path: Path) -> list[Path]:
    return [parent for parent in path.parents if not parent.stat().st_mode & 0o001]
