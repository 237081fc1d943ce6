"""What native/asker.c does, over TLS: `tls_asker PORT CONNECTIONS REQUEST-FILE ANSWER-BYTES CERTIFICATE`.

The connections ask together, and are read one after the other.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from pathlib import Path


def main(port: int, connections: int, request: bytes, answer_size: int, certificate: str) -> None:
    """Ask for so many milliseconds as each line on stdin says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificate)
    open_ones = []
    for _ in range(connections):
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        open_ones.append(context.wrap_socket(plain))
    print('{"ready": true}', flush=True)
    buffer = memoryview(bytearray(answer_size))
    for line in sys.stdin:
        count = 0
        begin = time.perf_counter()
        end = begin + int(line) / 1000
        while time.perf_counter() < end:
            for connection in open_ones:
                connection.sendall(request)
            for connection in open_ones:
                _read(connection, buffer)
            count += connections
        print(json.dumps({"count": count, "seconds": time.perf_counter() - begin}), flush=True)


def _read(connection: ssl.SSLSocket, buffer: memoryview) -> None:
    size = 0
    while size < len(buffer):
        got = connection.recv_into(buffer[size:])
        if got == 0:
            raise ConnectionError("the server closed a connection")
        size += got


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        int(sys.argv[2]),
        Path(sys.argv[3]).read_bytes(),
        int(sys.argv[4]),
        sys.argv[5],
    )
