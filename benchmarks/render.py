"""Write the tables of committed results into the README, between its markers.

``--check`` changes nothing and fails when the README says something else than the results do.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BEGIN = "<!-- {}: written by benchmarks/render.py -->\n"
END = "<!-- end of {} -->\n"
FAILED = "–"
LEFT_OUT = re.compile(r"-unix-|-(tcp|tls)-(64|65536)$")
"""Works of loops that the README does not show."""
# What the README says of what is measured without requests: the figure in the results, its title, how it is written.
FOOTPRINT = (
    ("private_mb", "private memory, MB", "{:.1f}"),
    ("start_ms", "start to first response, ms", "{:.0f}"),
    ("bytes_per_connection", "bytes per idle connection", "{:,.0f}"),
    ("idle_cpu_ms", "CPU ms in 10 s idle", "{:.1f}"),
    ("idle_calls", "system calls in 10 s idle", "{:.0f}"),
    ("calls_per_request", "system calls per request", "{:.2f}"),
)

IDLE_WEBSOCKETS = (
    ("bytes", "bytes each", "{:,.0f}"),
    ("bytes_above_bare", "above a task that holds the same scope", "{:,.0f}"),
    ("bytes_offered", "bytes each, where clients offer compression", "{:,.0f}"),
    ("cpu_percent", "CPU, % of a core", "{:.2f}"),
    ("pings", "pings sent meanwhile", "{:,.0f}"),
)


def main() -> int:
    """Render, or check what was rendered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether README.md is right")
    check: bool = parser.parse_args().check
    readme = ROOT / "README.md"
    wanted = text = readme.read_text(encoding="utf-8")
    try:
        wanted = replaced(wanted, "numbers", render(sorted(RESULTS.glob("cpython*.json"))))
        websocket = render(sorted(RESULTS.glob("websocket-*.json")), "message")
        wanted = replaced(wanted, "websocket", websocket)
        wanted = replaced(wanted, "loops", render_loops(sorted(RESULTS.glob("loops-*.json"))))
    except ValueError as error:
        print(f"benchmarks/render.py: {error}", file=sys.stderr)
        return 1
    if check and text != wanted:
        print("README.md is behind the results: run benchmarks/render.py", file=sys.stderr)
        return 1
    if not check:
        readme.write_text(wanted, encoding="utf-8")
    return 0


def replaced(text: str, name: str, content: str) -> str:
    """A text with other content between the two markers of that name."""
    before, begin, rest = text.partition(BEGIN.format(name))
    _, end, after = rest.partition(END.format(name))
    if not begin or not end:
        raise ValueError(f"README.md lacks the markers of {name}")
    return before + begin + content + end + after


def render_loops(paths: list[Path]) -> str:
    """The tables of event loops, as Markdown; of echoes, those over TCP and of one size."""
    text = ""
    for path in paths:
        result = json.loads(path.read_text(encoding="utf-8"))
        works = [one for one in result["works"] if not LEFT_OUT.search(one["work"])]
        loops = list(dict.fromkeys(row["loop"] for work in works for row in work["loops"]))
        lines = [*_conditions("CPU µs per call", result), ""]
        lines += [_line("work", loops), f"|---|{'---:|' * len(loops)}"]
        for work in works:
            costs = {row["loop"]: row["median"]["cpu_us"] for row in work["loops"]}
            lines.append(_line(work["title"], [_fine_cost(costs.get(loop)) for loop in loops]))
        text += "\n".join([*lines, "", ""])
    return text


def render(paths: list[Path], unit: str = "request") -> str:
    """The tables of all servers, one behind the other, as Markdown."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return "".join(
        "\n".join(
            [
                *_conditions(f"CPU µs per {unit}", report),
                "",
                *_works(report),
                *_figures("serving hello", FOOTPRINT, report["footprint"]),
                *_idle_websockets(report.get("idle_websockets", [])),
                "",
            ]
        )
        for report in reports
    )


def _conditions(what: str, report: dict[str, Any]) -> list[str]:
    machine = report["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    system = machine["system"].partition("-")[0]
    text = (
        f"{what}, {machine['python']} on one core ({machine['cpu']}, {system}), "
        f"medians of {machine['rounds']} interleaved rounds of {machine['seconds']} s, "
        f"{machine['date']}; {packages}."
    )
    if any(work["failed"] for work in report["works"]):
        text += f" {FAILED}: not measured, or it failed; the results say why."
    return textwrap.wrap(text, 110)


def _works(report: dict[str, Any]) -> list[str]:
    """A line for each work, a column for each server."""
    # The work that most servers did tells in which order they were measured.
    fullest = sorted(report["works"], key=lambda work: -len(work["servers"]))
    names = list(dict.fromkeys(row["server"] for work in fullest for row in work["servers"]))
    names.sort(key=lambda name: name != "cuvee")
    lines = [_line("work", names), f"|---|{'---:|' * len(names)}"]
    for work in report["works"]:
        costs = {row["server"]: row["median"]["cpu_us"] for row in work["servers"]}
        lines.append(_line(work["title"], [_cost(costs.get(name)) for name in names]))
    return [*lines, ""]


def _idle_websockets(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    title = f"{rows[0]['connections']:,} idle WebSockets, {rows[0]['seconds']} s"
    return _figures(title, IDLE_WEBSOCKETS, rows)


def _figures(
    title: str, figures: tuple[tuple[str, str, str], ...], rows: list[dict[str, Any]]
) -> list[str]:
    """A line for each figure of what is measured without requests, a column for each server."""
    if not rows:
        return []
    names = [row["server"] for row in rows]
    lines = [_line(title, names), f"|---|{'---:|' * len(names)}"]
    for figure, name, form in figures:
        cells = [form.format(row[figure]) if figure in row else FAILED for row in rows]
        lines.append(_line(name, cells))
    return [*lines, ""]


def _cost(microseconds: float | None) -> str:
    if microseconds is None:
        return FAILED
    return f"{microseconds:.1f}" if microseconds < 100 else f"{microseconds:,.0f}"


def _fine_cost(microseconds: float | None) -> str:
    """A cost that may be far below a microsecond."""
    if microseconds is None or microseconds >= 10:
        return _cost(microseconds)
    return f"{microseconds:.2f}" if microseconds >= 1 else f"{microseconds:.3f}"


def _line(title: str, cells: list[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
