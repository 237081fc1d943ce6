# SPDX-License-Identifier: MIT
"""Lets programs that import uvicorn run on cuvee: `import uvicorn` then means this.

`cuvee.compat.install()` at the beginning of a program, or `python -m cuvee.compat program.py`. Nothing
happens before somebody asks for it.
"""

from __future__ import annotations

import sys

from cuvee.compat.modules import UVICORN, Finder, StandIn

__all__ = ["install"]


def install() -> None:
    """Have `import uvicorn`, and imports of its modules, give what cuvee has under these names.

    Raises RuntimeError when uvicorn itself has been imported: what others took from it would go on
    being uvicorn's. A second call does nothing.
    """
    if is_installed():
        return
    for name, module in sys.modules.items():
        of_uvicorn = name == UVICORN or name.startswith(f"{UVICORN}.")
        if of_uvicorn and type(module) not in (StandIn, type(None)):
            raise RuntimeError(
                "uvicorn has been imported already: call cuvee.compat.install() before, "
                "or start the program with python -m cuvee.compat"
            )
    sys.meta_path.insert(0, Finder())


def is_installed() -> bool:
    """Say whether `import uvicorn` means cuvee in this process."""
    return any(isinstance(finder, Finder) for finder in sys.meta_path)
