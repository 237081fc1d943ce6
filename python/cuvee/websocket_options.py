# SPDX-License-Identifier: MIT
"""The options of WebSocket: a part of the table of options."""

from __future__ import annotations

from cuvee.kinds import Boolean, Flag, Seconds, Whole
from cuvee.one_way import Reasoned
from cuvee.option import Option
from cuvee.option_kinds import MOST, MOST_BODY, MOST_WEBSOCKET_SECONDS, Interval, Unbounded

WEBSOCKET = "WebSocket"

WEBSOCKET_OPTIONS = (
    Option(
        "ws",
        Reasoned(
            ("auto", "none", "websockets", "websockets-sansio", "wsproto"),
            "which all but none mean cuvee's own",
        ),
        WEBSOCKET,
        "none: without WebSocket, a handshake is an ordinary request; all others: cuvee's own",
    ),
    Option(
        "ws_max_size",
        Unbounded(MOST_BODY, "BYTES"),
        WEBSOCKET,
        "close with 1009 when a message is larger, also once decompressed; 0: no limit",
    ),
    Option(
        "ws_max_queue",
        Unbounded(MOST),
        WEBSOCKET,
        "stop reading when so many messages wait to be received; 0: no limit",
    ),
    Option(
        "ws_ping_interval",
        Interval(),
        WEBSOCKET,
        "seconds from one ping to the next; 0 or none: no pings",
    ),
    Option(
        "ws_ping_timeout",
        Interval(),
        WEBSOCKET,
        "close with 1011 when the pong is not there after so long; 0 or none: it may be late",
    ),
    Option(
        "ws_per_message_deflate",
        Boolean("{true,false}"),
        WEBSOCKET,
        "compress messages for clients that offer it (permessage-deflate)",
    ),
    Option(
        "ws_deflate_level", Whole(1, 9), WEBSOCKET, "1 compresses fastest, 9 makes the least of it"
    ),
    Option(
        "ws_deflate_window",
        Whole(9, 15, "BITS"),
        WEBSOCKET,
        "compress with a window of so many bits: more find more, and need more memory",
    ),
    Option(
        "ws_deflate_threshold",
        Whole(0, MOST, "BYTES"),
        WEBSOCKET,
        "send messages that are shorter than this as they are",
    ),
    Option(
        "ws_deflate_context",
        Flag(),
        WEBSOCKET,
        "keep what was compressed for the next message: smaller ones, and memory for each client",
    ),
    Option(
        "ws_send_queue",
        Whole(1, MOST, "BYTES"),
        WEBSOCKET,
        "let send wait when so much waits to be written",
    ),
    Option(
        "ws_idle_timeout",
        Interval(),
        WEBSOCKET,
        "close with 1001 when no message came or went for so long; 0 or none: never",
    ),
    Option(
        "ws_close_timeout",
        Seconds(MOST_WEBSOCKET_SECONDS),
        WEBSOCKET,
        "wait so long for the client's close frame; 0: don't wait",
    ),
    Option(
        "limit_websockets",
        Unbounded(MOST),
        WEBSOCKET,
        "answer 503 to a handshake while so many WebSockets are open [default: none]",
    ),
)
