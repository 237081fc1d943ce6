# SPDX-License-Identifier: MIT
"""The `cuvee` command: options with uvicorn's names, one line for every mistake."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from cuvee import __version__

LOG_LEVEL_NAMES = ("critical", "error", "warning", "info", "debug", "trace")
EXTENSION_NAMES = ("early_hint", "trailers", "pathsend", "zerocopysend")
USAGE_ERROR = 2


def main(args: Sequence[str] | None = None) -> int:
    """Run the command with `args` (default: the process's own) and return its exit code."""
    options = _parse(args)
    if os.getpid() == 1:
        # The kernel gives process 1 no default actions, and an import may take a while.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        return _serve(options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _serve(options: argparse.Namespace) -> int:
    from cuvee.config import Config
    from cuvee.importer import application_traceback
    from cuvee.runner import run_config

    named = vars(options)
    sys.path.insert(0, named.pop("app_dir"))
    try:
        config = Config(**named)
    except ValueError as exc:
        _fail(str(exc))
    try:
        run_config(config)
    except Exception as exc:
        import traceback

        traceback.print_exception(exc.with_traceback(application_traceback(exc.__traceback__)))
        return 1
    return 0


def _fail(message: str) -> NoReturn:
    print(f"cuvee: error: {message}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


# ---- parsing -------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Fails with one line, where argparse prints the usage too."""

    def error(self, message: str) -> NoReturn:
        _fail(message)


class _HelpFormatter(argparse.HelpFormatter):
    """Shows defaults, where there are any to show."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help
        if (
            text is None
            or "[default:" in text
            or action.default in (None, argparse.SUPPRESS, "", False)
        ):
            return text  # there is none, or the text itself says it
        if action.default is True:
            return f"{text} [default: on]"
        return f"{text} [default: %(default)s]"


class _Version(argparse.Action):
    """Prints the versions that a bug report needs."""

    def __call__(self, *_: object) -> NoReturn:
        import platform

        print(
            f"Running cuvee {__version__} with {platform.python_implementation()} "
            f"{platform.python_version()} on {platform.system()}"
        )
        sys.exit(0)


def _parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = _build_parser()
    options, unknown = parser.parse_known_args(args)
    for argument in unknown:
        if argument.startswith("-"):
            _fail(_unknown_option(parser, argument.partition("=")[0]))
    if unknown:
        _fail(f"unexpected argument {unknown[0]!r} after APP")
    if options.app is None:
        _fail("missing argument APP, for example main:app (cuvee --help shows all options)")
    return options


def _unknown_option(parser: argparse.ArgumentParser, option: str) -> str:
    import difflib

    known = [name for action in parser._actions for name in action.option_strings]
    near = difflib.get_close_matches(option, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " cuvee --help shows all options."
    return f"no such option: {option!r}.{hint}"


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a possible number of seconds")
    return value


def _extensions(text: str) -> tuple[str, ...]:
    """Names with commas between, `all` or `none`."""
    if text in ("all", "none"):
        return EXTENSION_NAMES if text == "all" else ()
    names = tuple(text.split(","))
    for name in names:
        if name not in EXTENSION_NAMES:
            known = ", ".join(EXTENSION_NAMES)
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {known}, all, none")
    return names


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cuvee",
        usage="cuvee [OPTIONS] APP",
        description="Serve an ASGI application over HTTP.",
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    _add_application(parser)
    _add_binding(parser)
    _add_logging(parser)
    _add_timeouts(parser)
    _add_limits(parser)
    _add_disconnects(parser)
    _add_process(parser)
    other = parser.add_argument_group("other options")
    other.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="show the version and exit",
    )
    other.add_argument("--help", "-h", action="help", help="show this help and exit")
    return parser


def _add_application(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("application")
    group.add_argument(
        "app",
        metavar="APP",
        nargs="?",
        help="where the application is: module:attribute, for example main:app",
    )
    group.add_argument(
        "--factory", action="store_true", help="APP is a function that returns the application"
    )
    group.add_argument(
        "--app-dir",
        default="",
        metavar="DIR",
        help="where to look for APP's module first [default: the current directory]",
    )
    group.add_argument(
        "--root-path",
        default="",
        metavar="PATH",
        help="the path under which a proxy mounts the application",
    )
    group.add_argument(
        "--lifespan",
        choices=("auto", "on", "off"),
        default="auto",
        help="tell the application when the server starts and stops; "
        "auto: unless it doesn't support that",
    )
    group.add_argument(
        "--extensions",
        type=_extensions,
        default=EXTENSION_NAMES,
        metavar="LIST",
        help="the ASGI extensions of http.response to offer, with commas between: "
        + ", ".join(EXTENSION_NAMES)
        + "; or none [default: all]",
    )


def _add_binding(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where to listen")
    group.add_argument("--host", default="127.0.0.1", metavar="HOST", help="host name or address")
    group.add_argument(
        "--port",
        type=_whole_number(0, 65535),
        default=8000,
        metavar="PORT",
        help="port; 0: any free port, which the log names",
    )
    group.add_argument("--uds", metavar="PATH", help="a Unix socket, in place of host and port")
    group.add_argument(
        "--fd",
        type=_whole_number(0, 2**31 - 1),
        metavar="NUMBER",
        help="an inherited file descriptor of a bound socket, in place of all these",
    )
    group.add_argument(
        "--backlog",
        type=_whole_number(0, 2**31 - 1),
        default=2048,
        metavar="NUMBER",
        help="how many connections may wait to be accepted",
    )


def _add_logging(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logging")
    group.add_argument(
        "--log-level", choices=LOG_LEVEL_NAMES, help="the least severe level [default: info]"
    )
    group.add_argument(
        "--access-log",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a line for each request on standard output",
    )
    group.add_argument(
        "--use-colors",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="coloured log lines [default: on a terminal]",
    )


def _add_timeouts(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("time limits, in seconds")

    def add(option: str, default: float | None, text: str) -> None:
        group.add_argument(option, type=_seconds, default=default, metavar="SECONDS", help=text)

    add("--timeout-keep-alive", 5, "close a connection that sends no other request for so long")
    add("--timeout-head", 30, "answer 408 when a request's head is not complete after so long")
    add("--timeout-body", 60, "answer 408 when nothing of an awaited body comes for so long")
    add(
        "--timeout-unread-body",
        5,
        "close a connection whose answer is complete when the rest of the body is not there "
        "after so long",
    )
    add("--timeout-write", 60, "cut a connection whose client takes nothing for so long")
    add("--timeout-linger", 2, "wait so long for the client to close after the last answer")
    add(
        "--timeout-request",
        None,
        "cancel a request whose answer is not complete after so long: 504, or its connection "
        "is cut [default: never]",
    )
    add(
        "--timeout-graceful-shutdown",
        None,
        "cancel what is still running so long after the stop [default: never]",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")

    def add(
        option: str,
        unit: str,
        default: int | None,
        text: str,
        least: int = 1,
        most: int = 2**30,
    ) -> None:
        group.add_argument(
            option, type=_whole_number(least, most), default=default, metavar=unit, help=text
        )

    add("--limit-request-line", "BYTES", 16384, "answer 414 to a longer request line")
    add("--limit-request-head", "BYTES", 65536, "answer 431 to a larger request head")
    add("--limit-request-fields", "NUMBER", 100, "answer 431 to more fields in a head", most=256)
    add(
        "--limit-request-body",
        "BYTES",
        None,
        "answer 413 to a larger body [default: none]",
        least=0,
        most=2**53,
    )
    add(
        "--limit-body-rate",
        "BYTES_PER_SECOND",
        240,
        "answer 408 to a body that comes more slowly, but for its first 5 seconds; 0: any rate",
        least=0,
    )
    add(
        "--limit-concurrency",
        "NUMBER",
        None,
        "answer 503 while so many connections or requests are there [default: none]",
    )
    add(
        "--limit-requests",
        "NUMBER",
        None,
        "answer 503 while so many requests are under way [default: none]",
    )
    add(
        "--limit-connections",
        "NUMBER",
        None,
        "accept no other while so many connections are there [default: none]",
    )
    add(
        "--limit-connection-requests",
        "NUMBER",
        None,
        "close a connection after so many requests [default: none]",
    )
    add("--limit-read-buffer", "BYTES", 65536, "stop reading when so much waits to be received")
    add("--limit-write-buffer", "BYTES", 65536, "let send wait when so much waits to be written")


def _add_disconnects(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("clients that leave or vanish")
    group.add_argument(
        "--on-disconnect",
        default="notify",
        metavar="POLICY",
        help="what becomes of a request whose client leaves before its answer is complete; "
        "notify: it is told, and goes on; cancel: its task is cancelled; cancel:SECONDS: so "
        "long after it was told",
    )
    group.add_argument(
        "--cancel-methods",
        choices=("all", "safe"),
        default="all",
        help="which requests that is done to; safe: GET, HEAD, OPTIONS and QUERY only",
    )
    group.add_argument(
        "--half-close",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="a client that has ended what it sends has not left: it gets its answers",
    )
    group.add_argument(
        "--tcp-user-timeout",
        type=_seconds,
        default=0,
        metavar="SECONDS",
        help="let the kernel end a connection whose client acknowledges nothing for so long, or "
        "has no room; 0: as the system does; Linux only",
    )
    group.add_argument(
        "--tcp-keepalive",
        type=_whole_number(0, 32767),
        default=0,
        metavar="SECONDS",
        help="let the kernel ask a client that says nothing for so long whether it is still "
        "there; 0: never",
    )


def _add_process(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("process")
    group.add_argument(
        "--gc-freeze",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="collect garbage when the application has started, and leave what is there then "
        "out of later collections",
    )
