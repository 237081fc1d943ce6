"""The training run for profile-guided optimisation: a server of the new extension, and its load.

profiles.py starts it; its argument is the folder with the package under training. The load is what
servers meet, in about these shares: mostly small requests on many connections that stay, then
browsers, bodies, streams, pipelining, WebSocket, clients that leave, nonsense. It needs nothing but
the standard library and the loopback interface. Whatever goes wrong is one line on standard error.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import training_websocket as web_socket

SECONDS = 60.0
"""How long the server may be silent, and how long it may take to end."""
HOST = b"Host: 127.0.0.1\r\n"
BROWSER = b"".join(
    b"%s: %s\r\n" % field
    for field in [
        (b"Host", b"shop.example.test"),
        (b"Connection", b"keep-alive"),
        (b"Cache-Control", b"max-age=0"),
        (b"sec-ch-ua", b'"Chromium";v="140", "Not=A?Brand";v="24"'),
        (b"sec-ch-ua-mobile", b"?0"),
        (b"sec-ch-ua-platform", b'"Linux"'),
        (b"Upgrade-Insecure-Requests", b"1"),
        (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0"),
        (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (b"Sec-Fetch-Site", b"same-origin"),
        (b"Sec-Fetch-Mode", b"navigate"),
        (b"Sec-Fetch-User", b"?1"),
        (b"Sec-Fetch-Dest", b"document"),
        (b"Referer", b"https://shop.example.test/list?page=2"),
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"Accept-Language", b"en-GB,en;q=0.9,de;q=0.8"),
        (b"Cookie", b"session=0123456789abcdef0123456789abcdef; theme=dark"),
        (b"If-None-Match", b'W/"5f3759df"'),
        (b"DNT", b"1"),
        (b"X-Forwarded-For", b"203.0.113.7"),
    ]
)
NONSENSE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: ten\r\n\r\n",
    b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"bad field\r\n\r\n",
]


class TrainingError(Exception):
    """The server did not do what it is there for."""


def get(target: bytes = b"/", fields: bytes = HOST, version: bytes = b"1.1") -> bytes:
    """A request without a body."""
    return b"GET %s HTTP/%s\r\n%s\r\n" % (target, version, fields)


def post(target: bytes, data: bytes) -> bytes:
    """A request with a body of known length."""
    length = b"Content-Length: %d\r\n" % len(data)
    return b"POST %s HTTP/1.1\r\n%s%s\r\n%s" % (target, HOST, length, data)


def post_chunked(target: bytes, data: bytes, size: int) -> bytes:
    """A request with a body in chunks."""
    head = b"POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n" % (target, HOST)
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head + chunks + b"0\r\n\r\n"


class Client:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        try:
            self.sock = socket.create_connection(address, timeout=SECONDS)
        except OSError as error:
            raise TrainingError(f"there is no way to {address[0]}: {error.strerror}") from error
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(data)

    def _more(self) -> None:
        received = self.sock.recv(1 << 18)
        if not received:
            raise TrainingError("the server closed a connection in the middle of an answer")
        self.held += received

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.held:
            self._more()
        found, _, self.held = self.held.partition(mark)
        return found

    def _exactly(self, length: int) -> None:
        parts = len(self.held)
        while parts < length:
            self.held = b""
            self._more()
            parts += len(self.held)
        self.held = self.held[len(self.held) - (parts - length) :]

    def expect_head(self, status: int) -> bytes:
        """Read the head of one answer."""
        head = self._until(b"\r\n\r\n").lower()
        if not head.startswith(b"http/1.1 %d " % status):
            line = head.partition(b"\r\n")[0].decode("latin-1")
            raise TrainingError(f"the server answered {line!r} in place of {status}")
        return head

    def expect(self, status: int = 200) -> None:
        """Read one answer, to its end."""
        head = self.expect_head(status)
        if b"\r\ncontent-length: " in head:
            length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            self._exactly(int(length))
        elif b"\r\ntransfer-encoding: chunked" in head:
            while size := int(self._until(b"\r\n"), 16):
                self._exactly(size + 2)
            self._until(b"\r\n")
        else:
            self.expect_end()

    def expect_frame(self, opcode: int) -> None:
        """Read one frame."""
        while len(self.held) < 2:
            self._more()
        size = {126: 2, 127: 8}.get(self.held[1], 0)  # of the length behind the first two bytes
        while len(self.held) < 2 + size:
            self._more()
        length = int.from_bytes(self.held[2 : 2 + size], "big") if size else self.held[1]
        if (found := self.held[0] & 0x0F) != opcode:
            raise TrainingError(f"the server sent a frame of type {found} in place of {opcode}")
        self._exactly(2 + size + length)

    def expect_end(self) -> None:
        """Read until the server closes."""
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(1 << 18):
                pass

    def close(self) -> None:
        """Leave."""
        self.sock.close()


class Load:
    """What is sent to one server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    @contextlib.contextmanager
    def clients(self, count: int) -> Iterator[list[Client]]:
        """So many connections."""
        with contextlib.ExitStack() as stack:
            made = [Client(self.address) for _ in range(count)]
            for client in made:
                stack.callback(client.close)
            yield made

    def repeat(self, request: bytes, connections: int, rounds: int, answers: int = 1) -> None:
        """Send a request on every connection, read every answer, and so on."""
        with self.clients(connections) as clients:
            for _ in range(rounds):
                for client in clients:
                    client.send(request)
                for client in clients:
                    for _ in range(answers):
                        client.expect()

    def once(self, requests: Iterable[bytes], status: int = 200) -> None:
        """Send each request on a connection of its own, which the server closes."""
        for request in requests:
            with self.clients(1) as (client,):
                client.send(request)
                client.expect(status)
                client.expect_end()

    def in_pieces(self, request: bytes, rounds: int) -> None:
        """Send a request so that the server reads it in parts."""
        third = len(request) // 3
        with self.clients(1) as (client,):
            for _ in range(rounds):
                for piece in (request[:third], request[third : 2 * third], request[2 * third :]):
                    client.send(piece)
                client.expect()

    def leave(self, request: bytes, answered: bool = False) -> None:
        """Close in the middle of a request, or of its answer."""
        for _ in range(20):
            with self.clients(1) as (client,):
                client.send(request)
                if answered:
                    client.sock.recv(100)

    def small(self) -> None:
        """Many small requests on connections that stay."""
        self.repeat(get(), connections=64, rounds=120)
        self.repeat(get(), connections=1, rounds=500)
        self.repeat(get(b"/look?q=tree&page=2"), connections=32, rounds=60)
        self.repeat(get(b"/look", BROWSER), connections=32, rounds=60)
        self.repeat(get(b"/task"), connections=32, rounds=30)
        self.repeat(get(b"/sleep"), connections=64, rounds=15)
        self.repeat(get() * 16, connections=4, rounds=30, answers=16)

    def large(self) -> None:
        """Bodies."""
        self.repeat(post(b"/echo", b"e" * 10_000), connections=16, rounds=40)
        self.repeat(post(b"/look", b'{"name":"tree"}'), connections=16, rounds=40)
        self.repeat(post_chunked(b"/upload", b"c" * 10_000, 1000), connections=8, rounds=30)
        self.repeat(post(b"/upload", b"u" * 2_000_000), connections=1, rounds=5)
        self.repeat(get(b"/stream"), connections=2, rounds=5)
        self.repeat(get(b"/events"), connections=16, rounds=5)

    @contextlib.contextmanager
    def web_socket_clients(
        self, count: int, target: bytes = b"/talk", fields: bytes = b""
    ) -> Iterator[list[Client]]:
        """So many WebSockets; at the end each is closed in order."""
        with self.clients(count) as clients:
            for client in clients:
                client.send(get(target, web_socket.UPGRADE + fields))
                client.expect_head(101)
            yield clients
            for client in clients:
                client.send(web_socket.close())
                client.expect_frame(web_socket.CLOSE)
                client.expect_end()

    def talk(
        self, data: bytes, answers: list[int], connections: int, rounds: int, fields: bytes = b""
    ) -> None:
        """Send frames on every WebSocket, read every frame that comes for it, and so on."""
        with self.web_socket_clients(connections, fields=fields) as clients:
            for _ in range(rounds):
                for client in clients:
                    client.send(data)
                for client in clients:
                    for opcode in answers:
                        client.expect_frame(opcode)

    def web_sockets(self) -> None:
        """Messages of usual sizes, one after the other and several at once, and one to all."""
        text, binary, pong = web_socket.TEXT, web_socket.BINARY, web_socket.PONG
        small, large = b'{"tree": "beech"}' * 4, b'{"tree": "beech"}' * 200
        self.talk(web_socket.frame(text, small), [text], 64, 60)
        self.talk(web_socket.frame(binary, small), [binary], 64, 60)
        self.talk(web_socket.frame(text, small) * 16, [text] * 16, 4, 30)
        self.talk(web_socket.frame(text, large), [text], 16, 30)
        self.talk(web_socket.frame(binary, large * 30), [binary], 2, 10)
        self.talk(web_socket.fragments(text, large), [pong, text], 4, 30)
        self.talk(web_socket.frame(web_socket.PING), [pong], 16, 20)
        for data in (web_socket.compressed(text, large), web_socket.frame(text, small)):
            self.talk(data, [text], 16, 30, web_socket.DEFLATE)
        with self.web_socket_clients(64, b"/to_all") as clients:
            for _ in range(60):
                clients[0].send(web_socket.frame(text, small))
                for client in clients:
                    client.expect_frame(text)

    def rare(self) -> None:
        """What has to work, and need not be quick."""
        self.in_pieces(get(b"/look", BROWSER), rounds=50)
        self.in_pieces(post(b"/echo", b"e" * 3000), rounds=50)
        self.once([get(version=b"1.0", fields=b"")] * 50)
        self.once([get(fields=HOST + b"Connection: close\r\n")] * 50)
        self.once(NONSENSE * 5, status=400)
        self.repeat(get(version=b"1.0", fields=b"Connection: keep-alive\r\n"), 4, 20)
        self.leave(b"GET / HTT")
        self.leave(post(b"/echo", b"e" * 100)[:-10])
        self.leave(get(b"/wait"), answered=True)
        self.once([get(b"/fail")] * 10, status=500)
        self.once([get(b"/refuse", web_socket.UPGRADE)] * 10, status=403)
        self.leave(get(b"/talk", web_socket.UPGRADE), answered=True)

    def run(self) -> None:
        """Send everything, then stop the server."""
        self.small()
        self.large()
        self.web_sockets()
        self.rare()
        self.repeat(get(b"/loop"), 1, 1)
        self.once([get(b"/stop", HOST + b"Connection: close\r\n")])


