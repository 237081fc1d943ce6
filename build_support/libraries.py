"""libuv and llhttp, built statically from their pinned sources, or the system's; and zlib, always the system's."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import compiler, sources
from .errors import BuildError
from .pins import LIBUV, LLHTTP, Pin
from .switches import Switches
from .tuning import PLAIN, Tuning


@dataclass
class Library:
    """What compiling against the libraries and linking with them takes."""

    includes: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    link_flags: list[str] = field(default_factory=list)

    def with_(self, other: Library) -> Library:
        """Both of them."""
        return Library(
            includes=[*self.includes, *other.includes],
            objects=[*self.objects, *other.objects],
            link_flags=[*self.link_flags, *other.link_flags],
        )


_UV_COMMON = """
    fs-poll idna inet random strscpy strtok thread-common threadpool timer uv-common
    uv-data-getter-setters version
    unix/async unix/core unix/dl unix/fs unix/getaddrinfo unix/getnameinfo unix/loop-watcher
    unix/loop unix/pipe unix/poll unix/process unix/proctitle unix/random-devurandom unix/signal
    unix/stream unix/tcp unix/thread unix/tty unix/udp
"""
_UV_LINUX = "unix/linux unix/procfs-exepath unix/random-getrandom unix/random-sysctl-linux"
_UV_DARWIN = """
    unix/bsd-ifaddrs unix/kqueue unix/random-getentropy unix/darwin-proctitle unix/darwin
    unix/fsevents
