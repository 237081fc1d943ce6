"""Check the #include lines of csrc/ against the layers (docs/architecture.md).

A folder includes only what stands below it, third-party headers stay where they belong, every
quoted include is a path from csrc/, and no two headers include each other.

    python tools/lint_layers.py [csrc]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Each folder, and the folders below it that it may include. Bottom first.
LAYERS: dict[str, set[str]] = {
    "base": set(),
    "http": {"base"},
    "ws": {"base"},
    "tls": {"base"},
    "net": {"base"},
    "conn": {"base", "http", "ws", "tls", "net"},
    "py": {"base", "http", "ws", "tls", "net", "conn"},
    "observe": {"base", "http"},
    "loop": {"base", "net", "py", "observe"},
    "asgi": {"base", "http", "ws", "conn", "py", "observe", "loop"},
    "server": {"base", "http", "ws", "tls", "net", "conn", "py", "observe", "loop", "asgi"},
}
ROOT_FILES = {"module.c"}

# Third-party headers, and the folders that may name them.
FOREIGN: dict[str, set[str]] = {
    "Python.h": {"py", "loop", "asgi", "server"},
    "uv.h": {"net", "conn", "loop", "server"},
    "llhttp.h": {"http"},
    "zlib.h": {"ws"},
    "nghttp2/": {"http"},
    "openssl/": {"tls"},
}

_INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def includes(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Give (line number, name, whether it is quoted) of each include."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := _INCLUDE.match(line):
            yield number, match[1] or match[2], match[1] is not None


def is_python_face(path: Path) -> bool:
    """Whether this is the Python face of observe/, which stands beside what it shows."""
    return path.parent.name == "observe" and path.stem.endswith("_type")


def allowed_folders(path: Path, folder: str) -> set[str]:
    """The folders that a file may include from."""
    if folder == "":
        return set(LAYERS)
    return LAYERS[folder] | {folder} | ({"py"} if is_python_face(path) else set())


def foreign_finding(path: Path, folder: str, name: str) -> str | None:
    """Say what is wrong with an include in angle brackets."""
    for header, folders in FOREIGN.items():
        if not (name == header or (header.endswith("/") and name.startswith(header))):
            continue
        if folder == "" or folder in folders:
            return None
        if header == "Python.h" and is_python_face(path):
            return None
        return f"<{name}> does not belong into {folder}/, only into {', '.join(sorted(folders))}"
    return None


def own_finding(root: Path, path: Path, folder: str, name: str) -> str | None:
    """Say what is wrong with a quoted include."""
    if not (root / name).is_file():
        return f'"{name}" is no path from csrc/ to a header'
    target = name.split("/")[0] if "/" in name else ""
    if target == "":
        return f'"{name}" stands above every layer'
    if target not in allowed_folders(path, folder):
        return f'{folder}/ must not include {target}/, but includes "{name}"'
    face = is_python_face(root / name)
    if face and folder not in ("", "server", "asgi", "loop") and not is_python_face(path):
        return f'"{name}" needs Python.h, and {folder}/ must not'
    return None


def order_finding(path: Path, folder: str) -> str | None:
    """A .c file starts with its own header, which proves that the header stands alone."""
    own = f"{folder}/{path.stem}.h" if folder else f"{path.stem}.h"
    names = [name for _, name, _ in includes(path)]
    if path.suffix != ".c" or not path.with_suffix(".h").is_file() or own not in names:
        return None
    before = [name for name in names[: names.index(own)] if name != "Python.h"]
    return f'"{own}" must come first, before "{before[0]}"' if before else None


def cycles(graph: dict[str, list[str]]) -> Iterator[list[str]]:
    """Give each ring of headers once, from the header where it was first entered."""
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> Iterator[list[str]]:
        if name in trail:
            yield [*trail[trail.index(name) :], name]
        elif name not in done:
            for target in graph.get(name, []):
                yield from visit(target, [*trail, name])
            done.add(name)

    for start in sorted(graph):
        yield from visit(start, [])


def check(root: Path) -> Iterator[str]:
    """Give every finding, one line each."""
    graph: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.[ch]")):
        relative = path.relative_to(root)
        folder = relative.parts[0] if len(relative.parts) > 1 else ""
        if folder == "" and relative.name not in ROOT_FILES:
            yield f"{path}:1: only {', '.join(ROOT_FILES)} stands outside the layers"
            continue
        if folder and folder not in LAYERS:
            yield f"{path}:1: {folder}/ is no layer (tools/lint_layers.py lists them)"
            continue
        for number, name, quoted in includes(path):
            if quoted:
                finding = own_finding(root, path, folder, name)
                graph.setdefault(relative.as_posix(), []).append(name)
            else:
                finding = foreign_finding(path, folder, name)
            if finding:
                yield f"{path}:{number}: {finding}"
        if finding := order_finding(path, folder):
            yield f"{path}:1: {finding}"
    for ring in cycles(graph):
        yield f"{root / ring[0]}:1: headers include each other: {' -> '.join(ring)}"


def main() -> int:
    """Print the findings; the exit status says whether there are any."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "csrc"
    findings = list(check(root))
    for finding in findings:
        print(finding)
    if not findings:
        print(f"layers: {sum(1 for _ in root.rglob('*.[ch]'))} files are in order")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
