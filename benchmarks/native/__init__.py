"""Programs in C that the benchmarks need: the limit of what a server can cost, and clients.

They are compiled when they are first asked for, with the libuv and llhttp that cuvee builds from,
into the folder of builds of this tree: two trees would write over each other's.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from build_support import compiler, libraries
from build_support.errors import BuildError
from build_support.switches import Switches

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent

# The files of each program.
PROGRAMS = {
    "limit_server": ("limit_server.c", "limit_answers.c", "limit_messages.c"),
    "event_clients": ("event_clients.c", "client.c"),
    "uploader": ("uploader.c", "client.c"),
    "asker": ("asker.c", "client.c"),
    "websocket_clients": ("websocket_clients.c", "websocket.c", "histogram.c", "client.c"),
}
_FLAGS = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-D_GNU_SOURCE")


def program(name: str, python: str) -> Path:
    """Return the program, compiled by the compiler that builds extensions for this interpreter.

    What is newer than its source is not compiled again.
    """
    work = ROOT / "build" / "benchmarks"
    cc = _compiler(python)
    library = libraries.prepare(ROOT, work, Switches(), cc)
    flags = [*_FLAGS, f"-I{ROOT / 'csrc'}", *library.includes]
    files = [HERE / file for file in PROGRAMS[name]]
    objects = compiler.compile_all(cc, flags, files, HERE, work)
    made = work / name
    inputs = [*map(str, objects), *library.objects]
    if _is_older(made, inputs):
        command = [*cc, "-o", str(made), *inputs, *library.link_flags]
        if subprocess.run(command).returncode:
            raise BuildError(f"{name} does not link (the linker's messages stand above)")
    return made


def _compiler(python: str) -> list[str]:
    """The C compiler of an interpreter's own build, without its options."""
    ask = "import sysconfig; print(sysconfig.get_config_var('CC') or 'cc')"
    return compiler.driver(shlex.split(subprocess.check_output([python, "-c", ask], text=True)))


def _is_older(made: Path, inputs: list[str]) -> bool:
    if not made.exists():
        return True
    return any(Path(name).stat().st_mtime > made.stat().st_mtime for name in inputs)
