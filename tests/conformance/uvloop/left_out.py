# SPDX-License-Identifier: MIT
"""The tests of uvloop that cuvee's loop does not pass, each with the reason.

They run all the same. One that passes, and a name that there is no test for, is an error.
"""

from __future__ import annotations

import sys

# What asks for uvloop's own parts.
_INTERNAL = {
    "test_cython.TestCythonIntegration.test_cython_coro_is_coroutine": (
        "imports a coroutine that is compiled into uvloop"
    ),
    "test_fs_event": "imports uvloop's watcher of files, which no other loop has",
    "test_libuv_api": "imports uvloop's capsule of a uv_loop_t",
    "test_process.Test_UV_Process.test_process_double_close": (
        "counts the calls of os.dup and os.close that uvloop makes to start a process"
    ),
    "test_process.Test_UV_Process_Delayed.test_process_delayed_stdio__paused__no_stdin": (
        "passes an argument that only uvloop has, for its tests"
    ),
    "test_process.Test_UV_Process_Delayed.test_process_delayed_stdio__paused__stdin_pipe": (
        "passes an argument that only uvloop has, for its tests"
    ),
    "test_sockets.TestUVSockets.test_pseudosocket": (
        "looks at the repr of uvloop's own kind of socket; ours is asyncio's TransportSocket"
    ),
    "test_sockets.TestUVSockets.test_socket_sync_remove": (
        "asks for the epoll descriptor of uvloop's loop by a private name"
    ),
    "test_sourcecode.TestSourceCode.test_flake8": "checks the style of uvloop's sources",
    "test_sourcecode.TestSourceCode.test_mypy": "checks the types of uvloop's sources",
    "test_tcp.Test_UV_TCPSSL.test_flush_before_shutdown": (
        "takes uvloop's TLS protocol object out of get_extra_info('uvloop.sslproto')"
    ),
}

# The words of uvloop's own errors.
_WORDS = {
    "test_runner.TestSourceCode.test_uvloop_run_2": (
        "asks for uvloop's words when run() is given a loop_factory of another kind; "
        "cuvee.loop.run() takes none"
    ),
    "test_tcp.Test_UV_TCP.test_create_server_buffered_2": (
        "asks for uvloop's words when get_buffer() fails; "
        "we hand the error itself to connection_lost, as asyncio does"
    ),
}
if sys.version_info >= (3, 12):
    _WORDS["test_udp.Test_UV_UDP.test_create_datagram_endpoint_wrong_sock"] = (
        "asks for asyncio's words before 3.12"
    )

# Where uvloop differs from asyncio, and we do as asyncio does.
_OTHERWISE_IN_ASYNCIO = {
    "test_context.Test_UV_Context.test_create_server_manual_connection_lost": (
        "connection_lost runs in the context of close(), not in that of the connection"
    ),
    "test_context.Test_UV_Context.test_create_ssl_server_manual_connection_lost": (
        "a TLS transport that is closed while paused has passed its data on already"
    ),
    "test_signals.Test_UV_Signals.test_signals_no_SIGCHLD": (
        "a handler for SIGCHLD may be added; our subprocesses do not need the signal"
    ),
    "test_tcp.Test_UV_TCPSSL.test_bpo_39951_discard_trailing_data": (
        "data behind the peer's close_notify is an error of OpenSSL's, which wait_closed() raises"
    ),
    "test_tcp.Test_UV_TCPSSL.test_first_data_after_wakeup": (
        "who waits for start_tls goes on one turn after the data that came with the handshake"
    ),
    "test_tcp.Test_UV_TCPSSL.test_shutdown_timeout_handler_not_set": (
        "eof_received is not called while reading is paused"
    ),
    "test_tcp.Test_UV_TCPSSL.test_shutdown_while_pause_reading": (
        "eof_received is not called after close()"
    ),
    "test_tcp.Test_UV_TCPSSL.test_start_tls_client_buf_proto_1": (
        "a protocol is a buffered one only if it is a BufferedProtocol"
    ),
    "test_tcp.Test_UV_TCP.test_create_server_buffered_1": (
        "a protocol is a buffered one only if it is a BufferedProtocol"
    ),
    "test_unix.Test_UV_Unix.test_epollhup": (
        "a protocol is a buffered one only if it is a BufferedProtocol"
    ),
    "test_udp.Test_UV_UDP.test_create_datagram_endpoint_reuse_address_error": (
        "create_datagram_endpoint has no reuse_address since 3.11"
    ),
    "test_udp.Test_UV_UDP.test_create_datagram_endpoint_reuse_address_warning": (
        "create_datagram_endpoint has no reuse_address since 3.11"
    ),
    "test_udp.Test_UV_UDP.test_udp_sendto_dns": "sendto() to a name leaves it to the system",
}
if sys.version_info < (3, 13):
    _OTHERWISE_IN_ASYNCIO["test_unix.Test_UV_Unix.test_create_unix_server_path_stream_bittype"] = (
        "create_unix_server has cleanup_socket from 3.13 on"
    )

LEFT_OUT = {**_INTERNAL, **_WORDS, **_OTHERWISE_IN_ASYNCIO}
