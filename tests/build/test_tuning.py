# SPDX-License-Identifier: MIT
"""Optimisation at link time and by a profile: when, with which tools, and what fails how."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import cuvee
from build_support import compiler, sources
from build_support.errors import BuildError
from build_support.pins import PINS
from build_support.profiles import GccProfile, Profile, profile_of, training_command
from build_support.switches import Switches
from build_support.tuning import link_time
from tests.support.measured import SANITIZED

ROOT = Path(__file__).parents[2]
CC = compiler.driver((sysconfig.get_config_var("CC") or "cc").split())
SITE = Path(cuvee.__file__).parents[1]


def script(path: Path, text: str) -> list[str]:
    """A command of our own."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


# ---- when ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "lto", "pgo", "name"),
    [
        ({}, True, False, "release"),
        ({"CUVEE_LTO": "0"}, False, False, "plain"),
        ({"CUVEE_PGO": "1"}, True, True, "trained"),
        ({"CUVEE_PGO": "1", "CUVEE_LTO": "0"}, False, True, "trained"),
        ({"CUVEE_WERROR": "1"}, False, False, "plain"),
        ({"CUVEE_WERROR": "1", "CUVEE_LTO": "1"}, True, False, "release"),
        ({"CUVEE_DEBUG": "1"}, False, False, "debug"),
        ({"CUVEE_SANITIZE": "address"}, False, False, "address"),
        ({"CUVEE_COVERAGE": "1"}, False, False, "coverage"),
    ],
)
def test_what_is_optimised_when(env: dict[str, str], lto: bool, pgo: bool, name: str) -> None:
    switches = Switches.from_env(env)
    assert (switches.lto, switches.pgo, switches.name()) == (lto, pgo, name)


@pytest.mark.parametrize("wanted", ["CUVEE_LTO", "CUVEE_PGO"])
@pytest.mark.parametrize(
    "check", [{"CUVEE_DEBUG": "1"}, {"CUVEE_SANITIZE": "address"}, {"CUVEE_COVERAGE": "1"}]
)
def test_what_checks_is_not_optimised(wanted: str, check: dict[str, str]) -> None:
    with pytest.raises(BuildError, match=wanted):
        Switches.from_env({wanted: "1", **check})


# ---- at link time --------------------------------------------------------------------------------


def test_link_time_flags_build_across_an_archive(tmp_path: Path) -> None:
    tuning = link_time(CC)
    if tuning is None:
        pytest.skip("this compiler does not optimise at link time")
    (tmp_path / "f.c").write_text("int f(void) { return 3; }\n")
    (tmp_path / "m.c").write_text("int f(void);\nint main(void) { return f(); }\n")
    flags = ["-O3", *tuning.compile_flags]
    files = [tmp_path / "f.c", tmp_path / "m.c"]
    f, m = map(str, compiler.compile_all(CC, flags, files, tmp_path, tmp_path))
    archive, program = str(tmp_path / "f.a"), str(tmp_path / "m")
    subprocess.run([*tuning.archiver, "rcs", archive, f], check=True)
    subprocess.run([*CC, *tuning.link_flags, m, archive, "-o", program], check=True)
    assert subprocess.run([program]).returncode == 3
    symbols = subprocess.run(["nm", program], stdout=subprocess.PIPE, text=True, check=True)
    assert " main\n" in symbols.stdout
    assert " f\n" not in symbols.stdout  # it has become a part of main


def test_a_compiler_that_cannot_is_found_out(tmp_path: Path) -> None:
    text = f'case "$*" in *-flto*) exit 1;; esac\nexec {" ".join(CC)} "$@"'
    assert link_time(script(tmp_path / "cc", text)) is None


def test_an_archiver_that_cannot_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AR", script(tmp_path / "ar", ': > "$2"')[0])
    assert link_time(CC) is None


# ---- by a profile --------------------------------------------------------------------------------


def test_only_gcc_and_clang_have_profiles(tmp_path: Path) -> None:
    other = script(tmp_path / "cc", "exit 0")
    with pytest.raises(BuildError, match=r"^CUVEE_PGO=1 needs gcc or clang.*$"):
        profile_of(other, tmp_path)


def test_clang_without_its_tool_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clang = script(tmp_path / "cc", 'case "$1" in -dM) echo "#define __clang__ 1";; esac')
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    with pytest.raises(BuildError, match=r"^CUVEE_PGO=1 with clang needs llvm-profdata.*$"):
        profile_of(clang, tmp_path)


class Untouched(Profile):
    """Counts that nobody made."""

    def counting_flags(self) -> list[str]:
        return []

    def forget(self) -> None:
        pass

    def collect(self) -> bool:
        return False

    def using_flags(self) -> list[str]:
        return []


def test_a_package_that_breaks_in_training_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cuvee").mkdir()
    (tmp_path / "cuvee" / "__init__.py").write_text("raise ImportError('it is broken')\n")
    with pytest.raises(BuildError) as caught:
        Untouched(tmp_path).train(tmp_path)
    assert str(caught.value).startswith("the training run of CUVEE_PGO=1 failed: the server ended")
    assert "it is broken" in capfd.readouterr().err  # the reason stands above


def test_training_works_and_no_counts_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^the training run .* failed: it left no profile$"):
        Untouched(tmp_path).train(SITE)


def test_counts_of_former_builds_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    old = tmp_path / "deep" / "a.gcda"
    old.write_text("old")
    profile = GccProfile(CC, tmp_path)
    assert profile.collect()
    profile.forget()
    assert not old.exists()
    assert not profile.collect()


# ---- all of it -----------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.skipif(SANITIZED, reason="a sanitizer is preloaded")
@pytest.mark.timeout(600)
def test_a_trained_build_serves_and_shows_no_symbols(tmp_path: Path) -> None:
    try:
        for pin in PINS:
            sources.read_archive(pin)
    except BuildError as error:
        pytest.skip(str(error))
    env = {key: value for key, value in os.environ.items() if key not in ("CUVEE_WERROR", "CC")}
    tree = tmp_path / "tree"  # a copy, which nobody edits between the two compilations
    tree.mkdir()
    for part in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, tree / part)
    for part in ("build_support", "csrc", "licenses", "python"):
        shutil.copytree(ROOT / part, tree / part)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build", "--build-lib", str(tmp_path / "site")],
        cwd=tree,
        env={**env, "CUVEE_PGO": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert ": warning:" not in done.stdout
    (extension,) = (tmp_path / "site" / "cuvee").glob("_core*.so")
    dynamic = ["nm", "-D", "--defined-only", str(extension)]
    shown = subprocess.run(dynamic, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert [line.split()[-1].lstrip("_") for line in shown.splitlines()] == ["PyInit__core"]
    assert b"gcov" not in extension.read_bytes()  # what counted is not what is shipped
    subprocess.run(training_command(tmp_path / "site"), check=True)
