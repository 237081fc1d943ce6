"""Builds the extension `cuvee._core`; everything that is not C is in pyproject.toml."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist
from setuptools.errors import LinkError

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # an isolated build does not have it there

from build_support import compiler, libraries, sources  # noqa: E402
from build_support.errors import BuildError  # noqa: E402
from build_support.profiles import profile_of  # noqa: E402
from build_support.switches import Switches  # noqa: E402
from build_support.tuning import PLAIN, Tuning, link_time  # noqa: E402


class BuildCore(build_ext):
    """Compiles csrc/ in parallel, only what has changed, and links libuv, llhttp and zlib."""

    def finalize_options(self) -> None:
        """Keep the objects of each kind of build apart."""
        super().finalize_options()
        self.build_temp = str(Path(self.build_temp) / Switches.from_env().name())

    def build_extension(self, ext: Extension) -> None:
        """Build one extension; every failure is one line."""
        switches = Switches.from_env()
        compiler.require(self.compiler.compiler_so)
        self.need_python_header()
        cc = compiler.driver(self.compiler.compiler_so)
        tuning = link_time(cc) if switches.lto else PLAIN
        if tuning is None:
            print("cuvee: this compiler and linker do not optimise at link time")
            tuning = PLAIN
        target = Path(self.get_ext_fullpath(ext.name))
        if switches.pgo:
            profile = profile_of(cc, Path(self.build_temp).absolute())
            site = self.make_training_site()
            counting = tuning.with_profile(profile.counting_flags())
            self.compile_and_link(ext, switches, counting, site / "cuvee" / target.name)
            profile.train(site)
            tuning = tuning.with_profile(profile.using_flags())
        self.compile_and_link(ext, switches, tuning, target)

    def compile_and_link(
        self, ext: Extension, switches: Switches, tuning: Tuning, target: Path
    ) -> None:
        """Make one shared object."""
        cc = [*self.compiler.compiler_so]
        work = Path(self.build_temp).absolute()
        library = libraries.prepare(ROOT, work, switches, compiler.driver(cc), tuning)
        flags = [*switches.own_flags(), *tuning.compile_flags]
        flags += [f'-DCUVEE_VERSION="{self.distribution.get_version()}"']
        flags += [f"-I{ROOT / 'csrc'}", *library.includes]
        flags += [f"-I{name}" for name in self.compiler.include_dirs]
        files = [ROOT / name for name in ext.sources]
        objects = compiler.compile_all(cc, flags, files, ROOT, work)
        link_flags = [*switches.link_flags(), *tuning.link_flags, *library.link_flags]
        try:
            self.compiler.link_shared_object(
                [*map(str, objects), *library.objects],
                str(target),
                extra_postargs=link_flags,
                build_temp=self.build_temp,
            )
        except LinkError as error:
            raise BuildError(
                f"{ext.name} does not link (the linker's messages stand above)"
            ) from error

    def make_training_site(self) -> Path:
        """Put the package's Python files where the counting extension will be put."""
        site = Path(self.build_temp).absolute() / "site"
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(ROOT / "python" / "cuvee", site / "cuvee")
        return site

    def need_python_header(self) -> None:
        """Say which package is missing, in place of the compiler's hundred lines."""
        paths = {*self.compiler.include_dirs, sysconfig.get_path("include")}
        if not any(Path(path, "Python.h").is_file() for path in paths):
            raise BuildError(
                f"there is no Python.h for Python {sys.version_info[0]}.{sys.version_info[1]} in "
                f"{sysconfig.get_path('include')}; install Python's headers (python3-dev)"
            )


class SourceDistribution(sdist):
    """Adds the third-party sources, so that the result builds without an index."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy our files, then unpack the pinned archives beside them."""
        super().make_release_tree(base_dir, files)
        sources.ship(ROOT, Path(base_dir, "third_party"))


# License-Expression came with setuptools 77.
IS_NEW = int(setuptools.__version__.partition(".")[0]) >= 77
LICENSE: dict[str, Any] = {"license_expression" if IS_NEW else "license": "MIT"}

setup(
    license_files=["LICENSE", "licenses/*"],
    **LICENSE,
    ext_modules=[
        Extension(
            "cuvee._core",
            sources=sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("csrc/**/*.c")),
        )
    ],
    cmdclass={"build_ext": BuildCore, "sdist": SourceDistribution},
)
