"""Fuzz what reads and writes HTTP and WebSocket, with clang's libFuzzer under ASan and UBSan (tests/fuzz/README.md).

    python tools/fuzz.py run [--seconds N] [target ...]   replay the corpus, then fuzz each target for so long;
                                                          without a target named, coverage too
    python tools/fuzz.py coverage                         what the corpus covers; fails below the threshold
    python tools/fuzz.py merge [target ...]               take what was found into the corpus, kept small

Ends with status 77, and the reason in the last line, where there is no clang with its libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from build_support import compiler, libraries  # noqa: E402
from build_support.errors import BuildError  # noqa: E402
from build_support.switches import Switches  # noqa: E402
from build_support.tuning import PLAIN  # noqa: E402
from tests.fuzz.seeds import SEEDS  # noqa: E402

FOLDER = ROOT / "tests" / "fuzz"
WORK = ROOT / "build" / "fuzz"
TARGETS = ("parser", "writer", "conn", "proxies", "ws", "websocket")
LAYERS = ("base", "http", "ws", "net", "conn")
COVERED = ("csrc/http", "csrc/conn")
THRESHOLD = 90  # percent of the lines of each
LONGEST = 4096  # bytes of an input
SKIPPED = 77
LAST_WORDS = 8000  # of the output of a fuzzer that found something
PACKAGES = ("clang", "llvm", "libclang-rt-dev")
COUNTED = ("malloc", "calloc", "aligned_alloc", "realloc", "free")  # fuzz_memory.c
WRAPPED = (
    "clock_gettime",
    "time",
    "uv_queue_work",
    "cv_file_is_cached",
)  # fuzz_clock.c, fuzz_file.c


class Skip(Exception):
    """What is missing."""


def require_tools() -> None:
    """See that clang is there with its libraries, or say why not."""
    script = ["sh", str(ROOT / "tools" / "system_tools.sh"), *PACKAGES]
    done = subprocess.run(script, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Skip(done.stderr.strip())
    probe = ["clang", "-fsanitize=fuzzer,address,undefined", "-x", "c", "-", "-o", os.devnull]
    source = "int LLVMFuzzerTestOneInput(const char *a, long b) { return a == 0 && b; }"
    done = subprocess.run(probe, input=source, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Skip(f"clang does not make a fuzzer: {done.stderr.strip().splitlines()[-1]}")


def build(kind: str, switches: Switches, instrument: Sequence[str]) -> dict[str, Path]:
    """Compile and link every target; `instrument` is for the code under test and llhttp."""
    work = WORK / kind
    cc = ["clang"]
    tuning = replace(PLAIN, compile_flags=tuple(instrument))
    library = libraries.prepare(ROOT, work, switches, cc, tuning)
    flags = [*switches.own_flags(), *library.includes, *instrument]
    flags += [f"-I{folder}" for folder in (ROOT / "csrc", FOLDER, ROOT / "tests" / "c")]
    fuzzed = [*flags, *(f"-D{name}=fuzz_{name}" for name in COUNTED)]
    core = [path for layer in LAYERS for path in sorted((ROOT / "csrc" / layer).glob("*.c"))]
    objects = compiler.compile_all(cc, fuzzed, core, ROOT, work)
    targets = [FOLDER / f"fuzz_{name}.c" for name in TARGETS]
    helpers = [path for path in sorted(FOLDER.glob("*.c")) if path not in targets]
    helpers += [ROOT / "tests" / "c" / name for name in ("http/wire_log.c", "ws/ws_log.c")]
    archive = work / "libcuvee.a"
    archive.unlink(missing_ok=True)
    objects += compiler.compile_all(cc, flags, helpers, ROOT, work)
    subprocess.run(["ar", "rcs", str(archive), *map(str, objects)], check=True)
    link = [f"-Wl,--wrap={name}" for name in WRAPPED]
    link += [*switches.link_flags(), *library.link_flags, *instrument, "-fsanitize=fuzzer"]
    programs = {}
    for name, made in zip(
        TARGETS, compiler.compile_all(cc, flags, targets, ROOT, work), strict=True
    ):
        programs[name] = program = made.with_suffix("")
        command = [*cc, "-o", str(program), str(made), str(archive), *library.objects, *link]
        if subprocess.run(command).returncode:
            raise BuildError(f"fuzz_{name} does not link")
    return programs


def build_fuzzers() -> dict[str, Path]:
    """Make the programs that fuzz."""
    switches = Switches(sanitize=("address", "undefined"), werror=True, lto=False)
    return build("fuzzers", switches, ["-fsanitize=fuzzer-no-link"])


def read_corpus(target: str) -> list[bytes]:
    """Give the inputs of the corpus: one a line, escaped as in Python, so that they can be read."""
    lines = (FOLDER / "corpus" / f"{target}.txt").read_text(encoding="ascii").splitlines()
    return [line.encode().decode("unicode_escape").encode("latin-1") for line in lines]


def write_corpus(target: str, inputs: Sequence[bytes]) -> None:
    """Write the corpus in an order that stays."""
    lines = sorted(data.decode("latin-1").encode("unicode_escape").decode() for data in inputs)
    text = "".join(f"{line}\n" for line in lines)
    (FOLDER / "corpus" / f"{target}.txt").write_text(text, encoding="ascii")
    print(f"{target}: {len(lines)} inputs, {len(text)} bytes")


def unpack(folder: Path, inputs: Iterable[bytes]) -> Path:
    """Write each input into a file, as libFuzzer wants them, and nothing else into the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, data in enumerate(inputs):
        (folder / f"{number:04}").write_bytes(data)
    return folder


