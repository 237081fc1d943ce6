# SPDX-License-Identifier: MIT
"""What the build links, and what it says where that is missing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from build_support import libraries
from build_support.errors import BuildError
from build_support.switches import Switches


def compiler(folder: Path, status: int) -> list[str]:
    """Make a compiler that finds every header, or none."""
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\ncat >/dev/null\nexit {status}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return [str(path)]


def pkg_config(folder: Path, answers: str) -> str:
    path = folder / "pkg-config"
    path.write_text(f"#!/bin/sh\n{answers}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_zlib_is_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PKG_CONFIG", pkg_config(tmp_path, 'test "$2" = libuv && echo "${1#--}"; true')
    )
    found = libraries.prepare(tmp_path, tmp_path, Switches(system_libs=True), compiler(tmp_path, 0))
    assert found.link_flags[-1] == "-lz"


def test_zlib_of_another_place_is_found_with_pkg_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKG_CONFIG", pkg_config(tmp_path, 'echo "$1/of/$2"'))
    switches = Switches(system_libs=True)
    found = libraries.prepare(tmp_path, tmp_path, switches, compiler(tmp_path, 1))
    assert found.includes[-1] == "--cflags/of/zlib"
    assert found.link_flags[-1] == "--libs/of/zlib"


def test_a_missing_zlib_header_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKG_CONFIG", os.devnull)
    with pytest.raises(BuildError) as caught:
        libraries.prepare(tmp_path, tmp_path, Switches(), compiler(tmp_path, 1))
    assert (
        str(caught.value)
        == "there is no zlib.h; install zlib's headers (zlib1g-dev, or zlib-devel)"
    )
