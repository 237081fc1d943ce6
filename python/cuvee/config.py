# SPDX-License-Identifier: MIT
"""What a server is told: options with uvicorn's names and defaults, the application, logging."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from cuvee._types import ASGIApplication
from cuvee.fields import default_fields
from cuvee.importer import ImportFromStringError, import_from_string
from cuvee.kinds import Seconds
from cuvee.logging import LOG_LEVELS, LOGGING_CONFIG, TRACE_LOG_LEVEL, configure_untouched
from cuvee.loop_choice import LoopFactory, LoopType, find_factory
from cuvee.one_way import NO_TLS, count_workers
from cuvee.option_groups import LIMITS, LOG_OPTIONS, WEBSOCKET
from cuvee.option_kinds import EXTENSIONS, cancel_grace
from cuvee.options import check, check_list, check_mode
from cuvee.places import check_places
from cuvee.trusted_hosts import TrustedHosts

if TYPE_CHECKING:
    import socket
    from configparser import RawConfigParser
    from pathlib import Path
    from ssl import SSLContext

    from cuvee._core import Connection
    from cuvee.lifespan import Lifespan

LifespanType = Literal["auto", "on", "off"]
CancelMethodsType = Literal["all", "safe"]
InterfaceType = Literal["auto", "asgi3", "asgi2", "wsgi"]
ForwardedHeadersType = Literal["x-forwarded", "forwarded"]

LOOPBACK = "127.0.0.1,::1"
"""The proxies that are trusted where nothing says which."""
HTTPType = Literal["auto", "h11", "httptools", "zttp"]
WSType = Literal["auto", "none", "websockets", "websockets-sansio", "wsproto"]
LogFormatType = Literal["text", "json"]
LogConfigType: TypeAlias = (
    "dict[str, Any] | str | os.PathLike[str] | RawConfigParser | IO[Any] | None"
)

STARTUP_FAILURE = 3
"""The exit code of a server that could not start."""

_BUILT_IN = "log_config is LOGGING_CONFIG"
"""What goes to another process too: it may have been changed in this one."""

logger = logging.getLogger("uvicorn.error")


class Config:
    """The options of one server. Every argument is an attribute of the same name.

    Raises ValueError where a value makes no sense. Logging is configured at once, as uvicorn does.
    """

    def __init__(
        self,
        app: ASGIApplication | Callable[..., Any] | str,
        host: str = "127.0.0.1",
        port: int = 8000,
        uds: str | None = None,
        fd: int | None = None,
        *,
        bind: str | Iterable[str] | None = None,
        uds_permissions: int | str | None = None,
        uds_owner: str | None = None,
        backlog: int = 2048,
        loop: LoopType | str = "auto",
        http: HTTPType | str = "auto",
        http2: bool = False,
        ws: WSType | str = "auto",
        ws_max_size: int | None = 16777216,
        ws_max_queue: int | None = 32,
        ws_ping_interval: float | None = 20.0,
        ws_ping_timeout: float | None = 20.0,
        ws_per_message_deflate: bool = True,
        ws_deflate_level: int = 3,
        ws_deflate_window: int = 12,
        ws_deflate_threshold: int = 128,
        ws_deflate_context: bool = False,
        ws_send_queue: int = 65536,
        ws_idle_timeout: float | None = 0,
        ws_close_timeout: float = 10,
        limit_websockets: int | None = None,
        workers: int | None = None,
        log_config: LogConfigType = LOGGING_CONFIG,
        log_level: str | int | None = None,
        log_format: LogFormatType = "text",
        access_log: bool = True,
        access_log_format: str | None = None,
        access_logfile: str | None = None,
        error_logfile: str | None = None,
        log_syslog: str | None = None,
        use_colors: bool | None = None,
        env_file: str | os.PathLike[str] | None = None,
        interface: InterfaceType = "auto",
        wsgi_threads: int = 10,
        lifespan: LifespanType = "auto",
        root_path: str = "",
        factory: bool = False,
        app_dir: str | None = None,
        timeout_keep_alive: float = 5,
        timeout_head: float = 30,
        timeout_body: float = 60,
        timeout_unread_body: float = 5,
        timeout_write: float = 60,
        timeout_linger: float = 2,
        timeout_request: float | None = None,
        timeout_graceful_shutdown: float | None = None,
        timeout_startup: float | None = None,
        timeout_shutdown: float | None = None,
        drain_delay: float = 0,
        idle_exit: float | None = None,
        limit_request_line: int = 16384,
        limit_request_head: int = 65536,
        limit_request_fields: int = 100,
        limit_request_body: int | None = None,
        limit_body_rate: int = 240,
        limit_concurrency: int | None = None,
        limit_requests: int | None = None,
        limit_connections: int | None = None,
        limit_connection_requests: int | None = None,
        limit_max_requests: int | None = None,
        limit_max_requests_jitter: int = 0,
        limit_read_buffer: int = 65536,
        limit_write_buffer: int = 65536,
        on_disconnect: str = "notify",
        cancel_methods: CancelMethodsType = "all",
        disconnect_on_shutdown: bool = False,
        half_close: bool = False,
        tcp_user_timeout: float = 0,
        tcp_keepalive: int = 0,
        proxy_headers: bool = True,
        forwarded_allow_ips: list[str] | str | None = None,
        forwarded_headers: ForwardedHeadersType = "x-forwarded",
        forwarded_hops: int | None = None,
        proxy_protocol: bool = False,
        date_header: bool = True,
        server_header: bool = True,
        headers: Iterable[tuple[str, str]] | None = None,
        reset_contextvars: bool = False,
        extensions: Iterable[str] = EXTENSIONS,
        reload: bool = False,
        reload_dirs: Iterable[str | os.PathLike[str]] | str | None = None,
        reload_includes: Iterable[str] | str | None = None,
        reload_excludes: Iterable[str] | str | None = None,
        reload_extra_files: Iterable[str] | str | None = None,
        reload_delay: float = 0.25,
        health_path: str | None = None,
        gc_freeze: bool = True,
        pid_file: str | None = None,
        user: str | None = None,
        group: str | None = None,
        umask: int | str | None = None,
        proc_name: str | None = None,
        timeout_worker_healthcheck: float = 5,
        timeout_notify: float = 30,
        callback_notify: Callable[[], Awaitable[object]] | None = None,
        ssl_keyfile: str | None = None,
        ssl_certfile: str | None = None,
        ssl_keyfile_password: str | None = None,
        ssl_version: int = 17,  # ssl.PROTOCOL_TLS_SERVER
        ssl_cert_reqs: int = 0,  # ssl.CERT_NONE
        ssl_ca_certs: str | None = None,
        ssl_ciphers: str | None = None,
        ssl_context_factory: Callable[..., SSLContext] | None = None,
        h11_max_incomplete_event_size: int | None = None,
    ) -> None:
        self.app = app
        self.log_config = check("log_config", log_config)
        self.host = check("host", host)
        self.port = check("port", port)
        self.uds = check("uds", uds)
        self.fd = check("fd", fd)
        self.bind = check_list("bind", bind)
        self.uds_permissions = check_mode("uds_permissions", uds_permissions)
        self.uds_owner = check("uds_owner", uds_owner)
        check_places(self)
        self.backlog = check("backlog", backlog)
        level = check("log_level", log_level.lower() if isinstance(log_level, str) else log_level)
        self.log_level = LOG_LEVELS[level] if isinstance(level, str) else level
        self.log_format = check("log_format", log_format)
        self.access_log = check("access_log", access_log)
        self.access_log_format = check("access_log_format", access_log_format)
        self.access_logfile = check("access_logfile", access_logfile)
        self.error_logfile = check("error_logfile", error_logfile)
        self.log_syslog = check("log_syslog", log_syslog)
        self.use_colors = check("use_colors", use_colors)
        self.env_file = check("env_file", env_file)
        self.interface = check("interface", interface)
        self.wsgi_threads = check("wsgi_threads", wsgi_threads)
        self.lifespan = check("lifespan", lifespan)
        self.root_path = check("root_path", root_path)
        self.factory = check("factory", factory)
        self.app_dir = check("app_dir", app_dir)
        self.timeout_keep_alive = check("timeout_keep_alive", timeout_keep_alive)
        self.timeout_head = check("timeout_head", timeout_head)
        self.timeout_body = check("timeout_body", timeout_body)
        self.timeout_unread_body = check("timeout_unread_body", timeout_unread_body)
        self.timeout_write = check("timeout_write", timeout_write)
        self.timeout_linger = check("timeout_linger", timeout_linger)
        self.timeout_request = check("timeout_request", timeout_request)
        self.timeout_graceful_shutdown = check(
            "timeout_graceful_shutdown", timeout_graceful_shutdown
        )
        self.timeout_startup = check("timeout_startup", timeout_startup)
        self.timeout_shutdown = check("timeout_shutdown", timeout_shutdown)
        self.drain_delay = check("drain_delay", drain_delay)
        self.idle_exit = check("idle_exit", idle_exit)
        self.limit_request_line = check("limit_request_line", limit_request_line)
        self.limit_request_head = check("limit_request_head", limit_request_head)
        self.limit_request_fields = check("limit_request_fields", limit_request_fields)
        self.limit_request_body = check("limit_request_body", limit_request_body)
        self.limit_body_rate = check("limit_body_rate", limit_body_rate)
        self.limit_concurrency = check("limit_concurrency", limit_concurrency)
        self.limit_requests = check("limit_requests", limit_requests)
        self.limit_connections = check("limit_connections", limit_connections)
        self.limit_connection_requests = check(
            "limit_connection_requests", limit_connection_requests
        )
        self.limit_max_requests = check("limit_max_requests", limit_max_requests)
        self.limit_max_requests_jitter = check(
            "limit_max_requests_jitter", limit_max_requests_jitter
        )
        self.limit_read_buffer = check("limit_read_buffer", limit_read_buffer)
        self.limit_write_buffer = check("limit_write_buffer", limit_write_buffer)
        self.on_disconnect = check("on_disconnect", on_disconnect)
        self.cancel_grace = cancel_grace(on_disconnect)
        """Seconds from a client's leaving to the cancellation of its request; None: never."""
        self.cancel_methods = check("cancel_methods", cancel_methods)
        self.disconnect_on_shutdown = check("disconnect_on_shutdown", disconnect_on_shutdown)
        self.half_close = check("half_close", half_close)
        self.tcp_user_timeout = check("tcp_user_timeout", tcp_user_timeout)
        self.tcp_keepalive = check("tcp_keepalive", tcp_keepalive)
        self.proxy_headers = check("proxy_headers", proxy_headers)
        trusted = check("forwarded_allow_ips", forwarded_allow_ips)
        self.forwarded_headers = check("forwarded_headers", forwarded_headers)
        self.forwarded_hops = check("forwarded_hops", forwarded_hops)
        self.proxy_protocol = check("proxy_protocol", proxy_protocol)
        self.date_header = check("date_header", date_header)
        self.server_header = check("server_header", server_header)
        checked = check("headers", headers)
        self.headers = list(checked or ())
        self.reset_contextvars = check("reset_contextvars", reset_contextvars)
        self.extensions = tuple(check("extensions", extensions))
        self.health_path = check("health_path", health_path)
        self.gc_freeze = check("gc_freeze", gc_freeze)
        self.pid_file = check("pid_file", pid_file)
        self.user = check("user", user)
        self.group = check("group", group)
        self.umask = check_mode("umask", umask)
        self.proc_name = check("proc_name", proc_name)
        self.loop = check("loop", loop)
        count = check("workers", workers)
        self.timeout_worker_healthcheck = check(
            "timeout_worker_healthcheck", timeout_worker_healthcheck
        )
        self.timeout_notify = _seconds("timeout_notify", timeout_notify)
        self.callback_notify = callback_notify
        if callback_notify is not None and not callable(callback_notify):
            raise ValueError(
                f"callback_notify must be a coroutine function, not {callback_notify!r}"
            )
        self.http = check("http", http)
        self.http2 = check("http2", http2)
        self.ws = check("ws", ws)
        self.ws_max_size = check("ws_max_size", ws_max_size)
        self.ws_max_queue = check("ws_max_queue", ws_max_queue)
        self.ws_ping_interval = check("ws_ping_interval", ws_ping_interval)
        self.ws_ping_timeout = check("ws_ping_timeout", ws_ping_timeout)
        self.ws_per_message_deflate = check("ws_per_message_deflate", ws_per_message_deflate)
        self.ws_deflate_level = check("ws_deflate_level", ws_deflate_level)
        self.ws_deflate_window = check("ws_deflate_window", ws_deflate_window)
        self.ws_deflate_threshold = check("ws_deflate_threshold", ws_deflate_threshold)
        self.ws_deflate_context = check("ws_deflate_context", ws_deflate_context)
        self.ws_send_queue = check("ws_send_queue", ws_send_queue)
        self.ws_idle_timeout = check("ws_idle_timeout", ws_idle_timeout)
        self.ws_close_timeout = check("ws_close_timeout", ws_close_timeout)
        self.limit_websockets = check("limit_websockets", limit_websockets)
        self.ssl_keyfile = check("ssl_keyfile", ssl_keyfile)
        self.ssl_certfile = check("ssl_certfile", ssl_certfile)
        self.ssl_keyfile_password = check("ssl_keyfile_password", ssl_keyfile_password)
        self.ssl_version = check("ssl_version", ssl_version)
        self.ssl_cert_reqs = check("ssl_cert_reqs", ssl_cert_reqs)
        self.ssl_ca_certs = check("ssl_ca_certs", ssl_ca_certs)
        self.ssl_ciphers = check("ssl_ciphers", ssl_ciphers)
        self.ssl_context_factory = ssl_context_factory
        self.h11_max_incomplete_event_size = check(
            "h11_max_incomplete_event_size", h11_max_incomplete_event_size
        )
        self._apply_what_is_for_several()
        self.reload = check("reload", reload)
        self.reload_delay = check("reload_delay", reload_delay)
        self.reload_extra_files = _list("reload_extra_files", reload_extra_files)
        self.reload_dirs: list[Path] = []
        self.reload_dirs_excludes: list[Path] = []
        self.reload_includes: list[str] = []
        self.reload_excludes: list[str] = []
        self.loaded = False
        self.loaded_app: Any = None
        self.configure_logging()
        if self.env_file is not None:
            from cuvee.env_file import load_env_file

            load_env_file(self.env_file)
        # What the file may have set is looked at from here on.
        self.are_workers_given = count is not None
        """Whether `workers` was said, and WEB_CONCURRENCY was not asked."""
        self.workers = count_workers(count)
        if self.reload and self.workers > 1:
            logger.warning('"workers" flag is ignored when reloading is enabled.')
        self.forwarded_allow_ips = _hosts_of_environment() if trusted is None else trusted
        self.trusted_hosts = TrustedHosts(self.forwarded_allow_ips)
        """The same, read."""
        self._resolve_watched(
            _list("reload_dirs", reload_dirs),
            _list("reload_includes", reload_includes),
            _list("reload_excludes", reload_excludes),
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Give the built-in logging of another process to this one, whose it is then."""
        self.__dict__.update(state)
        if self.__dict__.pop(_BUILT_IN) and self.log_config is not LOGGING_CONFIG:
            LOGGING_CONFIG.clear()
            LOGGING_CONFIG.update(state["log_config"])
            self.log_config = LOGGING_CONFIG

    def _resolve_watched(self, dirs: list[str], includes: list[str], excludes: list[str]) -> None:
        """Find what `reload` watches, and log it."""
        if self.should_reload:
            from cuvee.supervisor import watched

            self.reload_includes = [name for name in includes if name not in excludes]
            self.reload_excludes = excludes
            self.reload_dirs_excludes = watched.resolve(excludes, [])
            self.reload_dirs = watched.resolve_roots(dirs, includes, self.reload_dirs_excludes)
            logger.info(
                "Will watch for changes in these directories: %s",
                sorted(map(str, self.reload_dirs)),
            )
        elif dirs or includes or excludes or self.reload_extra_files:
            logger.warning(
                "Current configuration will not reload as not all conditions are met, "
                "please refer to documentation."
            )

    def _apply_what_is_for_several(self) -> None:
        """See to what one option says about others."""
        defaults = type(self).__init__.__kwdefaults__ or {}
        if self.h11_max_incomplete_event_size is not None:
            for name in ("limit_request_line", "limit_request_head"):
                if getattr(self, name) == defaults[name]:
                    setattr(self, name, self.h11_max_incomplete_event_size)
        if self.ssl_context_factory is not None:
            raise ValueError(f"ssl_context_factory must be left out: {NO_TLS}")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the application out: the process that is told of this imports its own."""
        built_in = self.log_config is LOGGING_CONFIG
        return {**vars(self), "loaded": False, "loaded_app": None, _BUILT_IN: built_in}

    @property
    def encoded_headers(self) -> list[tuple[bytes, bytes]]:
        """The fields that are added to every answer, but for `date`."""
        return default_fields(self.headers, server=self.server_header)

    @property
    def http_protocol_class(self) -> type[Connection]:
        """What `ServerState.connections` has: no asyncio protocol, and made by the server only."""
        from cuvee._core import Connection

        return Connection

    @property
    def ws_protocol_class(self) -> type[Connection] | None:
        """The same for WebSocket, which an ordinary connection becomes; None where it is off."""
        return None if self.websocket is None else self.http_protocol_class

    @property
    def ssl(self) -> None:
        """The context of encrypted connections: there are none yet."""
        return None

    @property
    def use_subprocess(self) -> bool:
        """Whether this process only looks after others, which serve."""
        return self.should_reload or self.workers > 1

    @property
    def asgi_version(self) -> Literal["2.0", "3.0"]:
        """The ASGI version that the application is called with."""
        return "2.0" if self.interface == "asgi2" else "3.0"

    @property
    def is_ssl(self) -> bool:
        """Whether connections are encrypted."""
        return False

    @property
    def should_reload(self) -> bool:
        """Whether changed files lead to a reload: only what can be imported anew can be reloaded."""
        return self.reload and isinstance(self.app, str)

    @property
    def limits(self) -> dict[str, float]:
        """The limits and timeouts that the C server keeps, without those that are not set."""
        all_of_them = {name: getattr(self, name) for name in LIMITS}
        return {name: value for name, value in all_of_them.items() if value is not None}

    @property
    def websocket(self) -> dict[str, float] | None:
        """What the C server keeps to in WebSocket, 0 where it is switched off; None: without it."""
        if self.ws == "none" or self.interface == "wsgi":
            return None
        return {name: max(getattr(self, name) or 0, 0) for name in WEBSOCKET}

    @property
    def log_options(self) -> dict[str, str]:
        """The options that change what the built-in logging writes, and where: those that are set.

        An access_log_format of None follows log_format.
        """
        all_of_them = {name: getattr(self, name) for name in LOG_OPTIONS}
        plain = (None, "text")
        return {name: value for name, value in all_of_them.items() if value not in plain}

    @property
    def access_format(self) -> str | None:
        """The format of the access log's lines; None for uvicorn's."""
        if self.access_log_format is None and self.log_format == "json":
            return "json"
        return self.access_log_format

    @property
    def lifespan_class(self) -> type[Lifespan]:
        """The class that talks the lifespan protocol, as `lifespan` asks for it."""
        from cuvee.lifespan import Lifespan, LifespanOff

        return LifespanOff if self.lifespan == "off" else Lifespan

    def get_loop_factory(self) -> LoopFactory | None:
        """Return the function that makes the event loop for `Server.run`; None: asyncio's default.

        Logs an error and raises SystemExit(3) when there is no such loop.
        """
        return find_factory(self.loop)

    def setup_event_loop(self) -> None:
        """Do nothing: `Server.run` makes its loop by what `get_loop_factory` returns."""
        import warnings

        warnings.warn(
            "Config.setup_event_loop() does nothing. Use Config.get_loop_factory() for a loop.",
            DeprecationWarning,
            stacklevel=2,
        )

    # ---- the application -------------------------------------------------------------------------

    def load(self) -> None:
        """Import the application and make ready to serve it. Called once."""
        from cuvee.interface import adapt, detect

        assert not self.loaded
        self.load_app()
        if self.interface == "auto":
            self.interface = detect(self.loaded_app)
        self.loaded_app = adapt(self.loaded_app, self.interface, self.wsgi_threads)
        if logger.getEffectiveLevel() <= TRACE_LOG_LEVEL:
            from cuvee.message_logger import MessageLogger

            self.loaded_app = MessageLogger(self.loaded_app)
        self.loaded = True

    def load_app(self) -> Any:
        """Import the application, call its factory, and return it; a second call returns it again.

        Logs an error and raises SystemExit(3) when the import string leads nowhere. What the
        application's own module raises is passed on.
        """
        if self.loaded_app is not None:
            return self.loaded_app
        self._look_in_app_dir()
        try:
            app = import_from_string(self.app)
        except ImportFromStringError as exc:
            logger.error("Error loading ASGI app. %s", exc)
            sys.exit(STARTUP_FAILURE)
        app = self._from_factory(app) if self.factory else _without_factory(app)
        if not callable(app):
            logger.error('Error loading ASGI app. "%s" is not callable.', self.app)
            sys.exit(STARTUP_FAILURE)
        self.loaded_app = app
        return app

    def _look_in_app_dir(self) -> None:
        """Find modules there first."""
        if self.app_dir is not None and self.app_dir not in sys.path[:1]:
            sys.path.insert(0, self.app_dir)

    def _from_factory(self, factory: Any) -> Any:
        try:
            return factory()
        except TypeError as exc:
            logger.error("Error loading ASGI app factory: %s", exc)
            sys.exit(STARTUP_FAILURE)

    # ---- the socket ------------------------------------------------------------------------------

    def bind_socket(self) -> socket.socket:
        """Bind the one socket that a parent process hands to its workers.

        It is inheritable, and does not listen yet. Logs where it is bound, or logs an error and
        raises SystemExit(3).
        """
        from cuvee import sockets

        try:
            bound = sockets.bind_one(self)
        except OSError as exc:
            logger.error(exc)
            sys.exit(STARTUP_FAILURE)
        (listener,) = bound.sockets
        listener.set_inheritable(True)
        sockets.log_running([bound])
        return listener

    # ---- logging ---------------------------------------------------------------------------------

    def configure_logging(self) -> None:
        """Apply the options that are about logs to Python's logging."""
        logging.addLevelName(TRACE_LOG_LEVEL, "TRACE")
        built_in = self.log_config is LOGGING_CONFIG and not self.log_options
        if not (built_in and configure_untouched(self.use_colors)):
            from cuvee.log_setup import configure

            self._look_in_app_dir()  # it may name the application's own classes
            configure(self)
        if self.log_level is not None:
            for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
                logging.getLogger(name).setLevel(self.log_level)
        if not self.access_log:
            access = logging.getLogger("uvicorn.access")
            access.handlers = []
            access.propagate = False


def _hosts_of_environment() -> str:
    """Return the trusted hosts where nothing else names them: uvicorn looks there too."""
    hosts = os.environ.get("FORWARDED_ALLOW_IPS", LOOPBACK)
    try:
        TrustedHosts(hosts)
    except ValueError as exc:
        raise ValueError(f"FORWARDED_ALLOW_IPS is wrong: {exc}") from None
    return hosts


def _seconds(name: str, value: object) -> float:
    """Check what only Python can say."""
    try:
        seconds: float = Seconds().check(value)
    except ValueError as exc:
        raise ValueError(f"{name} {exc}") from None
    return seconds


def _list(name: str, given: object) -> list[str]:
    """Return the texts that an option of several has; nothing is none."""
    checked: Any = check(name, given)
    return checked or []


def _without_factory(app: Any) -> Any:
    """Call `app` to see whether it is a factory: an application wants arguments."""
    try:
        made = app()
    except (TypeError, AssertionError):  # wsgiref's validator asserts its arguments
        return app
    if hasattr(made, "__await__"):  # an application that takes any arguments
        if hasattr(made, "close"):
            made.close()
        return app
    logger.warning(
        "ASGI app factory detected. Using it, "
        "but please consider setting the --factory flag explicitly."
    )
    return made
