"""Measure what a file costs that the kernel sends: cuvee with pathsend beside nginx.

Both servers are up at once and take turns, on one core; the client is on another. The cost is the
CPU time of the server's processes for one download, the ratio is taken within each round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import sys
import tempfile
from pathlib import Path

# Run as a script, it is not part of a package yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import servers
from benchmarks.servers import PORT, RunningServer

MB = 1_000_000
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


def main() -> int:
    """Measure, and print a line a server."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=1074, help="size of the file (1 GiB)")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    options = parser.parse_args()
    if shutil.which("nginx") is None:
        print("benchmarks/files.py: there is no nginx", file=sys.stderr)
        return 1
    os.sched_setaffinity(0, {options.load_core})
    with tempfile.TemporaryDirectory(prefix="bench-files-") as folder:
        size = options.megabytes * MB
        write_file(Path(folder, "file"), size)
        os.chmod(folder, 0o755)
        running = start(Path(folder), options.server_core)
        try:
            costs = measure(running, size, options.rounds)
        finally:
            for server in running:
                server.stop()
    report(costs, size)
    return 0


def write_file(path: Path, size: int) -> None:
    """Make a file with something in it."""
    with path.open("wb") as file:
        block = os.urandom(MB)
        for _ in range(size // MB):
            file.write(block)


def start(folder: Path, core: int) -> list[RunningServer]:
    """Start both servers on the same file."""
    port = servers.free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    app = [sys.executable, "-m", "cuvee", "files:app", "--port", PORT, "--no-access-log"]
    nginx = ["nginx", "-p", str(folder), "-c", str(config)]
    return [
        servers.start("cuvee", app, core, BENCH_FILE=str(folder / "file")),
        servers.start("nginx", nginx, core, port=port),
    ]


def measure(running: list[RunningServer], size: int, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each download."""
    costs: dict[str, list[float]] = {server.name: [] for server in running}
    for number in range(rounds + 1):
        for server in running if number % 2 else running[::-1]:
            before = server.cpu_seconds()
            download(server.port, size)
            if number:  # the first one is for the caches
                costs[server.name].append(server.cpu_seconds() - before)
    return costs


def download(port: int, size: int) -> None:
    """Fetch the file and drop it."""
    taken = 0
    room = bytearray(1 << 18)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while count := client.recv_into(room):
            taken += count
    if not size < taken < size + 1000:
        raise servers.ServerError(f"{taken} bytes came of {size}")


def report(costs: dict[str, list[float]], size: int) -> None:
    """Print medians: of each server's cost, and of the ratio."""
    for name, values in costs.items():
        print(f"{name}: {statistics.median(values) / size * 1e12:.0f} µs of CPU a megabyte")
    ratios = [ours / theirs for ours, theirs in zip(costs["cuvee"], costs["nginx"], strict=True)]
    print(f"cuvee to nginx: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    sys.exit(main())
