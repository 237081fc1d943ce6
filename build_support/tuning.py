"""Optimisation at link time, and what a profile adds to it (profiles.py), as flags."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import compiler
from .switches import OPTIMISE

_PROGRAM = {
    "one.c": "int one(void) { return 0; }\n",
    "main.c": "int one(void);\nint main(void) { return one(); }\n",
}


@dataclass(frozen=True)
class Tuning:
    """Flags for compiling and for linking, and the archiver that such objects need."""

    compile_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    archiver: tuple[str, ...] = ("ar",)
    is_shared: bool = True
    """Whether other builds may use objects made so."""

    def with_profile(self, flags: Sequence[str]) -> Tuning:
        """Add flags for every step; they make objects of this build alone."""
        return replace(
            self,
            compile_flags=(*self.compile_flags, *flags),
            link_flags=(*OPTIMISE, *self.link_flags, *flags),
            is_shared=False,
        )


def _archivers() -> list[tuple[str, ...]]:
    if chosen := os.environ.get("AR"):
        return [tuple(shlex.split(chosen))]
    return [("ar",), ("gcc-ar",), ("llvm-ar",)]


PLAIN = Tuning(archiver=_archivers()[0])


def works(*command: str) -> bool:
    """Whether a command ends well; it says nothing."""
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def link_time(cc: Sequence[str]) -> Tuning | None:
    """Return what optimisation at link time takes here, tried out on two files.

    None where compiler, archiver and linker don't do it together.
    """
    with tempfile.TemporaryDirectory(prefix="cuvee-") as name:
        folder = Path(name)
        for file, text in _PROGRAM.items():
            source = folder / file
            source.write_text(text)
            made = str(source.with_suffix(".o"))
            if not works(*cc, *OPTIMISE, "-fPIC", "-flto", "-c", str(source), "-o", made):
                return None
        archive, program = str(folder / "one.a"), str(folder / "main")
        for archiver in _archivers():
            Path(archive).unlink(missing_ok=True)
            if not works(*archiver, "rcs", archive, str(folder / "one.o")):
                continue
            for parallel in (f"-flto={compiler.jobs()}", "-flto"):  # gcc's way, then clang's
                flags = (*OPTIMISE, "-fPIC", parallel)
                if works(*cc, *flags, str(folder / "main.o"), archive, "-o", program):
                    return Tuning(("-flto",), flags, archiver)
    return None
