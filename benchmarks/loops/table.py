"""What a run of loops found: medians, the ratios of each round, and how they are printed."""

from __future__ import annotations

from typing import Any

from benchmarks import report
from benchmarks.loops.works import WORKS
from benchmarks.turns import Outcome


def of_work(name: str, outcome: Outcome) -> dict[str, Any]:
    """One work: the loops that did it, with their medians and ratios, and those that failed."""
    return {
        "work": name,
        "title": WORKS[name].title,
        "loops": [
            {
                "loop": loop,
                "median": report.medians(rounds),
                "cpu_ratio_to": report.ratios(loop, outcome.rounds),
                "rounds": {figure: [one[figure] for one in rounds] for figure in rounds[0]},
            }
            for loop, rounds in outcome.rounds.items()
        ],
        "failed": outcome.failed,
    }


def speeds(result: dict[str, Any], loop: str) -> dict[str, float]:
    """How many times the speed of each other loop one has in a work, by the CPU time it takes."""
    for row in result["loops"]:
        if row["loop"] == loop:
            return {other: 1 / ratio for other, ratio in row["cpu_ratio_to"].items()}
    return {}


def head(loops: list[str]) -> str:
    """The first line of the printed table."""
    others = "".join(f"{'/' + loop:>12}" for loop in loops[1:])
    return f"{'':40}{'CPU µs':>10}{'a second':>12}{others}"


def line(result: dict[str, Any], loops: list[str]) -> str:
    """A work: what it costs the first loop, and that one's speed beside each other's.

    A `<` stands behind what is less than demanded of cuvee's loop, a `–` where a loop did not do it.
    """
    first, *others = loops
    median = next((row["median"] for row in result["loops"] if row["loop"] == first), None)
    text = f"{result['title']:40}"
    text += f"{median['cpu_us']:10.3f}{median['per_second']:12,.0f}" if median else f"{'–':>22}"
    found = speeds(result, first)
    for other in others:
        wanted = WORKS[result["work"]].wanted_of(other) if first == "cuvee" else 0
        short = found.get(other, 0) < wanted
        text += f"{found[other]:11.2f}{'<' if short else ' '}" if other in found else f"{'–':>11} "
    return text.rstrip()


def failures(result: dict[str, Any]) -> list[str]:
    """Who did not do a work, and why."""
    return [f"    {loop}: {reason}" for loop, reason in result["failed"].items()]
