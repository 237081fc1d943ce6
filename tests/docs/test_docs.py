# SPDX-License-Identifier: MIT
"""The documents name only what is there, and the options that are there are all named."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import cuvee
from cuvee.compat.modules import MODULES
from cuvee.options import OPTIONS
from cuvee.settings import FILE

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "csrc/*.md", "examples/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

_CODE = re.compile(r"```.*?```|`([^`\n]+)`", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"[\w.-]+(?:/[\w.*-]+)*/?")
_SUFFIXES = (".py", ".pyi", ".c", ".h", ".md", ".txt", ".toml", ".sh", ".json", ".ini", ".html")


def name(path: Path) -> str:
    """A document as the test report calls it."""
    return path.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name)


def code_spans(text: str) -> list[str]:
    """What stands between backticks, without fenced blocks."""
    return [match[1] for match in _CODE.finditer(text) if match[1]]


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@cache
def sources() -> str:
    """Every C file, one behind the other."""
    return "\n".join(path.read_text() for path in sorted((ROOT / "csrc").rglob("*.[ch]")))


@cache
def python_sources() -> str:
    """Every file that reads the environment."""
    folders = ("python", "build_support", "examples", "tests/support", "tools")
    return "\n".join(
        path.read_text()
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".sh")
    )


@cache
def help_options() -> frozenset[str]:
    """The long options that `cuvee --help` shows."""
    shown = subprocess.run(
        [sys.executable, "-m", "cuvee", "--help"], capture_output=True, text=True, check=True
    )
    return frozenset(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", shown.stdout)) - {"--help"} | {
        "--help"
    }


def option_rows() -> dict[str, str]:
    """The options and the defaults that docs/options.md says they have."""
    text = (ROOT / "docs" / "options.md").read_text()
    rows = re.findall(r"^\| (`--[^|]+) \| ([^|]*?) ?\|", text, re.MULTILINE)
    return {option: default for cell, default in rows for option in code_spans(cell)}


def looks_like_a_file(span: str) -> bool:
    """Whether a code span claims that a file or folder is there."""
    if not _FILE.fullmatch(span) or span.startswith(("-", ".venv")):
        return False
    return span.endswith(("/", *_SUFFIXES)) and not span.startswith(("/", "."))


def is_there(span: str, document: Path) -> bool:
    """Whether a path exists where a reader would look for it, or a build or the user makes it."""
    if f"/{span}" in (ROOT / ".gitignore").read_text().splitlines() or span == FILE:
        return True
    places = [ROOT, document.parent, ROOT / "csrc", ROOT / "python" / "cuvee", ROOT / "tests"]
    return any(next(place.glob(span.rstrip("/")), None) is not None for place in places)


def resolve(dotted: str) -> bool:
    """Whether cuvee has a module, or a name in one, that is called so."""
    found: object = cuvee
    for number, part in enumerate(parts := dotted.split(".")):
        if not hasattr(found, part):
            try:
                found = importlib.import_module(".".join(["cuvee", *parts[: number + 1]]))
            except ModuleNotFoundError:
                return False
        else:
            found = getattr(found, part)
    return True


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in _LINK.findall(document.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} is not there"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{link} has no such heading"


@each_document
def test_files_are_there(document: Path) -> None:
    spans = filter(looks_like_a_file, code_spans(document.read_text()))
    assert [span for span in spans if not is_there(span, document)] == []


def test_the_walk_names_existing_modules() -> None:
    """In csrc/README.md, `folder/name` without a suffix is a pair of files."""
    text = (ROOT / "csrc" / "README.md").read_text()
    folders = {path.name for path in (ROOT / "csrc").iterdir() if path.is_dir()}
    spans = [span for span in code_spans(text) if re.fullmatch(r"\w+/\w+", span)]
    modules = [span for span in spans if span.partition("/")[0] in folders]
    assert [m for m in modules if not list((ROOT / "csrc").glob(f"{m}.[ch]"))] == []
    assert len(modules) > 15


@each_document
def test_c_names_exist(document: Path) -> None:
    names = set(re.findall(r"\b(?:cv|CV)_\w+", document.read_text()))
    assert {n for n in names if not re.search(rf"\b{n}\b", sources())} == set()


@each_document
def test_python_names_exist(document: Path) -> None:
    for dotted in set(
        re.findall(
            r"(?<![\w./@-])cuvee\.([A-Za-z_][A-Za-z_0-9.]*[A-Za-z0-9])", document.read_text()
        )
    ):
        if dotted.endswith(("toml", "egg-info")) or dotted == "disconnect":  # an extension of ASGI
            continue
        assert resolve(dotted), f"cuvee.{dotted} is not there"


@each_document
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {word for line in targets for word in line.split()}
    spans = code_spans(document.read_text())
    named = {match[1] for span in spans if (match := re.match(r"make ([a-z-]+)", span))}
    assert named - known == set()


@each_document
def test_environment_variables_exist(document: Path) -> None:
    names = set(re.findall(r"\bCUVEE_\w*[A-Z]\b", document.read_text()))
    names -= {"CUVEE_" + option.name.upper() for option in OPTIONS}
    assert {n for n in names if n not in python_sources()} == set()


@each_document
def test_options_exist(document: Path) -> None:
    """An option in backticks is cuvee's, or the document's own program has it."""
    text = document.read_text()
    named = {
        o for span in code_spans(text) for o in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", span)
    }
    if document.parent.name == "benchmarks":
        programs = "".join(path.read_text() for path in document.parent.glob("*.py"))
        has = set(re.findall(r'"--(?:no-)?([a-z-]+)"', programs)) | {"help"}
        assert {re.sub("^--(no-)?", "", option) for option in named} - has == set()
        return
    not_ours = {"--check", "--full", "--own-loop"}
    if document.name in ("migration.md", "CONTRIBUTING.md") or "decisions" in document.parts:
        assert named - help_options() - not_ours <= {"--no-index", "--no-build-isolation"}
    else:
        assert named - help_options() == set()


def test_every_option_is_documented() -> None:
    """One that can be switched on can be switched off: that goes without saying."""
    shown = {option for option in help_options() if not option.startswith("--no-")}
    documented = set(option_rows())
    assert {option for option in documented if not option.startswith("--no-")} == shown
    assert documented <= help_options()


def test_documented_defaults_are_the_real_ones() -> None:
    parameters = inspect.signature(cuvee.Config).parameters
    rows = option_rows()
    for known in OPTIONS:
        option, parameter = known.option_string, parameters[known.name]
        documented = rows[option]
        default = None if known.name == "log_config" else parameter.default
        shown = {True: "on", False: "off", None: "", "": ""}.get(default)
        if shown is None:
            shown = f"`{default}`"
        special = {
            "--timeout-graceful-shutdown": "none",
            "--use-colors": "on a terminal",
            "--extensions": "`all`",
            "--log-level": "`info`",
            "--app-dir": "the current directory",
            "--forwarded-allow-ips": "`$FORWARDED_ALLOW_IPS`, or `127.0.0.1,::1`",
            "--ssl-cert-reqs": "`0`",
        }
        assert documented == special.get(option, shown), option


def test_every_argument_of_config_is_documented() -> None:
    text = (ROOT / "docs" / "options.md").read_text()
    options = {option.name for option in OPTIONS}
    for parameter in list(inspect.signature(cuvee.Config).parameters)[1:]:
        assert parameter in options or f"| `{parameter}` |" in text, parameter


def test_migration_says_where_uvicorns_middleware_went() -> None:
    page = (ROOT / "docs" / "migration.md").read_text()
    for module, names in MODULES.items():
        if module.startswith("uvicorn.middleware."):
            rows = [line for line in page.splitlines() if f"`{module}`" in line]
            for home in names.values():
                assert any(f"`{home.replace(':', '.')}`" in row for row in rows), (module, home)


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", index)
    assert listed == [path.name for path in DECISIONS]


@pytest.mark.parametrize("decision", DECISIONS, ids=name)
def test_decisions_have_one_shape(decision: Path) -> None:
    text = decision.read_text()
    assert text.startswith(f"# {int(decision.name[:4])}. ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Measurement"]


def test_numbers_in_the_readme_are_those_of_the_results() -> None:
    render = ROOT / "benchmarks" / "render.py"
    done = subprocess.run(
        [sys.executable, render, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
