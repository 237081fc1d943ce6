# SPDX-License-Identifier: MIT
"""anyio's own tests on cuvee's loop."""
