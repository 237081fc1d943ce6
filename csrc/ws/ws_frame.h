/* SPDX-License-Identifier: MIT
 *
 * The frames that a server sends (RFC 6455 section 5.2): never masked, never fragmented. And what both sides know.
 *
 * Owns:    nothing.
 * Thread:  any.
 * Errors:  none.
 */
#ifndef CUVEE_WS_WS_FRAME_H
#define CUVEE_WS_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

typedef enum {
    CV_WS_CONTINUATION = 0,
    CV_WS_TEXT = 1,
    CV_WS_BINARY = 2,
    CV_WS_CLOSE = 8,
    CV_WS_PING = 9,
    CV_WS_PONG = 10,
} cv_ws_opcode;

enum {
    CV_WS_HEAD_MAX = 10,     /* bytes of the longest head of ours */
    CV_WS_CONTROL_MAX = 125, /* bytes of the longest payload of a control frame */
    CV_WS_REASON_MAX = 123,  /* ... and of a close frame's reason */
};

/* Status codes of section 7.4.1. */
enum {
    CV_WS_NORMAL = 1000,
    CV_WS_GOING_AWAY = 1001,
    CV_WS_PROTOCOL_ERROR = 1002,
    CV_WS_NO_STATUS = 1005,
    CV_WS_ABNORMAL = 1006,
    CV_WS_INVALID_DATA = 1007,
    CV_WS_TOO_BIG = 1009,
    CV_WS_INTERNAL_ERROR = 1011,
    CV_WS_SERVICE_RESTART = 1012,
};

/* Writes the head of a final frame with `len` bytes of payload. Returns its length. */
size_t cv_ws_frame_head(char out[CV_WS_HEAD_MAX], cv_ws_opcode opcode, bool compressed, uint64_t len);

/* Writes the payload of a close frame: the code, then as much of the reason as fits, cut between two characters.
 * CV_WS_NO_STATUS gives an empty one. Returns its length. */
size_t cv_ws_close_payload(char out[CV_WS_CONTROL_MAX], unsigned code, cv_span_t reason);

/* True for a code that an endpoint may send (section 7.4). */
bool cv_ws_code_is_valid(unsigned code);

#endif
