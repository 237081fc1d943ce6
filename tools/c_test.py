"""Build and run the C units: every test_*.c under tests/c/ is one program.

Each is linked with libuv, llhttp, zlib and what stands below py/ in csrc/, compiled without Python. A
test may include the .c file that it tests, to reach its static functions: the linker then leaves
that file's object out. The build switches of setup.py hold here too, assertions are always on.

    python tools/c_test.py [part of a name ...]
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from build_support import compiler, libraries  # noqa: E402
from build_support.errors import BuildError  # noqa: E402
from build_support.switches import Switches  # noqa: E402

# The layers that know no Python.
LAYERS = ("base", "http", "ws", "tls", "net", "conn", "observe")
SECONDS = 120


def core_sources() -> list[Path]:
    """The files that compile without Python.h."""
    found = [path for layer in LAYERS for path in ROOT.glob(f"csrc/{layer}/*.c")]
    return sorted(path for path in found if not path.stem.endswith("_type"))


def build(tests: list[Path], switches: Switches) -> list[Path]:
    """Compile and link the tests; return the programs."""
    work = ROOT / "build" / f"c-test-{switches.name()}"
    cc = shlex.split(os.environ.get("CC") or "") or compiler.driver(
        (sysconfig.get_config_var("CC") or "cc").split()
    )
    library = libraries.prepare(ROOT, work, switches, cc)
    flags = [*switches.own_flags(), '-DCUVEE_VERSION="test"', f"-I{ROOT / 'csrc'}"]
    flags += [f"-I{ROOT / 'tests' / 'c'}", *library.includes]
    helpers = [p for p in sorted(ROOT.glob("tests/c/**/*.c")) if not p.name.startswith("test_")]
    core = compiler.compile_all(cc, flags, [*core_sources(), *helpers], ROOT, work)
    archive = work / "libcuvee.a"
    archive.unlink(missing_ok=True)
    subprocess.run(["ar", "rcs", str(archive), *map(str, core)], check=True)
    objects = compiler.compile_all(cc, flags, tests, ROOT, work)
    programs = []
    for made in objects:
        program = made.with_suffix("")
        command = [*cc, "-o", str(program), str(made), str(archive), *library.objects]
        command += [*switches.link_flags(), *library.link_flags]
        if subprocess.run(command).returncode:
            raise BuildError(f"{made.stem} does not link")
        programs.append(program)
    return programs


def run(program: Path) -> str:
    """Run one program; return what it says if it fails, else nothing."""
    env = {
        "ASAN_OPTIONS": "abort_on_error=0:strict_string_checks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        **os.environ,
    }
    try:
        done = subprocess.run(
            [program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        return f"{said}\nstill running after {SECONDS} seconds"
    if done.returncode == 0:
        return ""
    return f"{done.stdout.decode(errors='replace')}\nexit status {done.returncode}"


def main() -> int:
    """Print one line a program, and what the failed ones said."""
    switches = replace(Switches.from_env(), debug=True)
    words = sys.argv[1:]
    tests = sorted(ROOT.glob("tests/c/**/test_*.c"))
    tests = [path for path in tests if not words or any(word in path.stem for word in words)]
    if not tests:
        print("there is no such test under tests/c/")
        return 1
    try:
        programs = build(tests, switches)
    except BuildError as error:
        print(f"error: {error}")
        return 1
    failed = 0
    with ThreadPoolExecutor(compiler.jobs()) as pool:
        for program, said in zip(programs, pool.map(run, programs), strict=True):
            print(f"{'FAILED' if said else 'ok    '} {program.name}")
            if said:
                failed += 1
                print(said)
    print(f"{len(programs) - failed} C units passed, {failed} failed ({switches.name()})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
