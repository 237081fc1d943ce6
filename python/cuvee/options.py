# SPDX-License-Identifier: MIT
"""Every option of a server, once: the command line, the environment and files take them from here.

The default of an option stands in the signature of `Config`, which has an argument for each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

from cuvee.fields import Field
from cuvee.kinds import (
    Anything,
    Choice,
    Directories,
    Flag,
    Form,
    Level,
    Many,
    Octal,
    Path,
    Seconds,
    Some,
    Text,
    Whole,
)
from cuvee.logging import LOG_LEVELS
from cuvee.loop_choice import LOOPS, look_at
from cuvee.one_way import WORKERS
from cuvee.one_way_options import ONE_WAY_OPTIONS
from cuvee.option import Option
from cuvee.option_kinds import (
    EXTENSIONS,
    MOST,
    MOST_BODY,
    MOST_FIELDS,
    MOST_HOPS,
    MOST_KEEPALIVE,
    MOST_THREADS,
    MOST_USER_TIMEOUT,
    AccessFormat,
    Host,
    Hosts,
    UserTimeout,
    cancel_grace,
    health_path,
)
from cuvee.places import FORMS, parse_place
from cuvee.process_name import find_setter
from cuvee.users import find_group, find_owner, find_user
from cuvee.websocket_options import WEBSOCKET_OPTIONS

Value = TypeVar("Value")


def _bytes(*, least: int = 1, most: int = MOST, optional: bool = False) -> Whole:
    return Whole(least, most, "BYTES", optional=optional)


def _number(*, optional: bool = False) -> Whole:
    return Whole(1, MOST, optional=optional)


APP = "application"
LISTEN = "where to listen"
LOGS = "logging"
TIMES = "time limits, in seconds"
LIMITS = "limits"
CLIENTS = "clients that leave or vanish"
PROXIES = "proxies"
ANSWERS = "answers"
RELOAD = "reload"
PROCESS = "process"

OPTIONS = (
    # ---- the application
    Option("factory", Flag(), APP, "APP is a function that returns the application"),
    Option(
        "app_dir",
        Path("DIR", optional=True),
        APP,
        "where to look for APP's module first [default: the current directory]",
    ),
    Option("root_path", Text("PATH"), APP, "the path under which a proxy mounts the application"),
    Option(
        "interface",
        Choice(("auto", "asgi3", "asgi2", "wsgi")),
        APP,
        "how APP is called; auto: as it looks, ASGI 3 or 2",
    ),
    Option(
        "wsgi_threads",
        Whole(1, MOST_THREADS),
        APP,
        "how many requests of a WSGI application run at a time",
    ),
    Option(
        "lifespan",
        Choice(("auto", "on", "off")),
        APP,
        "tell the application when the server starts and stops; auto: unless it doesn't "
        "support that",
    ),
    Option(
        "extensions",
        Some(EXTENSIONS),
        APP,
        "the ASGI extensions of http.response to offer, with commas between: "
        + ", ".join(EXTENSIONS)
        + "; or none [default: all]",
    ),
    # ---- where to listen
    Option("host", Host("HOST"), LISTEN, "host name or address"),
    Option("port", Whole(0, 65535, "PORT"), LISTEN, "port; 0: any free port, which the log names"),
    Option("uds", Path("PATH", optional=True), LISTEN, "a Unix socket, in place of host and port"),
    Option(
        "fd",
        Whole(0, 2**31 - 1, optional=True),
        LISTEN,
        "an inherited file descriptor of a bound socket, in place of all these",
    ),
    Option(
        "bind",
        Many(Form(parse_place, FORMS, "PLACE")),
        LISTEN,
        f"in place of all these: {FORMS}; may be given several times",
    ),
    Option(
        "uds_permissions",
        Octal(0, 0o777, "MODE", optional=True),
        LISTEN,
        "who may connect to a Unix socket, in octal digits [default: 666]",
    ),
    Option(
        "uds_owner",
        Form(find_owner, "USER, USER:GROUP or :GROUP of this system", "OWNER", optional=True),
        LISTEN,
        "whom a Unix socket's file belongs to: USER, USER:GROUP or :GROUP",
    ),
    Option("backlog", Whole(0, 2**31 - 1), LISTEN, "how many connections may wait to be accepted"),
    # ---- logging
    Option(
        "log_level",
        Level(LOG_LEVELS, optional=True),
        LOGS,
        "the least severe level [default: info]",
    ),
    Option(
        "log_config",
        Anything("FILE", optional=True),
        LOGS,
        "a file for logging.config: JSON, YAML, or in the form of configparser",
    ),
    Option(
        "log_format",
        Choice(("text", "json")),
        LOGS,
        "the server's lines and the access log's as text, or as a JSON object each",
    ),
    Option("access_log", Flag(), LOGS, "a line for each request on standard output"),
    Option(
        "access_log_format",
        AccessFormat("FORMAT", optional=True),
        LOGS,
        "how such a line looks: with gunicorn's atoms, as %(h)s, or nginx's variables, as "
        "$remote_addr; or common, combined, nginx, json [default: as uvicorn's, or JSON]",
    ),
    Option(
        "access_logfile",
        Path("FILE", optional=True),
        LOGS,
        "append the access log to a file, which SIGUSR1 opens again; -: standard output",
    ),
    Option(
        "error_logfile",
        Path("FILE", optional=True),
        LOGS,
        "append the server's lines to a file; -: standard error",
    ),
    Option(
        "log_syslog",
        Text("ADDRESS", optional=True),
        LOGS,
        "send what has no file to syslog: unix:/dev/log or udp://HOST:PORT",
    ),
    Option("use_colors", Flag(optional=True), LOGS, "coloured log lines [default: on a terminal]"),
    # ---- time limits
    Option(
        "timeout_keep_alive",
        Seconds(),
        TIMES,
        "close a connection that sends no other request for so long",
    ),
    Option(
        "timeout_head",
        Seconds(),
        TIMES,
        "answer 408 when a request's head is not complete after so long",
    ),
    Option(
        "timeout_body",
        Seconds(),
        TIMES,
        "answer 408 when nothing of an awaited body comes for so long",
    ),
    Option(
        "timeout_unread_body",
        Seconds(),
        TIMES,
        "close a connection whose answer is complete when the rest of the body is not there "
        "after so long",
    ),
    Option(
        "timeout_write", Seconds(), TIMES, "cut a connection whose client takes nothing for so long"
    ),
    Option(
        "timeout_linger",
        Seconds(),
        TIMES,
        "wait so long for the client to close after the last answer",
    ),
    Option(
        "timeout_request",
        Seconds(optional=True),
        TIMES,
        "cancel a request whose answer is not complete after so long: 504, or its connection "
        "is cut [default: never]",
    ),
    Option(
        "timeout_graceful_shutdown",
        Seconds(optional=True),
        TIMES,
        "cancel what is still running so long after the stop [default: never]",
    ),
    Option(
        "timeout_startup",
        Seconds(optional=True),
        TIMES,
        "exit with code 3 when the application's start-up takes longer [default: never]",
    ),
    Option(
        "timeout_shutdown",
        Seconds(optional=True),
        TIMES,
        "do not wait longer for the application's shutdown [default: for ever]",
    ),
    Option(
        "drain_delay",
        Seconds(),
        TIMES,
        "after a stop signal go on accepting for so long, while the health path says 503; a "
        "second signal ends it",
    ),
    Option(
        "idle_exit",
        Seconds(optional=True),
        TIMES,
        "stop when there has been no connection and no request for so long [default: never]",
    ),
    # ---- limits
    Option("limit_request_line", _bytes(), LIMITS, "answer 414 to a longer request line"),
    Option("limit_request_head", _bytes(), LIMITS, "answer 431 to a larger request head"),
    Option(
        "limit_request_fields", Whole(1, MOST_FIELDS), LIMITS, "answer 431 to more fields in a head"
    ),
    Option(
        "limit_request_body",
        _bytes(least=0, most=MOST_BODY, optional=True),
        LIMITS,
        "answer 413 to a larger body [default: none]",
    ),
    Option(
        "limit_body_rate",
        Whole(0, MOST, "BYTES_PER_SECOND"),
        LIMITS,
        "answer 408 to a body that comes more slowly, but for its first 5 seconds; 0: any rate",
    ),
    Option(
        "limit_concurrency",
        _number(optional=True),
        LIMITS,
        "answer 503 while so many connections or requests are there [default: none]",
    ),
    Option(
        "limit_requests",
        _number(optional=True),
        LIMITS,
        "answer 503 while so many requests are under way [default: none]",
    ),
    Option(
        "limit_connections",
        _number(optional=True),
        LIMITS,
        "accept no other while so many connections are there [default: none]",
    ),
    Option(
        "limit_connection_requests",
        _number(optional=True),
        LIMITS,
        "close a connection after so many requests [default: none]",
    ),
    Option(
        "limit_max_requests",
        Whole(1, MOST_BODY, optional=True),
        LIMITS,
        "stop the server after so many requests [default: none]",
    ),
    Option(
        "limit_max_requests_jitter",
        Whole(0, MOST),
        LIMITS,
        "let it be up to so many requests more, which chance decides",
    ),
    Option("limit_read_buffer", _bytes(), LIMITS, "stop reading when so much waits to be received"),
    Option(
        "limit_write_buffer", _bytes(), LIMITS, "let send wait when so much waits to be written"
    ),
    # ---- clients that leave or vanish
    Option(
        "on_disconnect",
        Form(cancel_grace, "notify, cancel or cancel:SECONDS", "POLICY"),
        CLIENTS,
        "what becomes of a request whose client leaves before its answer is complete; "
        "notify: it is told, and goes on; cancel: its task is cancelled; cancel:SECONDS: so "
        "long after it was told",
    ),
    Option(
        "cancel_methods",
        Choice(("all", "safe")),
        CLIENTS,
        "which requests that is done to; safe: GET, HEAD, OPTIONS and QUERY only",
    ),
    Option(
        "disconnect_on_shutdown",
        Flag(),
        CLIENTS,
        "tell requests http.disconnect when the server begins to stop",
    ),
    Option(
        "half_close",
        Flag(),
        CLIENTS,
        "a client that has ended what it sends has not left: it gets its answers",
    ),
    Option(
        "tcp_user_timeout",
        UserTimeout(MOST_USER_TIMEOUT),
        CLIENTS,
        "let the kernel end a connection whose client acknowledges nothing for so long, or "
        "has no room; 0: as the system does; Linux only",
    ),
    Option(
        "tcp_keepalive",
        Whole(0, MOST_KEEPALIVE, "SECONDS"),
        CLIENTS,
        "let the kernel ask a client that says nothing for so long whether it is still "
        "there; 0: never",
    ),
    # ---- proxies
    Option(
        "proxy_headers",
        Flag(),
        PROXIES,
        "take a request's client and scheme from what trusted proxies say of them",
    ),
    Option(
        "forwarded_allow_ips",
        Hosts("LIST", optional=True),
        PROXIES,
        "the proxies that are trusted, with commas between: addresses, networks, unix: for all "
        "peers of Unix sockets or the path of one; or * for everyone "
        "[default: $FORWARDED_ALLOW_IPS, or 127.0.0.1,::1]",
    ),
    Option(
        "forwarded_headers",
        Choice(("x-forwarded", "forwarded")),
        PROXIES,
        "where they say it: X-Forwarded-For and X-Forwarded-Proto, or Forwarded (RFC 7239)",
    ),
    Option(
        "forwarded_hops",
        Whole(1, MOST_HOPS, optional=True),
        PROXIES,
        "trust so many of the last entries, whatever addresses they name "
        "[default: those of trusted proxies]",
    ),
    Option(
        "proxy_protocol",
        Flag(),
        PROXIES,
        "each connection of a trusted peer begins with a PROXY preamble, version 1 or 2",
    ),
    # ---- answers
    Option("date_header", Flag(), ANSWERS, "say the time in each answer"),
    Option("server_header", Flag(), ANSWERS, "say the server's name in each answer"),
    Option(
        "headers",
        Many(Field()),
        ANSWERS,
        "another field of each answer; may be given several times",
        flag="--header",
    ),
    Option(
        "health_path",
        Form(health_path, "a path such as /health, in plain ASCII", "PATH", optional=True),
        ANSWERS,
        "answer GET and HEAD of this path without the application: 200, or 503 while the "
        "server stops",
    ),
    *WEBSOCKET_OPTIONS,
    *ONE_WAY_OPTIONS,
    # ---- reload
    Option("reload", Flag(), RELOAD, "start the application anew when its files change"),
    Option(
        "reload_dirs",
        Directories(),
        RELOAD,
        "a directory to watch; may be given again [default: the current directory]",
        "--reload-dir",
    ),
    Option(
        "reload_includes",
        Many(Text("PATTERN")),
        RELOAD,
        "names of files that count, or a directory to watch too; may be given again "
        "[default: *.py, and what is given]",
        "--reload-include",
    ),
    Option(
        "reload_excludes",
        Many(Text("PATTERN")),
        RELOAD,
        "names of files, or a directory, that don't count; may be given again "
        "[default: .* .py[cod] .sw.* ~*, and what is given]",
        "--reload-exclude",
    ),
    Option(
        "reload_extra_files",
        Many(Text("FILE"), os.pathsep),
        RELOAD,
        "a file that counts wherever it is, or a pattern of such files; may be given again",
        "--reload-extra-file",
    ),
    Option(
        "reload_delay",
        Seconds(),
        RELOAD,
        "how long changes that follow each other may put off a reload, and the least time from "
        "one to the next",
    ),
    # ---- process
    Option(
        "env_file",
        Path("FILE", optional=True),
        PROCESS,
        "put the variables of a file into the environment; needs python-dotenv",
    ),
    Option(
        "loop",
        Form(look_at, f"one of {', '.join(LOOPS)}, or MODULE:FACTORY", "LOOP"),
        PROCESS,
        "the event loop: auto is cuvee's; asyncio, uvloop, zuvloop, none (asyncio's default), or "
        "MODULE:FACTORY",
    ),
    Option(
        "workers",
        WORKERS,
        PROCESS,
        "how many processes serve: 1, since several are not there yet [default: "
        "$WEB_CONCURRENCY, or 1]",
    ),
    Option(
        "timeout_worker_healthcheck",
        Seconds(),
        PROCESS,
        "for several workers, which are not there yet",
    ),
    Option(
        "reset_contextvars",
        Flag(),
        PROCESS,
        "begin each request without context variables, also those of the lifespan",
    ),
    Option(
        "gc_freeze",
        Flag(),
        PROCESS,
        "collect garbage when the application has started, and leave what is there then "
        "out of later collections",
    ),
    Option(
        "pid_file",
        Path("PATH", optional=True),
        PROCESS,
        "write the number of the process there, as long as it runs",
    ),
    Option(
        "user",
        Form(find_user, "a user of this system", "USER", optional=True),
        PROCESS,
        "become this user when the sockets are bound, before APP is imported",
    ),
    Option(
        "group",
        Form(find_group, "a group of this system", "GROUP", optional=True),
        PROCESS,
        "become a member of this group then [default: the user's]",
    ),
    Option(
        "umask",
        Octal(0, 0o777, "MODE", optional=True),
        PROCESS,
        "the permissions that new files do not get, in octal digits",
    ),
    Option(
        "proc_name",
        Form(
            find_setter,
            "a name, on Linux or where setproctitle is installed",
            "NAME",
            optional=True,
        ),
        PROCESS,
        "what ps and top call the process",
    ),
)

BY_NAME = {option.name: option for option in OPTIONS}


def check(name: str, value: Value) -> Value:
    """Return `value` if the option `name` may have it; raise ValueError with the name if not."""
    try:
        checked: Value = BY_NAME[name].kind.check(value)
        return checked
    except ValueError as exc:
        raise ValueError(f"{name} {exc}") from None


def check_list(name: str, value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Do the same for what may be there several times, and return it as a tuple."""
    values = check(name, value)
    return tuple(values or ())


def check_mode(name: str, value: int | str | None) -> int | None:
    """Do the same for permission bits, and return the number that octal digits stand for."""
    mode = check(name, value)
    assert not isinstance(mode, str)
    return mode
