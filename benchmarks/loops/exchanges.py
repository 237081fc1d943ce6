"""The clients of a server: one that looks at its answer, and one that asks again and again."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import native
from benchmarks.loops.talker import Talker
from benchmarks.loops.works import Exchange
from benchmarks.servers import ServerError

CONNECTIONS = 8
TIMEOUT = 10.0
LONGEST_HEAD = 4096


def start_asker(exchange: Exchange, settings: Mapping[str, str], address: str, core: int) -> Talker:
    """Start what asks a server as long as it is told to, on a core of its own."""
    answer_size, opening_size = look(exchange, settings, address)
    over = settings.get("over", "tcp")
    request = _file(settings, "request", exchange.request)
    if over == "tls":
        command = [sys.executable, "-m", "benchmarks.loops.tls_asker", address, str(CONNECTIONS)]
        command += [request, str(answer_size), settings["certificate"]]
    else:
        program = str(native.program("asker", sys.executable))
        command = [program, over, address, str(CONNECTIONS), request, str(answer_size)]
    if exchange.opening:
        command += [_file(settings, "opening", exchange.opening), str(opening_size)]
    asker = Talker(command, core)
    try:
        asker.hear()
    except BaseException:
        asker.close()
        raise
    return asker


def look(exchange: Exchange, settings: Mapping[str, str], address: str) -> tuple[int, int]:
    """Ask once; return how long the answers to the request and to the opening are."""
    opening_size = 0
    with _connect(settings, address) as connection:
        if exchange.opening:
            connection.sendall(exchange.opening)
            opening_size = _read(connection, exchange.opening_answer)
        connection.sendall(exchange.request)
        return _read(connection, exchange.answer), opening_size


def _read(connection: socket.socket, ending: bytes) -> int:
    data = b""
    while not data.endswith(ending):
        got = connection.recv(65536)
        data += got
        if not got or len(data) > len(ending) + LONGEST_HEAD:
            raise ServerError(f"it answers {len(data)} bytes, {data[:80]!r}")
    return len(data)


def _connect(settings: Mapping[str, str], address: str) -> socket.socket:
    over = settings.get("over", "tcp")
    if over == "unix":
        connection = socket.socket(socket.AF_UNIX)
        where: str | tuple[str, int] = address
    else:
        kind = socket.SOCK_DGRAM if over == "udp" else socket.SOCK_STREAM
        connection = socket.socket(socket.AF_INET, kind)
        where = ("127.0.0.1", int(address))
    if over == "tls":
        context = ssl.create_default_context(cafile=settings["certificate"])
        connection = context.wrap_socket(connection, server_hostname="localhost")
    connection.settimeout(TIMEOUT)
    connection.connect(where)
    return connection


def _file(settings: Mapping[str, str], name: str, content: bytes) -> str:
    path = Path(settings["folder"]) / name
    path.write_bytes(content)
    return str(path)