def folders(target: str) -> list[str]:
    """Give what was found on this machine, the corpus, and the seeds that the wire corpus makes."""
    found = WORK / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    corpus = unpack(WORK / "corpus" / target, read_corpus(target))
    seeds = unpack(WORK / "seeds" / target, SEEDS[target]())
    return [str(found), str(corpus), str(seeds)]


def run_fuzzer(program: Path, arguments: Sequence[str]) -> bool:
    """Run one program; what it says is shown if it finds something, which is left in build/fuzz."""
    env = {
        "ASAN_OPTIONS": "strict_string_checks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        **os.environ,
    }
    command = [str(program), *arguments, f"-artifact_prefix={WORK}/", "-timeout=20"]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.decode(errors="replace")
    for line in said.splitlines():
        if line.startswith(("Done ", "stat::number", "stat::average")):
            print(line)
    if done.returncode:
        print(said[-LAST_WORDS:])
    return done.returncode == 0


def fuzz(targets: Sequence[str], seconds: int) -> bool:
    """Replay and fuzz each target. Returns whether nothing was found."""
    programs = build_fuzzers()
    good = True
    for target in targets:
        print(f"== {target}", flush=True)
        arguments = [*folders(target), f"-max_len={LONGEST}", "-print_final_stats=1"]
        arguments += [f"-dict={FOLDER / 'http.dict'}"]
        arguments += [f"-max_total_time={seconds}" if seconds else "-runs=0"]
        good = run_fuzzer(programs[target], arguments) and good
    return good


def merge(targets: Sequence[str]) -> bool:
    """Make each corpus anew from what reaches a line or branch that nothing smaller reaches."""
    programs = build_fuzzers()
    good = True
    for target in targets:
        merged = unpack(WORK / "merged" / target, [])
        arguments = [str(merged), *folders(target), "-merge=1", "-use_counters=0"]
        if run_fuzzer(programs[target], arguments):
            write_corpus(target, [path.read_bytes() for path in merged.iterdir()])
        else:
            good = False
    return good


def coverage() -> bool:
    """Print what the committed corpus covers. Returns whether it is enough."""
    flags = ["-fprofile-instr-generate", "-fcoverage-mapping"]
    programs = build("coverage", Switches(lto=False), flags)
    profiles = []
    for target in TARGETS:
        profiles.append(WORK / "coverage" / f"{target}.profraw")
        env = {**os.environ, "LLVM_PROFILE_FILE": str(profiles[-1])}
        corpus = unpack(WORK / "corpus" / target, read_corpus(target))
        command = [str(programs[target]), str(corpus), "-runs=0"]
        if subprocess.run(command, env=env, stderr=subprocess.DEVNULL).returncode:
            print(f"{target}: the corpus does not run through")
            return False
    joined = WORK / "coverage" / "all.profdata"
    command = ["llvm-profdata", "merge", "-sparse", "-o", str(joined), *map(str, profiles)]
    subprocess.run(command, check=True)
    first, *others = (str(programs[target]) for target in TARGETS)
    command = ["llvm-cov", "export", first, *(f"-object={other}" for other in others)]
    command += ["-summary-only", f"-instr-profile={joined}"]
    command += [str(path) for folder in COVERED for path in (ROOT / folder).glob("*.c")]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return report_lines(report["data"][0]["files"])


def report_lines(files: Sequence[dict[str, Any]]) -> bool:
    """Print the share of covered lines, of each file and folder."""
    good = True
    for folder in COVERED:
        count = covered = 0
        for file in files:
            path = Path(file["filename"]).relative_to(ROOT)
            if path.parent == Path(folder):
                lines = file["summary"]["lines"]
                count, covered = count + lines["count"], covered + lines["covered"]
                print(f"{lines['covered']:6} of {lines['count']:4} lines  {path}")
        share = 100 * covered / count
        good = good and share >= THRESHOLD
        print(
            f"{folder}: the corpus covers {share:.1f} % of the lines, {THRESHOLD} % are asked for"
        )
    return good


def main() -> int:
    """Do what is asked; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("run", "coverage", "merge"))
    parser.add_argument("targets", nargs="*", metavar="target", help=" ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=20, help="for each target; 0: replay only")
    args = parser.parse_intermixed_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    targets = args.targets or TARGETS
    try:
        require_tools()
        good = True
        if args.what == "merge":
            good = merge(targets)
        if args.what == "run":
            good = fuzz(targets, args.seconds)
        if args.what == "coverage" or (args.what == "run" and not args.targets):
            good = coverage() and good
        return 0 if good else 1
    except Skip as reason:
        print(f"fuzzing: skipped: {reason}")
        return SKIPPED
    except BuildError as error:
        print(f"error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
