"""The third-party release sources, pinned by version and SHA-256.

libuv and llhttp come from inside source distributions that the package index serves
(docs/decisions/0001-third-party-sources.md). To move to another release, change the pin here,
the licence text under licenses/ if it differs, and the file list in libraries.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pin:
    """One library inside one archive."""

    library: str
    """The library's name, and the folder that its files are unpacked into."""
    version: str
    """The library's own version."""
    project: str
    """The project on the index whose source distribution carries the library."""
    archive: str
    """The file name of that source distribution."""
    sha256: str
    root: str
    """The folder of the library inside the archive."""
    wanted: tuple[str, ...]
    """Patterns, relative to root, of the files that the build uses; * stays within one folder."""


LIBUV = Pin(
    library="libuv",
    version="1.52.1",
    project="uvloop",
    archive="uvloop-0.23.0.tar.gz",
    sha256="28d160f51ab4da3b187063652e643dea6831072add4adc1e6d62afbe73b6be27",
    root="uvloop-0.23.0/vendor/libuv",
    wanted=(
        "LICENSE",
        "LICENSE-extra",
        "include/*.h",
        "include/uv/*.h",
        "src/*.[ch]",
        "src/unix/*.[ch]",
    ),
)

LLHTTP = Pin(
    library="llhttp",
    version="9.4.3",
    project="httptools",
    archive="httptools-0.9.0.tar.gz",
    sha256="d484ebb7e3a3f3597b0f645fbd1b85633674ca808c1f5ba11c2caf7c66f5c8b6",
    root="httptools-0.9.0/vendor/llhttp",
    wanted=("LICENSE", "include/*.h", "src/*.c"),
)

PINS = (LIBUV, LLHTTP)
