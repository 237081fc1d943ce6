# SPDX-License-Identifier: MIT
"""The tests of CPython that cuvee's loop does not pass, each with the reason.

All of them look inside asyncio's own loop. They run all the same: one that passes, and a name that
there is no test for, is an error. Made with 3.11.7, 3.12.1, 3.13.0 and 3.14.8.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

_SOCKETS = "puts a mock in place of a socket, which no file descriptor stands behind"
_ACCEPT = "calls the selector loop's own way to accept, which our acceptor in C takes the place of"
_SIGNALS = "puts a mock in place of the signal module, in a file of asyncio's that we do not use"
_SENDFILE = "calls the selector loop's own step of sendfile, or changes its os module"
_SELECTOR = "looks at the selector of asyncio's loop"
_LOCKED = "wants a handle that is an asyncio.Handle (decision 12)"
_READY = "runs a loop until its private queue, which ours does not use, is empty"

_REASONS = {
    "test_base_events.BaseEventLoopWithSelectorTests": {
        "test_accept_connection_exception": _ACCEPT,
        "test_accept_connection_retry": _ACCEPT,
        "test_create_connection_ip_addr": _SOCKETS,
        "test_create_connection_ipv6_scope": _SOCKETS,
        "test_create_connection_no_inet_pton": _SOCKETS,
        "test_create_connection_service_name": _SOCKETS,
        "test_create_datagram_endpoint_ip_addr": _SOCKETS,
        "test_create_server_soreuseport_only_defined": _SOCKETS,
        "test_log_slow_callbacks": "puts a mock in place of the logger of asyncio.base_events",
    },
    "test_events.SelectEventLoopTests": {"test_timeout_rounding": _SELECTOR},
    "test_tasks.CoroutineGatherTests": {
        "test_duplicate_coroutines": _READY,
        "test_one_exception": _READY,
        "test_result_exception_success": _READY,
        "test_return_exceptions": _READY,
        "test_success": _READY,
    },
    "test_tasks.FutureGatherTests": {
        "test_one_cancellation": _READY,
        "test_one_exception": _READY,
        "test_result_exception_success": _READY,
        "test_return_exceptions": _READY,
        "test_success": _READY,
    },
    "test_unix_events.SelectorEventLoopSignalTests": {
        "test_add_signal_handler": "wants a handle that is an asyncio.Handle (decision 12)",
        "test_add_signal_handler_install_error": _SIGNALS,
        "test_add_signal_handler_install_error2": _SIGNALS,
        "test_add_signal_handler_install_error3": _SIGNALS,
        "test_add_signal_handler_setup_error": _SIGNALS,
        "test_check_signal": "calls a private method",
        "test_close": _SIGNALS,
        "test_close_on_finalizing": _SIGNALS,
        "test_remove_signal_handler": _SIGNALS,
        "test_remove_signal_handler_2": _SIGNALS,
        "test_remove_signal_handler_error": _SIGNALS,
        "test_remove_signal_handler_error2": _SIGNALS,
    },
    "test_unix_events.SelectorEventLoopUnixSockSendfileTests": {
        "test_sock_sendfile_blocking_error": _SENDFILE,
        "test_sock_sendfile_cancel1": _SENDFILE,
        "test_sock_sendfile_cancel2": _SENDFILE,
        "test_sock_sendfile_exception": _SENDFILE,
        "test_sock_sendfile_not_available": _SENDFILE,
        "test_sock_sendfile_os_error_first_call": _SENDFILE,
        "test_sock_sendfile_os_error_next_call": _SENDFILE,
    },
}

if sys.version_info >= (3, 14):
    _REASONS["test_events.SelectEventLoopTests"] |= {
        "test_call_soon_threadsafe_handle_block_cancellation": _LOCKED,
        "test_call_soon_threadsafe_handle_block_check_cancelled": _LOCKED,
        "test_call_soon_threadsafe_handle_cancel_other_thread": _LOCKED,
    }
    _REASONS["test_ssl.TestSSL"] = {
        "test_remote_shutdown_receives_trailing_data_on_slow_socket": (
            "changes the socket that asyncio's transport writes to"
        ),
    }
    _REASONS["test_sslproto.SslProtoHandshakeTests"] = {
        "test_connection_lost_when_busy": _SOCKETS,
    }
else:
    for _case in (
        "CTaskSubclass_PyFuture_Tests",
        "CTask_CFuture_SubclassTests",
        "CTask_CFuture_Tests",
        "CTask_PyFuture_Tests",
        "PyTask_CFutureSubclass_Tests",
        "PyTask_CFuture_Tests",
        "PyTask_PyFuture_SubclassTests",
        "PyTask_PyFuture_Tests",
    ):
        _REASONS[f"test_tasks.{_case}"] = {"test_log_destroyed_pending_task": _SELECTOR}


def _by_name() -> Iterator[tuple[str, str]]:
    for case, tests in _REASONS.items():
        for test, reason in tests.items():
            yield f"{case}.{test}", reason


LEFT_OUT = dict(_by_name())
