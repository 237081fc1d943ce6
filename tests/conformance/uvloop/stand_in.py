# SPDX-License-Identifier: MIT
"""What uvloop's tests find under the name `uvloop`: cuvee's loop.

This file is written into the folder of the unpacked suite as `uvloop/__init__.py`, beside uvloop's
own `_testbase.py`, so that the programs which its tests start find it too.
"""

from __future__ import annotations

import asyncio

from cuvee.loop import Loop, new_event_loop, run

__all__ = ["EventLoopPolicy", "Loop", "new_event_loop", "run"]


class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """asyncio's policy, with loops of cuvee's."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new loop."""
        return new_event_loop()
