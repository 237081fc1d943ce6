# SPDX-License-Identifier: MIT
"""Which options go together to one part of the server."""

from __future__ import annotations

LIMITS = (
    "timeout_keep_alive",
    "timeout_head",
    "timeout_body",
    "timeout_unread_body",
    "timeout_write",
    "timeout_linger",
    "timeout_request",
    "limit_request_line",
    "limit_request_head",
    "limit_request_fields",
    "limit_request_body",
    "limit_body_rate",
    "limit_concurrency",
    "limit_requests",
    "limit_connections",
    "limit_connection_requests",
    "limit_read_buffer",
    "limit_write_buffer",
)
"""The options that bound what clients may do."""
WEBSOCKET = (
    "ws_max_size",
    "ws_max_queue",
    "ws_ping_interval",
    "ws_ping_timeout",
    "ws_per_message_deflate",
    "ws_deflate_level",
    "ws_deflate_window",
    "ws_deflate_threshold",
    "ws_deflate_context",
    "ws_send_queue",
    "ws_idle_timeout",
    "ws_close_timeout",
    "limit_websockets",
)
"""The options that bound WebSockets, and say how they are spoken."""
LOG_OPTIONS = (
    "log_format",
    "access_log_format",
    "access_logfile",
    "error_logfile",
    "log_syslog",
)
"""The options of the built-in logging."""
