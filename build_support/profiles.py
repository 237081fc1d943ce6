"""Profile-guided optimisation: objects that count, a training run, objects made by the counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from .errors import BuildError
from .tuning import works

ROOT = Path(__file__).parent.parent
TRAINING = (
    f"import sys; sys.path.append({str(ROOT)!r}); "
    "from build_support.training import main; sys.exit(main())"
)
"""What the interpreter of the training run executes: nothing else of this folder is found there."""
SECONDS = 300


class Profile(ABC):
    """The counts of one build, in one compiler's way."""

    def __init__(self, work: Path) -> None:
        self.work = work

    @abstractmethod
    def counting_flags(self) -> list[str]:
        """Flags for objects that count, at every step."""

    @abstractmethod
    def forget(self) -> None:
        """Remove the counts of former builds."""

    @abstractmethod
    def collect(self) -> bool:
        """Make the counts ready for use; False where there are none."""

    @abstractmethod
    def using_flags(self) -> list[str]:
        """Flags for objects that are made by the counts, at every step."""

    def train(self, site: Path) -> None:
        """Count: let the package in `site` serve the load of training.py."""
        self.forget()
        command = training_command(site)
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            raise _failed(f"it was not done after {SECONDS} seconds") from None
        except OSError as error:
            raise _failed(str(error)) from None
        if done.returncode:
            *before, last = done.stderr.splitlines() or [f"exit status {done.returncode}"]
            sys.stderr.writelines(f"{line}\n" for line in before)
            raise _failed(last)
        if not self.collect():
            raise _failed("it left no profile")


class GccProfile(Profile):
    """gcc keeps the counts of each object beside it."""

    def __init__(self, cc: Sequence[str], work: Path) -> None:
        super().__init__(work)
        self.cc = cc

    def counting_flags(self) -> list[str]:
        """The access log has a thread of its own, so that counting has to be atomic."""
        return ["-fprofile-generate", "-fprofile-update=prefer-atomic"]

    def _counts(self) -> list[Path]:
        return list(self.work.rglob("*.gcda"))

    def forget(self) -> None:
        """Remove them: a run adds to what is there."""
        for path in self._counts():
            path.unlink()

    def collect(self) -> bool:
        """They lie where the compiler looks for them."""
        return bool(self._counts())

    def using_flags(self) -> list[str]:
        """What was not trained is to be quick as well, not small."""
        flags = ["-fprofile-use", "-fprofile-correction", "-Wno-missing-profile"]
        partial = "-fprofile-partial-training"  # since gcc 10
        if works(*self.cc, partial, "-E", "-x", "c", os.devnull):
            flags.append(partial)
        return flags


class ClangProfile(Profile):
    """clang writes the counts of each run into a folder, and llvm-profdata merges them."""

    def __init__(self, cc: Sequence[str], work: Path) -> None:
        super().__init__(work)
        self.raw = work / "counts"
        self.merged = work / "counts.profdata"
        self.tool = _llvm_profdata(cc)

    def counting_flags(self) -> list[str]:
        """The access log has a thread of its own, so that counting has to be atomic."""
        return [f"-fprofile-generate={self.raw}", "-fprofile-update=atomic"]

    def forget(self) -> None:
        """Remove them: every run leaves files of its own."""
        shutil.rmtree(self.raw, ignore_errors=True)
        self.merged.unlink(missing_ok=True)

    def collect(self) -> bool:
        """Merge them."""
        found = sorted(map(str, self.raw.glob("*.profraw")))
        return bool(found) and works(self.tool, "merge", "-o", str(self.merged), *found)

    def using_flags(self) -> list[str]:
        """What was not trained has no counts, which is no reason to warn."""
        return [f"-fprofile-use={self.merged}", "-Wno-profile-instr-unprofiled"]


def training_command(site: Path) -> list[str]:
    """The command that lets the package in `site` serve the load of training.py."""
    return [sys.executable, "-sSP", "-c", TRAINING, str(site)]


def _failed(reason: str) -> BuildError:
    return BuildError(f"the training run of CUVEE_PGO=1 failed: {reason}")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _llvm_profdata(cc: Sequence[str]) -> str:
    """The tool of the same release as the compiler."""
    name = "llvm-profdata"
    for found in (_output(*cc, f"-print-prog-name={name}"), _output("xcrun", "--find", name)):
        if found and shutil.which(found):
            return found
    raise BuildError(f"CUVEE_PGO=1 with clang needs {name}; install llvm, or set CC=gcc")


def profile_of(cc: Sequence[str], work: Path) -> Profile:
    """Return the way of this compiler; `work` is where its objects and counts are."""
    macros = _output(*cc, "-dM", "-E", "-x", "c", os.devnull)
    if "#define __clang__ " in macros:
        return ClangProfile(cc, work)
    if "#define __GNUC__ " in macros:
        return GccProfile(cc, work)
    raise BuildError(f"CUVEE_PGO=1 needs gcc or clang, and {cc[0]} is neither; unset it, or set CC")
