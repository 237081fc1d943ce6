# SPDX-License-Identifier: MIT
"""nginx and HAProxy in front of a server: each gives every request an id, and logs what it forwarded."""

from __future__ import annotations

import json
import signal
import textwrap
from dataclasses import dataclass

from tests.support.ports import HOST
from tests.support.services import Service, program

ID = "x-proxy-id"
"""The field in which a proxy tells the application a request's id."""
ECHO = "x-seen-id"
"""The field in which the application gives it back."""


@dataclass
class Logged:
    """One request, as a proxy logged it."""

    client: str
    """The address that it came from."""
    id: str
    forwarded: bool
    status: int
    """That of the server's answer; what it is without one is not looked at."""
    echo: str
    """The id that the answer names."""
    body: bytes | None
    """What was forwarded, from a proxy that had all of it before."""


class Proxy(Service):
    """A proxy that takes connections on `port` and forwards to the server on `upstream`.

    A strict one is as its distribution has it, and reads a body before it forwards the head. A lenient one lets
    through what it can be told to let through, and forwards a body as it comes. `forwarding` are lines of its own
    language about what it tells the server, `server_options` what HAProxy says of one.
    """

    def __init__(
        self,
        upstream: int,
        *,
        lenient: bool = False,
        forwarding: str = "",
        server_options: str = "",
    ) -> None:
        self.upstream = upstream
        self.lenient = lenient
        self.forwarding = forwarding
        self.server_options = server_options
        super().__init__()

    def write(self, name: str, text: str) -> None:
        """Write a file of the configuration."""
        (self.folder / name).write_text(textwrap.dedent(text).strip() + "\n")

    def log(self) -> list[Logged]:
        """Return the log of a proxy that was stopped."""
        raise NotImplementedError


class Nginx(Proxy):
    """nginx, which writes each request anew."""

    ready = "start worker process"
    stop_signal = signal.SIGQUIT
    LENIENT = """
        proxy_request_buffering off;
        ignore_invalid_headers off;
        underscores_in_headers on;
    """

    def check(self) -> None:
        """Raise MissingError where it is not installed."""
        self._nginx = program("nginx", "/usr/sbin")

    def prepare(self, tls: bool) -> None:
        """Write the configuration."""
        folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        self.write(
            "nginx.conf",
            f"""
            daemon off;
            error_log stderr notice;
            pid pid;
            events {{ }}
            http {{
                {" ".join(f"{name}_temp_path {name};" for name in folders)}
                log_format requests escape=json '{{"client": "$remote_addr", "id": "$request_id",'
                    '"sent": "$upstream_bytes_sent", "status": "$upstream_status",'
                    '"echo": "$upstream_http_{ECHO.replace("-", "_")}", "body": "$request_body"}}';
                access_log log requests;
                upstream server {{ server {HOST}:{self.upstream}; keepalive 8; }}
                server {{
                    listen {HOST}:{self.port};
                    client_max_body_size 0;
                    proxy_http_version 1.1;
                    proxy_set_header Connection "";
                    proxy_set_header Host $http_host;
                    proxy_set_header {ID} $request_id;
                    proxy_next_upstream off;
                    proxy_ignore_client_abort on;
                    {self.LENIENT if self.lenient else ""}
                    {self.forwarding}
                    location / {{ proxy_pass http://server; }}
                }}
            }}
            """,
        )

    def command(self) -> list[str]:
        """Return what runs it in the foreground."""
        return [self._nginx, "-p", str(self.folder), "-e", "stderr", "-c", "nginx.conf"]

    def log(self) -> list[Logged]:
        """Return the log of a proxy that was stopped."""
        lines = (self.folder / "log").read_text(encoding="latin-1").splitlines()
        return [
            Logged(
                client=line["client"],
                id=line["id"],
                forwarded=line["sent"] not in ("", "0"),
                status=int(line["status"]) if line["status"].isdigit() else 0,
                echo=line["echo"],
                body=None if self.lenient else line["body"].encode("latin-1"),
            )
            for line in map(json.loads, lines)
        ]


class HAProxy(Proxy):
    """HAProxy, which leaves a request as it is where it has nothing to change."""

    ready = "Loading success"
    stop_signal = signal.SIGUSR1
    STRICT = "option http-buffer-request"
    LENIENT = "option accept-invalid-http-request"
    LOG = (
        '{"client": "%ci", "id": "%ID", "server": "%s", "connected": %Tc, "status": %ST,'
        ' "echo": "%[var(txn.echo)]", "body": "%[var(txn.body)]"}'
    )

    def check(self) -> None:
        """Raise MissingError where it is not installed."""
        self._haproxy = program("haproxy", "/usr/sbin")

    def prepare(self, tls: bool) -> None:
        """Write the configuration."""
        self.write(
            "haproxy.cfg",
            f"""
            global
                nbthread 1
                log stdout format raw daemon
            defaults
                mode http
                timeout connect 10s
                timeout client 10s
                timeout server 10s
                retries 0
            frontend proxy
                bind {HOST}:{self.port}
                log global
                log-format '{self.LOG}'
                unique-id-format %[uuid]
                unique-id-header {ID}
                {self.LENIENT if self.lenient else self.STRICT}
                http-request set-var(txn.body) req.body,hex
                http-response set-var(txn.echo) res.hdr({ECHO})
                default_backend servers
            backend servers
                http-reuse always
                {self.forwarding}
                server server {HOST}:{self.upstream} {self.server_options}
            """,
        )

    def command(self) -> list[str]:
        """Return what runs it in the foreground."""
        return [self._haproxy, "-W", "-f", "haproxy.cfg"]

    def log(self) -> list[Logged]:
        """Return the log of a proxy that was stopped."""
        lines = (line for line in self._output.lines if line.startswith("{"))
        return [
            Logged(
                client=line["client"],
                id=line["id"],
                forwarded=line["server"] == "server" and line["connected"] >= 0,
                status=line["status"],
                echo=line["echo"].strip("-"),
                body=None if self.lenient else bytes.fromhex(line["body"].strip("-")),
            )
            for line in map(json.loads, lines)
        ]
