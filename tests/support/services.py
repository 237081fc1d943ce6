# SPDX-License-Identifier: MIT
"""Private servers for the tests and benchmarks: PostgreSQL, Redis and RabbitMQ, each in a temporary folder.

Each listens on loopback, and on a Unix socket where it has one; it keeps its port when it is stopped
and started again. They run as a user without rights where root must not or should not run them.

    with Redis() as redis:
        connect(redis.host, redis.port)
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

from tests.support.ports import HOST, free_port
from tests.support.server_process import Output

if TYPE_CHECKING:
    from typing import Self

    import trustme

START = 60.0
"""Seconds within which a server must have started: a broker needs ten on a busy machine."""
STOP = 20.0


class MissingError(Exception):
    """The program of a service is not on this machine; the text says which."""


def program(name: str, *places: str) -> str:
    """Return the path of a program: on the PATH, or in the newest of some folders (with wildcards)."""
    found = shutil.which(name)
    for place in places:
        found = found or next(iter(sorted(glob.glob(f"{place}/{name}"), reverse=True)), None)
    if found is None:
        raise MissingError(f"{name} is not installed here")
    return found


class Service:
    """A server in a temporary folder, while a `with` block runs or from `start()` to `remove()`."""

    ready = ""
    """What the server says when it takes connections."""
    stop_signal = signal.SIGTERM
    environment: Mapping[str, str] = MappingProxyType({})

    def __init__(self, tls: trustme.LeafCert | None = None) -> None:
        self.host = HOST
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.check()
        # Not in a folder of pytest's, which no other user may enter; the path of a socket is short.
        self.folder = Path(tempfile.mkdtemp(prefix="cuvee-"))
        try:
            if tls is not None:
                tls.private_key_pem.write_to_path(self.folder / "server.key")
                tls.cert_chain_pems[0].write_to_path(self.folder / "server.pem")
                (self.folder / "server.key").chmod(0o600)
            self.prepare(tls is not None)
        except BaseException:
            self.remove()
            raise

    # ---- what a kind of service says

    def check(self) -> None:
        """Raise MissingError where a program is not here."""

    def prepare(self, tls: bool) -> None:
        """Fill the folder, once."""

    def command(self) -> list[str]:
        """Return what runs the server in the foreground."""
        raise NotImplementedError

    # ---- the life of one

    def run(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a program in the folder, as the user of the service."""
        user, environment = self._user, dict(os.environ)
        environment.pop("LD_PRELOAD", None)  # a sanitizer is for us, not for servers
        environment.update(self.environment, HOME=str(self.folder), LC_ALL="C.UTF-8")
        if user is not None:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
        )

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        assert self._process is None
        self._process = self.run(self.command())
        assert self._process.stdout is not None
        self._output = Output(self._process.stdout)
        try:
            self._output.expect(self.ready, START)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it; the connections it has are cut off, and its port and folder are kept."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(STOP)
            finally:
                self.kill()

    def kill(self) -> None:
        """End it without a chance to say anything."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._output.wait_for_end()

    def remove(self) -> None:
        """End it, and remove its folder."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


