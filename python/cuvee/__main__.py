# SPDX-License-Identifier: MIT
"""`python -m cuvee` is the `cuvee` command."""

from __future__ import annotations

import sys

from cuvee.cli import main

if __name__ == "__main__":
    sys.exit(main())
