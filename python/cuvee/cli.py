# SPDX-License-Identifier: MIT
"""The `cuvee` command: options with uvicorn's names, one line for every mistake."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from cuvee import __version__
from cuvee.kinds import Kind
from cuvee.options import OPTIONS
from cuvee.settings import (
    Settings,
    SettingsError,
    did_you_mean,
    find_file,
    gather,
    render,
    with_source,
)

USAGE_ERROR = 2


def main(args: Sequence[str] | None = None) -> int:
    """Run the command with `args` (default: the process's own) and return its exit code."""
    given = _parse(args)
    if os.getpid() == 1:
        # The kernel gives process 1 no default actions, and an import may take a while.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    mode = given.pop("mode", "serve")
    try:
        settings = _gather(given)
        if mode == "print":
            print(render(settings.values, _defaults()))
            return 0
        return _serve(settings, only_check=mode == "check")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _gather(given: dict[str, Any]) -> Settings:
    file = find_file(given.pop("config", None) or os.environ.get("CUVEE_CONFIG"))
    try:
        settings = gather(given, os.environ, file)
    except SettingsError as exc:
        _fail(str(exc))
    for warning in settings.warnings:
        print(f"cuvee: warning: {warning}", file=sys.stderr)
    return settings


def _serve(settings: Settings, *, only_check: bool) -> int:
    from cuvee.config import Config
    from cuvee.one_way import refuse_several_workers
    from cuvee.runner import print_failure, run_config

    values = {name: setting.value for name, setting in settings.values.items()}
    if "app" not in values:
        _fail("missing argument APP, for example main:app (cuvee --help shows all options)")
    values.setdefault("app_dir", "")
    try:
        config = Config(**values)
        refuse_several_workers(config)
    except ValueError as exc:
        _fail(with_source(str(exc), settings.values))
    try:
        if only_check:
            config.load_app()
            print("cuvee: options and application are in order")
        else:
            run_config(config)
    except Exception as exc:
        print_failure(exc)
        return 1
    return 0


def _fail(message: str) -> NoReturn:
    print(f"cuvee: error: {message}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def _defaults() -> dict[str, Any]:
    """Return what the options are that nobody sets: the signature of Config says it."""
    import inspect

    from cuvee.config import Config

    defaults = {
        name: parameter.default for name, parameter in inspect.signature(Config).parameters.items()
    }
    return {**defaults, "app": None, "app_dir": "", "log_config": None}


# ---- parsing -------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Fails with one line, where argparse prints the usage too."""

    def error(self, message: str) -> NoReturn:
        _fail(message.removeprefix("argument "))

    def format_help(self) -> str:
        """Only who asks for help needs the defaults."""
        defaults = _defaults()
        for action in self._actions:
            action.help = _with_default(action.help or "", defaults.get(action.dest))
        return super().format_help()


def _with_default(text: str, default: Any) -> str:
    """Show a default in the help, where there is one to show."""
    text = text.replace("%", "%%")
    if (
        "[default:" in text
        or default in (None, "", False)
        or not isinstance(default, str | int | float)
    ):
        return text  # there is none, or the text itself says it
    return f"{text} [default: {'on' if default is True else default}]"


class _HelpFormatter(argparse.HelpFormatter):
    """Leaves room for long names."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)


class _Version(argparse.Action):
    """Prints the versions that a bug report needs."""

    def __call__(self, *_: object) -> NoReturn:
        import platform

        print(
            f"Running cuvee {__version__} with {platform.python_implementation()} "
            f"{platform.python_version()} on {platform.system()}"
        )
        sys.exit(0)


def _parse(args: Sequence[str] | None) -> dict[str, Any]:
    """Return what the command line says, as text, lists of texts, and flags."""
    parser = _build_parser()
    options, unknown = parser.parse_known_args(args)
    for argument in unknown:
        if argument.startswith("-"):
            _fail(_unknown_option(parser, argument.partition("=")[0]))
    if unknown:
        _fail(f"unexpected argument {unknown[0]!r} after APP")
    return vars(options)


def _unknown_option(parser: argparse.ArgumentParser, option: str) -> str:
    known = [name for action in parser._actions for name in action.option_strings]
    hint = did_you_mean(option, known) or " cuvee --help shows all options."
    return f"no such option: {option!r}.{hint}"


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cuvee",
        usage="cuvee [OPTIONS] APP",
        description="Serve an ASGI application over HTTP and WebSocket.",
        epilog="Every option may also come from a variable, CUVEE_ and its name in capitals, or "
        "from cuvee.toml or [tool.cuvee] in pyproject.toml: the command line goes before "
        "variables, and these before a file.",
        formatter_class=_HelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    groups: dict[str, Any] = {}
    for option in OPTIONS:
        if option.group not in groups:
            groups[option.group] = group = parser.add_argument_group(option.group)
            if len(groups) == 1:
                group.add_argument("app", metavar="APP", nargs="?", help=_APP_HELP)
        groups[option.group].add_argument(
            option.option_string, dest=option.name, help=option.help, **_way_of(option.kind)
        )
    _add_other(parser)
    return parser


_APP_HELP = "where the application is: module:attribute, for example main:app"


def _way_of(kind: Kind) -> dict[str, Any]:
    """Return how argparse is to take a kind's text; what it means is seen later, with its source."""
    if kind.is_flag:
        return {"action": argparse.BooleanOptionalAction}
    return {"action": "append" if kind.is_many else "store", "metavar": kind.metavar}


def _add_other(parser: argparse.ArgumentParser) -> None:
    other = parser.add_argument_group("other options")
    other.add_argument(
        "--config",
        metavar="FILE",
        help="a TOML file with options [default: cuvee.toml or pyproject.toml, if there is one]",
    )
    other.add_argument(
        "--check-config",
        dest="mode",
        action="store_const",
        const="check",
        help="look whether options and application are in order, and exit",
    )
    other.add_argument(
        "--print-config",
        dest="mode",
        action="store_const",
        const="print",
        help="show every option's value and where it comes from, and exit",
    )
    other.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    other.add_argument("--help", "-h", action="help", help="show this help and exit")
