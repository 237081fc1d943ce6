# SPDX-License-Identifier: MIT
"""The compile step: what is compiled again, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from build_support import compiler
from build_support.errors import BuildError

CC = ["cc"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a.h").write_text("#define A 1\n")
    (tmp_path / "a.c").write_text('#include "a.h"\nint a(void) { return A; }\n')
    (tmp_path / "b.c").write_text("int b(void) { return 2; }\n")
    return tmp_path


def compile_tree(tree: Path, flags: list[str]) -> dict[str, int]:
    """Compile, and give each object's inode: a new object has a new one, or a new time."""
    sources = [tree / "a.c", tree / "b.c"]
    objects = compiler.compile_all(CC, flags, sources, tree, tree / "out")
    return {path.name: path.stat().st_mtime_ns for path in objects}


def age(tree: Path) -> None:
    """Make all that is there a minute older, so that what comes next is newer on any clock."""
    for path in tree.rglob("*"):
        if path.is_file():
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns - 60 * 10**9, status.st_mtime_ns - 60 * 10**9))


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in after if after[name] > before[name]}


def test_nothing_changed_compiles_nothing(tree: Path) -> None:
    compile_tree(tree, [])
    age(tree)
    before = {path.name: path.stat().st_mtime_ns for path in (tree / "out").glob("*.o")}
    assert changed(before, compile_tree(tree, [])) == set()


def test_a_changed_header_compiles_what_includes_it(tree: Path) -> None:
    compile_tree(tree, [])
    age(tree)
    before = {path.name: path.stat().st_mtime_ns for path in (tree / "out").glob("*.o")}
    (tree / "a.h").write_text("#define A 3\n")
    assert changed(before, compile_tree(tree, [])) == {"a.o"}


def test_other_flags_compile_everything(tree: Path) -> None:
    compile_tree(tree, [])
    age(tree)
    before = {path.name: path.stat().st_mtime_ns for path in (tree / "out").glob("*.o")}
    assert changed(before, compile_tree(tree, ["-DX"])) == {"a.o", "b.o"}


def test_an_error_names_the_file_and_leaves_no_object(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    compile_tree(tree, [])
    (tree / "b.c").write_text("int b(void) { return }\n")
    with pytest.raises(BuildError, match=r"b\.c"):
        compile_tree(tree, [])
    assert "error:" in capfd.readouterr().err
    assert not (tree / "out" / "b.o").exists()


def test_a_missing_compiler_is_one_line() -> None:
    with pytest.raises(BuildError, match="there is no C compiler 'cc-of-nowhere'"):
        compiler.require(["cc-of-nowhere"])


def test_driver_keeps_the_target_and_drops_the_flags() -> None:
    command = "gcc -m64 -arch arm64 -isysroot /sdk -Wall -O2 -DNDEBUG -I/x".split()
    assert compiler.driver(command) == "gcc -m64 -arch arm64 -isysroot /sdk".split()
    assert compiler.driver(["ccache", "gcc", "-O2"]) == ["ccache", "gcc"]
