# SPDX-License-Identifier: MIT
"""What is known of one option, wherever it is given."""

from __future__ import annotations

from typing import NamedTuple

from cuvee.kinds import Kind


class Option(NamedTuple):
    """One option."""

    name: str
    """The argument of Config, the key in a file, and in capitals the end of a variable's name."""
    kind: Kind
    group: str
    """The heading that it stands under in the help."""
    help: str
    flag: str = ""
    """On the command line, where that is not the name with hyphens: the singular of a list."""

    @property
    def option_string(self) -> str:
        """What the command line has, for example --log-level."""
        return self.flag or "--" + self.name.replace("_", "-")
