"""Write the tables of committed results into the README, between its two markers.

``--check`` changes nothing and fails when the README says something else than the results do.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BEGIN = "<!-- numbers: written by benchmarks/render.py -->\n"
END = "<!-- end of numbers -->\n"
TITLES = {
    "hello": "raw ASGI, 13 bytes",
    "fastapi": "FastAPI, one JSON object",
    "fastapi-items": "FastAPI, parameters and a validated list",
}


def main() -> int:
    """Render, or check what was rendered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether README.md is right")
    check: bool = parser.parse_args().check
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print("benchmarks/render.py: README.md lacks the markers", file=sys.stderr)
        return 1
    wanted = before + BEGIN + render(sorted(RESULTS.glob("*.json"))) + END + after
    if check and text != wanted:
        print("README.md is behind the results: run benchmarks/render.py", file=sys.stderr)
        return 1
    if not check:
        readme.write_text(wanted, encoding="utf-8")
    return 0


def render(paths: list[Path]) -> str:
    """The tables of all results, one behind the other, as Markdown."""
    return "".join(_table(json.loads(path.read_text(encoding="utf-8"))) for path in paths)


def _table(report: dict[str, Any]) -> str:
    machine = report["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    system = machine["system"].partition("-")[0]
    log = "on" if machine["access_log"] else "off"
    conditions = (
        f"{machine['python']} on one core ({machine['cpu']}, {system}), "
        f"{machine['connections']} connections, access log {log}; "
        f"medians of {machine['rounds']} interleaved rounds of {machine['seconds']} s, "
        f"{machine['date']}; {packages}."
    )
    lines = [
        *textwrap.wrap(conditions, 110),
        "",
        "| work | server | CPU µs per request | ratio | requests/s | p50 ms | p99 ms |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for result in report["works"]:
        for server in result["servers"]:
            median = server["median"]
            lines.append(
                f"| {TITLES.get(result['work'], result['work'])} | {server['server']} "
                f"| {median['cpu_us_per_request']:.1f} | {server['cpu_ratio']['median']:.2f} "
                f"| {median['per_second']:,.0f} | {median['p50_us'] / 1000:.2f} "
                f"| {median['p99_us'] / 1000:.2f} |"
            )
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    sys.exit(main())
