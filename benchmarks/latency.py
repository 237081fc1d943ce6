"""Measure how a server serves some clients while others want much, and how soon it notices things.

One line a figure, with what is demanded of it where something is. The server has one core, the
clients the other; the client that measures goes before the ones that only make work.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Run as a script, it is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import servers
from benchmarks.pinning import pinned

GIBIBYTE = 1 << 30
RATE = 200
"""Requests a second of the client that measures."""
SLEEPERS = 300
NOTICES = 40
"""How often a client goes, for each way of going."""
SPINS = 20
"""How often a handler that spins is asked, beside quick requests."""
STARTS = 5
"""How many servers are started to be asked for it first."""
QUICK_CLIENTS = 64
IDLE_SECONDS = 10.0


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=[*servers.PEERS], default="cuvee")
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has it")
    parser.add_argument("--rounds", type=int, default=4, help="of each kind, with and without")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument(
        "--ahead",
        action="store_true",
        help="let the server go before all else on its core: for a machine that others use too",
    )
    parser.add_argument("--make-work", nargs=2, metavar=("KIND", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make_work:
        WORK[options.make_work[0]](int(options.make_work[1]))
        return 0
    with pinned(options.load_core):
        for part in options.part:
            PARTS[part](options)
    return 0


def report(what: str, figure: str, bound: str = "") -> None:
    """Print one line."""
    print(f"{what:58} {figure:>34}  {bound}", flush=True)


# ---- clients -------------------------------------------------------------------------------------


class Client:
    """A blocking connection."""

    def __init__(self, port: int, rcvbuf: int | None = None) -> None:
        self.sock = socket.socket()
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(30)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str) -> bytes:
        """Send a GET, and return the body of the answer."""
        self.sock.sendall(b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length: ")
        while len(body) < int(length.split(b"\r\n")[0]):
            body += self._receive()
        return body

    def _receive(self) -> bytes:
        data = self.sock.recv(1 << 20)
        if not data:
            raise servers.ServerError("the server closed a connection")
        return data

    def rst(self) -> None:
        """Break off."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def once(port: int, path: str) -> bytes:
    """Ask on a connection of its own."""
    client = Client(port)
    try:
        return client.ask(path)
    finally:
        client.sock.close()


def at_fixed_rate(port: int, seconds: float) -> list[float]:
    """Ask for something small again and again; return how long each answer took."""
    took = []
    client = Client(port)
    begin = time.monotonic()
    for number in range(int(seconds * RATE)):
        due = begin + number / RATE
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        asked = time.monotonic()
        client.ask("/hello")
        took.append(time.monotonic() - asked)
    client.sock.close()
    return took


@contextmanager
def going_first() -> Iterator[None]:
    """Run before everything else on this core, where that is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def percentile(values: list[float], percent: float) -> float:
    """The value that so many per cent stay below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def milliseconds(seconds: float) -> str:
    """Write a time."""
    return f"{seconds * 1e3:.2f} ms"


# ---- what makes work, in processes of their own --------------------------------------------------


