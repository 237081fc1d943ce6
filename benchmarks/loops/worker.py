"""The process of one loop and one work: `python -m benchmarks.loops.worker LOOP WORK SETTINGS`.

It says in a line of JSON that it is ready. A server then serves until its input ends. What works by
itself gets lines with a number of seconds, works that long, and says in a line what it did.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from benchmarks.loops.works import WORKS


def main(loop: str, name: str, settings: Mapping[str, str]) -> None:
    """Do a work on a loop."""
    module, _, function = WORKS[name].code.partition(":")
    code = getattr(importlib.import_module(f"benchmarks.loops.{module}"), function)
    factory = importlib.import_module(loop).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if WORKS[name].exchange is not None:
            runner.run(_serve(code(settings)))
            return
        batches = code(settings)
        runner.run(anext(batches))  # what happens once, and is not counted
        _say(ready=True)
        for line in sys.stdin:
            _say(**runner.run(_work(batches, float(line))))
        runner.run(batches.aclose())


async def _serve(addresses: AsyncIterator[str]) -> None:
    async for address in addresses:
        _say(address=address)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _work(batches: AsyncIterator[int], seconds: float) -> dict[str, float]:
    """Go on with a work for a while."""
    count = 0
    cpu, begin = _cpu_seconds(), time.perf_counter()
    while time.perf_counter() < begin + seconds:
        count += await anext(batches)
    return {
        "count": count,
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": _cpu_seconds() - cpu,
    }


def _cpu_seconds() -> float:
    """What this process and the programs that it has waited for have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _say(**said: Any) -> None:
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
