/* SPDX-License-Identifier: MIT
 *
 * The values of a WebSocket handshake's fields (RFC 6455 section 4.2): the key, its answer, and lists of tokens.
 *
 * Owns:    nothing.
 * Borrows: every span, from the caller.
 * Thread:  any.
 * Errors:  none.
 */
#ifndef CUVEE_WS_WS_HANDSHAKE_H
#define CUVEE_WS_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { CV_WS_ACCEPT_LEN = 28 };

/* True for the base64 of 16 bytes (section 4.1, number 7). */
bool cv_ws_key_is_valid(cv_span_t key);

/* The value of Sec-WebSocket-Accept for a valid key. */
void cv_ws_accept(cv_span_t key, char out[CV_WS_ACCEPT_LEN]);

/* Takes the next element of a comma-separated list off it, without the whitespace around it; empty ones are skipped
 * (RFC 9110 section 5.6.1). False at its end. */
bool cv_ws_list_next(cv_span_t *list, cv_span_t *out);

/* True for a token (RFC 9110 section 5.6.2), as a subprotocol's name has to be. */
bool cv_ws_is_token(cv_span_t name);

#endif