def read_streams(port: int) -> None:
    """Read 1 GiB again and again, as fast as it comes."""
    buffer = bytearray(1 << 20)
    client = Client(port)
    while True:
        client.sock.sendall(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
        left = GIBIBYTE
        while left > 0:
            left -= client.sock.recv_into(buffer) or left


def upload(port: int) -> None:
    """Upload 1 GiB again and again, as fast as it is taken."""
    piece = bytes(1 << 20)
    client = Client(port)
    while True:
        client.sock.sendall(b"POST /upload HTTP/1.1\r\nHost: h\r\n")
        client.sock.sendall(b"Content-Length: %d\r\n\r\n" % GIBIBYTE)
        for _ in range(GIBIBYTE // len(piece)):
            client.sock.sendall(piece)
        client.sock.recv(10_000)


def sleep(port: int) -> None:
    """Keep 300 clients in an answer that takes 0.2 s."""

    def one() -> None:
        client = Client(port)
        while True:
            client.ask("/sleep")

    threads = [threading.Thread(target=one, daemon=True) for _ in range(SLEEPERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ask_quick(port: int) -> None:
    """Keep 64 clients asking for something small, until this process is ended."""
    url = f"http://127.0.0.1:{port}/hello"
    os.execvp("wrk", ["wrk", "-t1", f"-c{QUICK_CLIENTS}", "-d600s", url])


WORK: dict[str, Callable[[int], None]] = {
    "stream": read_streams,
    "upload": upload,
    "sleep": sleep,
    "quick": ask_quick,
}


@contextmanager
def work(kind: str, port: int, ahead: bool) -> Iterator[None]:
    """Let a process make work meanwhile, behind the one that measures."""
    command = [sys.executable, __file__, "--make-work", kind, str(port)]
    nice = ["nice", "-n", "0" if ahead else "19"]
    process = subprocess.Popen(
        [*nice, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(0.5)
        yield
        if process.poll() is not None:
            raise servers.ServerError(f"the client that should {kind} ended")
    finally:
        process.kill()
        process.wait()


# ---- parts ---------------------------------------------------------------------------------------


@contextmanager
def serving(
    options: argparse.Namespace, access_log: bool = False
) -> Iterator[servers.RunningServer]:
    """Run the server."""
    command = servers.PEERS[options.server].command(options.python, "latency:app", access_log)
    server = servers.start(options.server, command, options.server_core)
    if options.ahead:
        # No real-time class: the kernel holds that up for 50 ms of each second that it fills.
        os.setpriority(os.PRIO_PROCESS, server.process.pid, -20)
    try:
        yield server
    finally:
        server.stop()


def beside(options: argparse.Namespace, kinds: list[str], name: str) -> None:
    """Other requests and a timer with work of these kinds and without, in turns."""
    plain: list[float] = []
    busy: list[float] = []
    late: list[float] = []
    moved = 0
    with serving(options) as server:
        port = server.port
        at_fixed_rate(port, 1)
        for _ in range(options.rounds):
            with going_first():
                plain += at_fixed_rate(port, options.seconds)
            with ExitStack() as stack:
                for kind in kinds:
                    stack.enter_context(work(kind, port, options.ahead))
                stack.enter_context(going_first())
                once(port, "/begin")
                busy += at_fixed_rate(port, options.seconds)
                told = json.loads(once(port, "/end"))
                late += told["late"]
                moved += told["moved"]
    if moved:
        speed = moved / (options.rounds * options.seconds) / 1e6
        report(f"throughput of {name}", f"{speed:.0f} MB/s")
    figures = ", ".join(milliseconds(percentile(late, p)) for p in (50, 99, 100))
    report(f"10 ms timer beside {name}: late p50, p99, max", figures, "max <= 5 ms")
    figures = ", ".join(milliseconds(percentile(values, 50)) for values in (plain, busy))
    report(f"p50 of other requests without, with {name}", figures)
    without, with_ = percentile(plain, 99), percentile(busy, 99)
    figures = f"{milliseconds(without)}, {milliseconds(with_)}, x {with_ / without:.2f}"
    report(f"p99 of other requests without, with {name}", figures, "x <= 2")


def bulk(options: argparse.Namespace) -> None:
    """One client reads 1 GiB, another uploads 1 GiB."""
    beside(options, ["stream", "upload"], "1 GiB down and up")


def sleepers(options: argparse.Namespace) -> None:
    """300 clients in asyncio.sleep(0.2)."""
    beside(options, ["sleep"], "300 in sleep(0.2)")


def leave(port: int, control: Client, how: str, way: str, number: str) -> float:
    """Let a client go; return how long the application took to see it."""
    request = f" /leave/{how}/{number} HTTP/1.1\r\nHost: h\r\n".encode()
    client = Client(port, 8192 if how == "paused" else None)
    if how == "paused":
        client.sock.sendall(b"POST" + request + b"Content-Length: 1000000\r\n\r\n" + bytes(100_000))
    elif how == "pipelined":
        behind = b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n" * 20
        client.sock.sendall(b"GET" + request.replace(b"pipelined/", b"before/") + b"\r\n" + behind)
    else:
        client.sock.sendall(b"GET" + request + b"\r\n")
    control.ask(f"/ready/{number}")
    time.sleep(0.005)
    went = time.monotonic()
    if way == "RST":
        client.rst()
    else:
        client.sock.shutdown(socket.SHUT_WR)
    seen = float(control.ask(f"/gone/{number}"))
    client.sock.close()
    # After its answer an application is told at once, without a client that goes.
    return max(0.0, seen - went)


def notice(options: argparse.Namespace) -> None:
    """How soon the application sees that its client has gone."""
    with serving(options) as server:
        control = Client(server.port)
        for how in ("before", "during", "streaming", "after", "pipelined", "paused"):
            for way in ("FIN", "RST"):
                what = f"http.disconnect, {how}, {way}: p50, max"
                count = NOTICES // 4 if how == "paused" else NOTICES
                try:
                    took = [
                        leave(server.port, control, how, way, f"{how}-{way}-{number}")
                        for number in range(count)
                    ]
                except (TimeoutError, servers.ServerError):
                    report(what, "never", "max < 10 ms")
                    control = Client(server.port)
                    continue
                figures = f"{milliseconds(percentile(took, 50))}, {milliseconds(max(took))}"
                report(what, figures, "max < 10 ms")


def calls(pid: int) -> str:
    """Say which system calls a process and its threads make within ten seconds."""
    with tempfile.NamedTemporaryFile("r") as trace:
        command = ["strace", "-f", "-ttt", "-o", trace.name, "-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(0.5)  # attaching interrupts the calls that wait
        begin = time.time()
        time.sleep(IDLE_SECONDS)
        end = time.time()
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        lines = [line.split(maxsplit=2)[1:] for line in trace if "(" in line]
    names = [call.split("(")[0] for at, call in lines if begin < float(at) < end]
    return f"{len(names)} {' '.join(sorted(set(names)))}".strip()


def idle(options: argparse.Namespace) -> None:
    """System calls of a server that has nothing to do, and how soon it stops."""
    with serving(options, access_log=True) as server:
        once(server.port, "/hello")
        time.sleep(6)  # the last keep-alive time runs out
        report("system calls in 10 s, listening only", calls(server.process.pid), "0")
        began = time.monotonic()
        server.process.terminate()
        server.process.wait(30)
        report("SIGTERM to exit, idle", milliseconds(time.monotonic() - began))
    if options.server != "cuvee":
        return
    program = "import cuvee, asyncio; cuvee.loop.run(asyncio.Event().wait())"
    process = subprocess.Popen([options.python, "-c", program])
    time.sleep(1)
    report("system calls in 10 s, a loop alone", calls(process.pid), "0")
    process.kill()
    process.wait()


def seconds_to_answer(client: Client, path: str) -> float:
    """Ask, and return how long the whole answer took."""
    asked = time.monotonic()
    client.ask(path)
    return time.monotonic() - asked


def spin(options: argparse.Namespace) -> None:
    """How soon the client of a handler has its answer that goes on computing for 0.2 s after it."""
    first = []
    for _ in range(STARTS):
        with serving(options) as server:
            client = Client(server.port)
            first.append(seconds_to_answer(client, "/spin"))
    report("answer before a spin, the first of a server: max", milliseconds(max(first)), "<= 5 ms")
    with serving(options) as server:
        port = server.port
        once(port, "/spin")
        client = Client(port)
        with work("quick", port, options.ahead), going_first():
            took = []
            for _ in range(SPINS):
                took.append(seconds_to_answer(client, "/spin"))
                client.ask("/hello")  # waits for the end of the spin
                time.sleep(0.5)  # thousands of quick ones
    late = sum(one > 0.005 for one in took)
    figures = f"{milliseconds(percentile(took, 50))}, {milliseconds(max(took))}, {late}"
    report("answer before a spin, beside quick requests: p50, max, late", figures, "max <= 5 ms")


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "bulk": bulk,
    "sleepers": sleepers,
    "notice": notice,
    "idle": idle,
    "spin": spin,
}

if __name__ == "__main__":
    sys.exit(main())
