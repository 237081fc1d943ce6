"""Check the C files for the rules that a compiler does not know (CONTRIBUTING.md).

Sizes, the licence line, header guards, banned functions, names, and that each header compiles
alone.

    python tools/lint_c.py [--no-compile]
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 600
MOST_FUNCTION_LINES = 100
MOST_COLUMNS = 120

# Functions that overrun, that have a better twin, or that must not be called in a server.
BANNED = {
    "gets": "fgets",
    "strcpy": "memcpy with a length",
    "strcat": "memcpy with a length",
    "strncpy": "memcpy with a length",
    "strncat": "memcpy with a length",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "scanf": "a parser of ours",
    "sscanf": "a parser of ours",
    "strtok": "a parser of ours",
    "atoi": "a parser of ours",
    "atol": "a parser of ours",
    "alloca": "a buffer with a bound",
    "gmtime": "gmtime_r",
    "localtime": "localtime_r",
    "asctime": "strftime",
    "ctime": "strftime",
    "tmpnam": "mkstemp",
    "system": "nothing",
    "select": "uv_poll",
    "PyErr_Print": "PyErr_WriteUnraisable, or the loop's exception handler",
}
# Below py/ nothing prints.
SILENT = {"base", "http", "ws", "tls", "net", "conn", "observe"}
PRINTING = {"printf", "fprintf", "puts", "fputs", "perror", "putchar", "vfprintf"}

_CALL = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
_DEFINITION = re.compile(r"^([A-Za-z_]\w*)\(")
_OPEN_WORK = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def without_comments(text: str) -> str:
    """Blank out comments and the insides of literals; lines and columns stay."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return re.sub(
        r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
        blank,
        text,
        flags=re.DOTALL,
    )


def line_findings(lines: list[str]) -> Iterator[tuple[int, str]]:
    """What can be seen on one line."""
    if not lines or not re.match(r"/\* SPDX-License-Identifier: MIT( \*/)?$", lines[0]):
        yield 1, "the first line must be /* SPDX-License-Identifier: MIT"
    if len(lines) > MOST_LINES:
        yield len(lines), f"the file has {len(lines)} lines, {MOST_LINES} at most"
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_COLUMNS:
            yield number, f"{len(line)} columns, {MOST_COLUMNS} at most"
        if "\t" in line or line != line.rstrip():
            yield number, "a tab, or blanks at the end of the line"
        if match := _OPEN_WORK.search(line):
            yield number, f"{match[1]}: open work belongs into an issue"


def call_findings(lines: list[str], folder: str) -> Iterator[tuple[int, str]]:
    """Calls that are banned; `lines` have no comments and no literals any more."""
    for number, line in enumerate(lines, 1):
        for match in _CALL.finditer(line):
            name = match[1]
            if name in BANNED:
                yield number, f"{name} is banned, use {BANNED[name]}"
            elif name in PRINTING and folder in SILENT:
                yield number, f"{name} in {folder}/: nothing below py/ prints"


def function_findings(lines: list[str], is_library: bool) -> Iterator[tuple[int, str]]:
    """The length of each function, and the names of those that other files can see."""
    name, start, static = "?", 0, False
    for number, line in enumerate(lines, 1):
        if match := _DEFINITION.match(line):
            name = match[1]
            above = lines[number - 2] if number > 1 else ""
            static = "static" in above.split()
        elif line == "{":
            start = number
            if is_library and not static and not name.startswith(("cv_", "PyInit_")):
                yield number, f"{name} is seen by other files, so it must be called cv_NOUN_VERB"
        elif line == "}" and start:
            if number - start > MOST_FUNCTION_LINES:
                yield start, f"{name} has {number - start} lines, {MOST_FUNCTION_LINES} at most"
            start = 0


def guard_finding(path: Path, lines: list[str]) -> str | None:
    """A header is guarded by a name made from its path."""
    if path.suffix != ".h" or "csrc" not in path.parts:
        return None
    relative = path.parts[path.parts.index("csrc") + 1 :]
    guard = "CUVEE_" + re.sub(r"\W", "_", "_".join(relative)).upper()
    wanted = [f"#ifndef {guard}", f"#define {guard}"]
    directives = [line.rstrip() for line in lines if line.startswith("#")]
    return None if directives[:2] == wanted else f"the guard must be {guard}, and come first"


def check_file(path: Path) -> Iterator[str]:
    """Give every finding in one file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    bare = without_comments(text).splitlines()
    inside = path.relative_to(ROOT).parts
    folder = inside[1] if len(inside) > 2 else ""
    is_library = inside[0] == "csrc"
    found = [*line_findings(lines), *(call_findings(bare, folder) if is_library else ())]
    found += function_findings(bare, is_library)
    if finding := guard_finding(path.relative_to(ROOT), lines):
        found.append((1, finding))
    for number, finding in sorted(found):
        yield f"{path.relative_to(ROOT)}:{number}: {finding}"


def check_headers(headers: list[Path]) -> Iterator[str]:
    """Compile each header alone."""
    sys.path.insert(0, str(ROOT))
    from build_support import compiler, libraries
    from build_support.switches import Switches

    cc = (sysconfig.get_config_var("CC") or "cc").split()
    library = libraries.prepare(ROOT, ROOT / "build" / "lint", Switches(), compiler.driver(cc))
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc"]
    flags += [f"-I{ROOT / 'csrc'}", *library.includes, f"-isystem{sysconfig.get_path('include')}"]

    def compile_one(header: Path) -> str:
        # As an include, since a header as the main file makes the compiler warn about its own form.
        command = [*compiler.driver(cc), *flags, "-include", str(header), "/dev/null"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        errors = [line for line in done.stdout.splitlines() if "error:" in line]
        return (errors or [done.stdout.strip()])[0] if done.returncode else ""

    with ThreadPoolExecutor(compiler.jobs()) as pool:
        for header, message in zip(headers, pool.map(compile_one, headers), strict=True):
            if message:
                yield f"{header.relative_to(ROOT)}:1: does not compile alone: {message}"


def main() -> int:
    """Print the findings; the exit status says whether there are any."""
    patterns = ("csrc/**/*.[ch]", "tests/c/**/*.[ch]", "tests/fuzz/*.[ch]")
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    findings = [finding for path in paths for finding in check_file(path)]
    if "--no-compile" not in sys.argv[1:]:
        headers = [path for path in paths if path.suffix == ".h" and "csrc" in path.parts]
        findings += check_headers(headers)
    for finding in findings:
        print(finding)
    if not findings:
        print(f"C: {len(paths)} files are in order")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
