"""The build switches of the environment, as compiler and linker flags."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import BuildError

_SANITIZERS = ("address", "undefined", "leak", "thread")

OPTIMISE = ["-O3"]
"""How everything is optimised. What is optimised when linking has to be told it again."""
if sys.platform.startswith("linux"):
    OPTIMISE.append("-fno-plt")  # most calls are into libpython: they go there without a detour


def _is_on(env: Mapping[str, str], name: str, default: bool = False) -> bool:
    value = env.get(name, "").strip().lower()
    if not value:
        return default
    if value in ("0", "no", "false", "off"):
        return False
    if value in ("1", "yes", "true", "on"):
        return True
    raise BuildError(f"{name} must be 0 or 1, not {env[name]!r}")


@dataclass(frozen=True)
class Switches:
    """What was asked for.

    CUVEE_DEBUG=1               no optimisation, full debug information, assertions
    CUVEE_SANITIZE=a,b          address, undefined, leak or thread sanitizer, assertions
    CUVEE_COVERAGE=1            gcov counters, assertions
    CUVEE_WERROR=1              a warning in our own files is an error
    CUVEE_LTO=0                 no optimisation at link time; so by default with those above
    CUVEE_PGO=1                 optimisation by the profile of a training run
    CUVEE_BUILD_SYSTEM_LIBS=1   the system's libuv and llhttp
    """

    debug: bool = False
    sanitize: tuple[str, ...] = ()
    coverage: bool = False
    werror: bool = False
    lto: bool = True
    pgo: bool = False
    system_libs: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Switches:
        """Read the switches; a value that means nothing is an error."""
        sanitize = tuple(s for s in env.get("CUVEE_SANITIZE", "").replace(" ", "").split(",") if s)
        for name in sanitize:
            if name not in _SANITIZERS:
                raise BuildError(f"CUVEE_SANITIZE: {name!r} is none of {', '.join(_SANITIZERS)}")
        debug, coverage = _is_on(env, "CUVEE_DEBUG"), _is_on(env, "CUVEE_COVERAGE")
        werror, pgo = _is_on(env, "CUVEE_WERROR"), _is_on(env, "CUVEE_PGO")
        checks = debug or coverage or bool(sanitize)
        lto = _is_on(env, "CUVEE_LTO", default=pgo or not (checks or werror))
        if checks and (lto or pgo):
            raise BuildError(
                f"CUVEE_{'PGO' if pgo else 'LTO'}=1 optimises, which goes with none of "
                "CUVEE_DEBUG, CUVEE_SANITIZE and CUVEE_COVERAGE"
            )
        return cls(
            debug=debug,
            sanitize=sanitize,
            coverage=coverage,
            werror=werror,
            lto=lto,
            pgo=pgo,
            system_libs=_is_on(env, "CUVEE_BUILD_SYSTEM_LIBS"),
        )

    def third_party_flags(self) -> list[str]:
        """Flags for the compilation of libuv and llhttp."""
        flags = ["-fPIC", "-fvisibility=hidden"]
        flags += ["-O0", "-g3"] if self.debug else [*OPTIMISE, "-g"]
        if self.sanitize:
            flags += ["-O1", "-fno-omit-frame-pointer", f"-fsanitize={','.join(self.sanitize)}"]
            flags += ["-fno-sanitize-recover=all"] if "undefined" in self.sanitize else []
        if self.with_assertions():  # glibc's fortification wants optimisation, and hides from ASan
            return [*flags, "-UNDEBUG", "-U_FORTIFY_SOURCE"]
        return [*flags, "-DNDEBUG"]

    def own_flags(self) -> list[str]:
        """Flags for the compilation of our own files."""
        flags = ["-std=gnu11", *self.third_party_flags(), "-Wall", "-Wextra"]
        flags += ["-Werror"] if self.werror else []
        flags += ["--coverage", "-O0"] if self.coverage else []
        return flags

    def link_flags(self) -> list[str]:
        """Flags for linking."""
        flags = [f"-fsanitize={','.join(self.sanitize)}"] if self.sanitize else []
        return flags + (["--coverage"] if self.coverage else [])

    def name(self) -> str:
        """A name for the objects of this kind of build, so that kinds do not replace each other."""
        parts = ["debug"] if self.debug else []
        parts += ["coverage"] if self.coverage else []
        parts += [*self.sanitize]
        if self.with_assertions():
            return "-".join(parts)
        return "trained" if self.pgo else "release" if self.lto else "plain"

    def with_assertions(self) -> bool:
        """Whether assert() checks."""
        return self.debug or self.coverage or bool(self.sanitize)
