# SPDX-License-Identifier: MIT
"""The table of what the RFCs demand: each case that it names is there, each row names a case or a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.answer_corpus import read_answers
from tests.wire.parser_corpus import read_corpus

TABLE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
HEADER = "| section | what it asks | cases | otherwise |\n|---|---|---|---|\n"
NAMES = [case.name for case in read_corpus()] + [case.name for case in read_answers()]

_PART = re.compile(r"^## RFC (\d+)\n\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_CASES = re.compile(r"`([^`]+)`(?:, (?=`)|$)")


@dataclass(frozen=True)
class Row:
    """One demand."""

    rfc: str
    section: str
    asks: str
    cases: tuple[str, ...]
    otherwise: str

    @property
    def name(self) -> str:
        """The row as the test report calls it."""
        return f"{self.rfc} {self.section} {self.asks}"


def read_row(rfc: str, line: str) -> Row:
    """Read one line of a table, which has four cells and nothing but cases in the third one."""
    start, section, asks, cases, otherwise, end = [cell.strip() for cell in line.split("|")]
    assert start == end == "" and asks, line
    assert _CASES.sub("", cases) == "", f"not a case: {_CASES.sub('', cases)}"
    return Row(rfc, section, asks, tuple(_CASES.findall(cases)), otherwise)


def read_table() -> list[Row]:
    """Give all rows of both tables."""
    rows = []
    for rfc, text in _PART.findall(TABLE.read_text(encoding="utf-8")):
        assert text.startswith(HEADER), f"RFC {rfc} has no table"
        rows += [read_row(rfc, line) for line in text[len(HEADER) :].strip().split("\n")]
    return rows


ROWS = read_table()


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_row_names_cases_that_are_there_or_a_reason(row: Row) -> None:
    assert row.cases or row.otherwise
    assert [case for case in row.cases if case not in NAMES] == []
    assert len(set(row.cases)) == len(row.cases)
    assert re.fullmatch(r"\d+(\.\d+)*", row.section)


def test_the_tables_are_in_order_and_whole() -> None:
    assert sorted({row.rfc for row in ROWS}) == ["9110", "9112"]
    for rfc in ("9110", "9112"):
        sections = [
            [int(part) for part in row.section.split(".")] for row in ROWS if row.rfc == rfc
        ]
        assert sections == sorted(sections)
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len(ROWS) > 150


def test_no_two_cases_have_one_name() -> None:
    assert sorted(set(NAMES)) == sorted(NAMES)
    assert len(NAMES) > 800
