"""The sources of the pinned libraries: from the source distribution, the cache, or the index."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from . import index
from .errors import BuildError
from .locations import find_locations
from .pins import PINS, Pin

_STAMP = "PINS.json"


def cache_dir() -> Path:
    """The folder that keeps archives and compiled libraries between builds."""
    if chosen := os.environ.get("CUVEE_CACHE_DIR"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "cuvee"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the whole content or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_archive(pin: Pin) -> bytes:
    """Return the verified bytes of the pinned archive, from the cache or from the index."""
    cached = cache_dir() / "archives" / pin.archive
    try:
        content = cached.read_bytes()
    except OSError:
        pass
    else:
        if hashlib.sha256(content).hexdigest() == pin.sha256:
            return content
    try:
        content = index.fetch(pin.project, pin.archive, pin.sha256, find_locations())
    except index.NotFoundError as error:
        raise BuildError(
            f"cannot get {pin.archive}, which holds the sources of {pin.library} {pin.version} "
            f"({error}). Name a reachable index in PIP_INDEX_URL, or put the file into "
            f"{cached.parent}, or set CUVEE_BUILD_SYSTEM_LIBS=1 to use the system's libuv and llhttp."
        ) from None
    try:
        write_atomically(cached, content)
    except OSError as error:
        print(f"cuvee: the archive is not cached: {error}")
    return content


def _is_wanted(pin: Pin, name: str) -> bool:
    return any(
        name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)
        for pattern in pin.wanted
    )


def unpack(pin: Pin, archive: bytes, target: Path) -> None:
    """Write the wanted regular files of the archive into target/LIBRARY, and nothing else."""
    prefix = pin.root + "/"
    folder = target / pin.library
    count = 0
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            name = member.name.removeprefix(prefix)
            if name == member.name or not member.isreg() or not _is_wanted(pin, name):
                continue
            if ".." in name.split("/"):
                continue
            file = tar.extractfile(member)
            assert file is not None  # a regular file
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read())
            count += 1
    if not count:
        raise BuildError(f"{pin.archive} holds no sources of {pin.library} under {pin.root}")


def _stamp() -> str:
    return json.dumps({pin.library: [pin.version, pin.sha256, *pin.wanted] for pin in PINS})


def is_complete(folder: Path) -> bool:
    """Whether the folder was filled from exactly the archives that are pinned now."""
    try:
        return (folder / _STAMP).read_text() == _stamp()
    except OSError:
        return False


def fill(folder: Path) -> None:
    """Put the sources of every pinned library into the folder, unless they are there."""
    if is_complete(folder):
        return
    archives = [(pin, read_archive(pin)) for pin in PINS]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for pin, archive in archives:
        unpack(pin, archive, folder)
    write_atomically(folder / _STAMP, _stamp().encode())


def ship(root: Path, folder: Path) -> None:
    """Fill the third-party folder of a source distribution that is made from `root`."""
    shipped = root / "third_party"
    if is_complete(shipped):  # `root` is an unpacked source distribution itself
        shutil.copytree(shipped, folder, dirs_exist_ok=True)
    else:
        fill(folder)


def locate(root: Path, build_folder: Path) -> Path:
    """Return a folder with all sources: a source distribution's own, or one below the build."""
    shipped = root / "third_party"
    if is_complete(shipped):
        return shipped
    folder = build_folder / "third_party"
    fill(folder)
    return folder
