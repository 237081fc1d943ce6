/* SPDX-License-Identifier: MIT
 *
 * What the parts of the parser tell each other: a frame's head (ws_head.c), its payload (ws_payload.c), and the loop
 * over both (ws_parser.c).
 *
 * Thread:  loop thread.
 * Errors:  those of ws_parser.h.
 */
#ifndef CUVEE_WS_WS_PARSER_PRIVATE_H
#define CUVEE_WS_WS_PARSER_PRIVATE_H

#include "ws/ws_parser.h"

/* Control frames have the opcode's top bit set (RFC 6455 section 5.5). */
static inline bool
cv_ws_is_control(unsigned opcode)
{
    return opcode >= CV_WS_CLOSE;
}

/* Reads a head off `len` bytes and makes its frame the one under way. Returns its length, 0 when more is needed, or
 * the rule that is broken by what is there. */
int cv_ws_head_read(cv_ws_parser_t *parser, const uint8_t *bytes, size_t len);

/* Takes bytes of the payload of the frame under way: *out_used of them. Returns as cv_ws_parser_feed; after 0 without
 * in_payload another frame follows. */
int cv_ws_payload_take(cv_ws_parser_t *parser, char *data, size_t len, size_t *out_used, cv_ws_event_t *out);

/* Gives back the inflater, if there is one. */
void cv_ws_inflater_drop(cv_ws_parser_t *parser);

#endif