class PostgreSQL(Service):
    """A PostgreSQL server with one superuser, `cuvee`, who needs no password, and a database so named.

    Its socket is in `folder`.
    """

    ready = "ready to accept connections"
    stop_signal = signal.SIGINT  # a fast shutdown: sessions are cut off
    user = "cuvee"
    PLACES = (
        "/usr/lib/postgresql/*/bin",
        "/usr/local/pgsql/bin",
        "/opt/homebrew/opt/postgresql*/bin",
    )

    def check(self) -> None:
        """Raise MissingError where it is not installed."""
        self._postgres = program("postgres", *self.PLACES)
        self._initdb = program("initdb", str(Path(self._postgres).resolve().parent))

    def prepare(self, tls: bool) -> None:
        """Make the database cluster."""
        options = ["--auth=trust", "--no-sync", "--encoding=UTF8", f"--username={self.user}"]
        made = self.run([self._initdb, "-D", "data", *options])
        said, _ = made.communicate(timeout=START)
        if made.returncode != 0:
            raise RuntimeError(said)
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "60",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
        }
        if tls:
            settings |= {"ssl": "on"}
            settings |= {"ssl_cert_file": f"{self.folder}/server.pem"}
            settings |= {"ssl_key_file": f"{self.folder}/server.key"}
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def command(self) -> list[str]:
        """Return what runs the server."""
        return [self._postgres, "-D", "data"]

    def dsn(self, *, unix: bool = False, database: str = "postgres") -> str:
        """Return the address in the form of libpq's URIs."""
        if unix:
            return f"postgresql://{self.user}@/{database}?host={self.folder}&port={self.port}"
        return f"postgresql://{self.user}@{self.host}:{self.port}/{database}"


class Redis(Service):
    """A Redis server that keeps everything in memory; its socket is `path`."""

    ready = "Ready to accept connections"

    def check(self) -> None:
        """Raise MissingError where it is not installed."""
        self._server = program("redis-server")

    def prepare(self, tls: bool) -> None:
        """Choose the ports."""
        self.path = str(self.folder / "socket")
        self.tls_port = free_port() if tls else None

    def command(self) -> list[str]:
        """Return what runs the server."""
        options = {
            "bind": self.host,
            "port": str(self.port),
            "unixsocket": self.path,
            "unixsocketperm": "777",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
        }
        if self.tls_port is not None:
            options |= {"tls-port": str(self.tls_port), "tls-auth-clients": "no"}
            options |= {"tls-cert-file": "server.pem", "tls-key-file": "server.key"}
            options |= {"tls-ca-cert-file": "server.pem"}
        return [
            self._server,
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]


class RabbitMQ(Service):
    """A RabbitMQ broker with the user `guest` and its password `guest`; `tls_port` is amqps.

    Erlang's own name server runs beside it, for it alone.
    """

    ready = " completed with "
    PLACES = ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/homebrew/sbin")

    def check(self) -> None:
        """Raise MissingError where it is not installed."""
        # Debian has a wrapper of the same name on the PATH, which wants to be root or rabbitmq.
        found = next(
            (path for place in self.PLACES for path in glob.glob(f"{place}/rabbitmq-server")), None
        )
        if found is None:
            raise MissingError("rabbitmq-server is not installed here")
        self._server = found
        self._epmd = program("epmd")
        self._names: subprocess.Popen[str] | None = None

    def prepare(self, tls: bool) -> None:
        """Write the configuration."""
        self.tls_port = free_port() if tls else None
        names = free_port()
        lines = [
            f"listeners.tcp.1 = {self.host}:{self.port}",
            "log.console.level = error",
            "vm_memory_high_watermark.absolute = 512MB",
            "disk_free_limit.absolute = 1MB",
        ]
        if tls:
            lines += [
                f"listeners.ssl.1 = {self.host}:{self.tls_port}",
                f"ssl_options.certfile = {self.folder}/server.pem",
                f"ssl_options.keyfile = {self.folder}/server.key",
                "ssl_options.verify = verify_none",
            ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "plugins").write_text("[].\n")
        self.environment = {
            "RABBITMQ_NODENAME": f"cuvee{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "config"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": HOST,
        }

    def command(self) -> list[str]:
        """Return what runs the server."""
        return [self._server]

    def start(self) -> None:
        """Start the name server, then the broker."""
        if self._names is None:
            port = self.environment["ERL_EPMD_PORT"]
            self._names = self.run([self._epmd, "-port", port, "-address", HOST])
        super().start()

    def remove(self) -> None:
        """End both, and remove the folder."""
        super().remove()
        if self._names is not None:
            self._names.kill()
            self._names.communicate()
            self._names = None


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context for clients that trust what `authority` has signed."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return a context for a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