"""
_UV_DEFINES = ["-D_FILE_OFFSET_BITS=64", "-D_LARGEFILE_SOURCE"]
_LLHTTP_FILES = "api http llhttp"


def _uv_platform() -> tuple[list[str], list[str], list[str]]:
    """Give the names of libuv's files on this platform, its defines and the flags to link it.

    libuv marks its functions as exported; the linker hides them again, so that another extension
    with a libuv of its own (uvloop) never meets ours.
    """
    platform: str = sys.platform  # so that a type checker reads every branch
    if platform.startswith("linux"):
        defines = ["-D_GNU_SOURCE", "-D_POSIX_C_SOURCE=200112"]
        return (
            (_UV_COMMON + _UV_LINUX).split(),
            defines,
            ["-Wl,--exclude-libs,ALL", "-lpthread", "-ldl", "-lrt"],
        )
    if platform == "darwin":
        defines = ["-D_DARWIN_UNLIMITED_SELECT=1", "-D_DARWIN_USE_64_BIT_INODE=1"]
        return (_UV_COMMON + _UV_DARWIN).split(), defines, ["-Wl,-exported_symbol,_PyInit__core"]
    raise BuildError(f"cuvee builds on Linux and macOS, not on {platform}")


def _archive(archiver: Sequence[str], target: Path, objects: Sequence[Path]) -> None:
    if shutil.which(archiver[0]) is None:
        raise BuildError(
            f"there is no {archiver[0]!r} to make a static library with; install binutils"
        )
    target.unlink(missing_ok=True)
    subprocess.run([*archiver, "rcs", str(target), *map(str, objects)], check=True)


def _compiler_identity(cc: Sequence[str]) -> str:
    compiler.require(cc)
    done = subprocess.run(
        [*cc, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.stdout


def _build_static(
    pin: Pin,
    names: list[str],
    flags: list[str],
    cc: Sequence[str],
    third_party: Path,
    work: Path,
    tuning: Tuning,
) -> Path:
    """Compile one library into the cache; a library for the same compiler and flags is kept."""
    folder = third_party / pin.library
    key = "\0".join([_compiler_identity(cc), *cc, *flags, pin.sha256, *names])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    cached = sources.cache_dir() / "lib" / f"{pin.library}-{pin.version}-{digest}.a"
    if tuning.is_shared and cached.is_file():
        return cached
    files = [folder / "src" / f"{name}.c" for name in names]
    includes = [f"-I{folder / 'include'}", f"-I{folder / 'src'}"]
    objects = compiler.compile_all(cc, [*flags, *includes], files, folder, work / pin.library)
    made = work / f"{pin.library}.a"
    _archive(tuning.archiver, made, objects)
    if not tuning.is_shared:
        return made
    try:
        sources.write_atomically(cached, made.read_bytes())
    except OSError:  # a cache that cannot be written costs time, nothing else
        return made
    return cached


def _bundled(
    root: Path, work: Path, switches: Switches, cc: Sequence[str], tuning: Tuning
) -> Library:
    third_party = sources.locate(root, work)
    names, defines, link_flags = _uv_platform()
    flags = [*switches.third_party_flags(), *tuning.compile_flags]
    uv_flags = [*flags, "-std=gnu11", "-fno-strict-aliasing", "-w", *_UV_DEFINES, *defines]
    uv = _build_static(LIBUV, names, uv_flags, cc, third_party, work, tuning)
    names = _LLHTTP_FILES.split()
    http = _build_static(LLHTTP, names, [*flags, "-w"], cc, third_party, work, tuning)
    return Library(
        includes=[f"-isystem{third_party / pin.library / 'include'}" for pin in (LIBUV, LLHTTP)],
        objects=[str(uv), str(http)],
        link_flags=link_flags,
    )


def _ask_pkg_config(name: str) -> Library | None:
    tool = os.environ.get("PKG_CONFIG", "pkg-config")
    try:
        answers = [
            shlex.split(
                subprocess.check_output([tool, what, name], stderr=subprocess.DEVNULL, text=True)
            )
            for what in ("--cflags", "--libs")
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return Library(includes=answers[0], link_flags=answers[1])


def _has_header(cc: Sequence[str], name: str) -> bool:
    flags = shlex.split(os.environ.get("CPPFLAGS", ""))
    probe = subprocess.run(
        [*cc, *flags, "-E", "-x", "c", "-", "-o", os.devnull],
        input=f"#include <{name}>\n".encode(),
        stderr=subprocess.DEVNULL,
    )
    return probe.returncode == 0


def _system_llhttp(cc: Sequence[str]) -> Library:
    found = _ask_pkg_config("libllhttp")
    if found is not None:
        return found
    if not _has_header(cc, "llhttp.h"):
        raise BuildError(
            "CUVEE_BUILD_SYSTEM_LIBS=1, but there is no llhttp.h: install the system's llhttp with "
            "its headers (libllhttp-dev), or unset the variable"
        )
    return Library(link_flags=["-lllhttp"])


def _zlib(cc: Sequence[str]) -> Library:
    """Return the system's zlib (docs/decisions/0073-zlib-of-the-system.md)."""
    compiler.require(cc)
    if _has_header(cc, "zlib.h"):
        return Library(link_flags=["-lz"])
    found = _ask_pkg_config("zlib")
    if found is None:
        raise BuildError("there is no zlib.h; install zlib's headers (zlib1g-dev, or zlib-devel)")
    return found


def _system(cc: Sequence[str]) -> Library:
    compiler.require(cc)
    uv = _ask_pkg_config("libuv")
    if uv is None:
        raise BuildError(
            "CUVEE_BUILD_SYSTEM_LIBS=1, but pkg-config finds no libuv: install pkg-config and the "
            "system's libuv with its headers (libuv1-dev), or unset the variable"
        )
    return uv.with_(_system_llhttp(cc))


def prepare(
    root: Path, work: Path, switches: Switches, cc: Sequence[str], tuning: Tuning = PLAIN
) -> Library:
    """Return the libraries that the switches ask for; builds them where that is needed.

    `root` is the folder of setup.py, `work` one for objects and unpacked sources.
    """
    zlib = _zlib(cc)  # first: it takes no time to see that it is missing
    if switches.system_libs:
        return _system(cc).with_(zlib)
    return _bundled(root.absolute(), work.absolute(), switches, cc, tuning).with_(zlib)