def listen() -> socket.socket:
    """A socket that clients can connect to."""
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
    except OSError as error:
        raise TrainingError(f"127.0.0.1 cannot be listened on: {error.strerror}") from error
    return listener


def start_server(site: str) -> tuple[subprocess.Popen[bytes], list[tuple[str, int]]]:
    """Start the server; return it and its addresses. Only it holds the listeners."""
    with listen() as quiet, listen() as logged:
        descriptors = [quiet.fileno(), logged.fileno()]
        script = Path(__file__).with_name("training_server.py")
        command = [sys.executable, "-sSP", str(script), site, *map(str, descriptors)]
        server = subprocess.Popen(command, pass_fds=descriptors, stdout=subprocess.DEVNULL)
        return server, [quiet.getsockname(), logged.getsockname()]


def train(site: str) -> None:
    """Start the server and load it; return when it has ended well."""
    server, addresses = start_server(site)
    try:
        for address in addresses:
            Load(address).run()
        status = server.wait(SECONDS)
    except (TrainingError, OSError):
        with contextlib.suppress(subprocess.TimeoutExpired):
            if status := server.wait(1):
                raise TrainingError(f"the server ended with status {status}") from None
        raise
    finally:
        server.kill()
        server.wait()
    if status:
        raise TrainingError(f"the server ended with status {status}")


def main() -> int:
    """Run; say what was wrong."""
    try:
        train(sys.argv[1])
    except (TrainingError, OSError, subprocess.TimeoutExpired) as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        return 1
    return 0
