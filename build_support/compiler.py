"""Compiles C files: several at a time, and only those whose inputs have changed.

Each object has two files beside it: NAME.d, the headers that it was made from as the compiler
listed them, and NAME.cmd, the command line. The object is current if both are there, the command is
the same, and nothing that it was made from is newer.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .errors import BuildError


def require(command: Sequence[str]) -> None:
    """End with one line where the compiler is missing."""
    if not command or shutil.which(command[0]) is None:
        name = command[0] if command else "cc"
        raise BuildError(f"there is no C compiler {name!r}; install gcc or clang, or set CC")


def driver(compile_command: Sequence[str]) -> list[str]:
    """The compiler and the target options out of Python's own compile command."""
    words = list(compile_command)
    kept = words[:1]
    position = 1
    while position < len(words):
        word = words[position]
        if word in ("-arch", "-isysroot", "-target"):
            kept += words[position : position + 2]
            position += 1
        elif word.startswith(("-m", "--sysroot", "--target")):
            kept.append(word)
        elif not word.startswith("-") and position == len(kept):
            kept.append(word)  # a compiler behind a launcher, such as ccache
        position += 1
    return kept


def _inputs(depfile: Path) -> list[str]:
    """The prerequisites in a make rule as the compiler writes it."""
    text = depfile.read_text().replace("\\\n", " ")
    _, _, names = text.partition(": ")
    return shlex.split(names)


def is_current(target: Path, command: str) -> bool:
    """Whether the object was made by this command from files that have not changed since."""
    try:
        if target.with_suffix(".cmd").read_text() != command:
            return False
        made = target.stat().st_mtime_ns
        return all(os.stat(name).st_mtime_ns <= made for name in _inputs(target.with_suffix(".d")))
    except (OSError, ValueError):
        return False


def _compile(command: list[str], target: Path) -> bool:
    """Run the compiler; its messages come out whole. Returns whether it worked."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.stdout:
        sys.stderr.write(done.stdout.decode("utf-8", "replace"))
        sys.stderr.flush()
    if done.returncode:
        return False
    target.with_suffix(".cmd").write_text(shlex.join(command))
    return True


def jobs() -> int:
    """How many compilers run at a time: CUVEE_JOBS, else one for each core we may use."""
    try:
        return max(1, int(os.environ["CUVEE_JOBS"]))
    except (KeyError, ValueError):
        pass
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def compile_all(
    compiler: Sequence[str],
    flags: Sequence[str],
    sources: Sequence[Path],
    root: Path,
    objects: Path,
) -> list[Path]:
    """Compile the sources, which lie below root, to objects/SAME/PATH.o; return the objects."""
    require(compiler)
    todo: list[tuple[list[str], Path]] = []
    targets: list[Path] = []
    for source in sources:
        target = (objects / source.relative_to(root)).with_suffix(".o")
        targets.append(target)
        depfile = str(target.with_suffix(".d"))
        command = [*compiler, *flags, "-MMD", "-MF", depfile]
        command += ["-c", str(source), "-o", str(target)]
        if not is_current(target, shlex.join(command)):
            todo.append((command, target))
    with ThreadPoolExecutor(jobs()) as pool:
        results = list(pool.map(lambda item: _compile(*item), todo))
    failed = [
        str(Path(item[0][-3]).relative_to(root))
        for item, worked in zip(todo, results, strict=True)
        if not worked
    ]
    if failed:
        raise BuildError(f"the C compiler refused {', '.join(failed)} (its messages stand above)")
    return targets
