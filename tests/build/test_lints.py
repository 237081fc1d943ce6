# SPDX-License-Identifier: MIT
"""The lints find what they are there for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def layer_findings(root: Path) -> list[str]:
    command = [sys.executable, str(ROOT / "tools/lint_layers.py"), str(root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    return lines if done.returncode else []


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def csrc(tmp_path: Path) -> Path:
    write(tmp_path, "base/span.h", "#include <stddef.h>\n")
    write(tmp_path, "http/head.h", '#include "base/span.h"\n#include <llhttp.h>\n')
    write(tmp_path, "net/wire.h", '#include "base/span.h"\n#include <uv.h>\n')
    write(tmp_path, "conn/conn.h", '#include "http/head.h"\n#include "net/wire.h"\n')
    write(tmp_path, "conn/conn.c", '#include "conn/conn.h"\n#include "base/span.h"\n')
    write(tmp_path, "observe/log_type.h", "#include <Python.h>\n")
    write(tmp_path, "module.c", '#include <Python.h>\n#include "conn/conn.h"\n')
    return tmp_path


def test_layers_in_order(csrc: Path) -> None:
    assert layer_findings(csrc) == []


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("http/x.c", '#include "net/wire.h"\n', "http/ must not include net/"),
        ("base/x.c", '#include "http/head.h"\n', "base/ must not include http/"),
        ("conn/x.c", "#include <Python.h>\n", "<Python.h> does not belong into conn/"),
        ("observe/x.c", "#include <Python.h>\n", "<Python.h> does not belong into observe/"),
        ("http/x.c", "#include <uv.h>\n", "<uv.h> does not belong into http/"),
        ("conn/x.c", "#include <llhttp.h>\n", "<llhttp.h> does not belong into conn/"),
        ("conn/x.c", "#include <zlib.h>\n", "<zlib.h> does not belong into conn/"),
        ("conn/x.c", '#include "conn.h"\n', "no path from csrc/"),
        ("other/x.c", "", "other/ is no layer"),
        ("x.c", "", "only module.c stands outside"),
        (
            "conn/conn.c",
            '#include "base/span.h"\n#include "conn/conn.h"\n',
            '"conn/conn.h" must come first',
        ),
        (
            "base/span.h",
            '#include "base/span.h"\n',
            "headers include each other: base/span.h -> base/span.h",
        ),
    ],
)
def test_layers_out_of_order(csrc: Path, name: str, text: str, finding: str) -> None:
    write(csrc, name, text)
    findings = layer_findings(csrc)
    assert len(findings) == 1
    assert finding in findings[0]


def c_findings(tmp_path: Path, name: str, text: str) -> list[str]:
    """Lint one file in a tree of its own."""
    for tool in ("tools/lint_c.py",):
        write(tmp_path, tool, (ROOT / tool).read_text())
    write(tmp_path, name, text)
    command = [sys.executable, str(tmp_path / "tools/lint_c.py"), "--no-compile"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines() if done.returncode else []


SPDX = "/* SPDX-License-Identifier: MIT */\n"
GUARD = "#ifndef CUVEE_BASE_X_H\n#define CUVEE_BASE_X_H\n#endif\n"


def test_c_in_order(tmp_path: Path) -> None:
    text = (
        SPDX + 'static int\nf(void)\n{\n    return sizeof("gets(x)"); /* not strcpy(a, b) */\n}\n'
    )
    assert c_findings(tmp_path, "csrc/base/x.c", text) == []
    assert c_findings(tmp_path, "csrc/base/x.h", SPDX + GUARD) == []


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("csrc/base/x.c", "int x;\n", "x.c:1: the first line must be"),
        ("csrc/base/x.c", SPDX + "\n" * 600, "the file has 601 lines"),
        ("csrc/base/x.c", SPDX + "int x; /*" + "-" * 120 + "*/\n", "x.c:2: 131 columns"),
        ("csrc/base/x.c", SPDX + "\tint x;\n", "a tab"),
        ("csrc/base/x.c", SPDX + "/* TO" + "DO: more */\n", "open work belongs"),
        ("csrc/base/x.c", SPDX + "int x = strcpy(a, b);\n", "strcpy is banned"),
        ("csrc/net/x.c", SPDX + 'int x = printf("x");\n', "nothing below py/ prints"),
        ("csrc/base/x.c", SPDX + "int\nopen_it(void)\n{\n}\n", "must be called cv_NOUN_VERB"),
        (
            "csrc/base/x.c",
            SPDX + "int\ncv_x_run(void)\n{\n" + "    ;\n" * 101 + "}\n",
            "cv_x_run has 102 lines",
        ),
        ("csrc/base/y.h", SPDX + GUARD, "the guard must be CUVEE_BASE_Y_H"),
    ],
)
def test_c_out_of_order(tmp_path: Path, name: str, text: str, finding: str) -> None:
    findings = c_findings(tmp_path, name, text)
    assert len(findings) == 1
    assert finding in findings[0]
