/* SPDX-License-Identifier: MIT
 *
 * The negotiation of permessage-deflate (RFC 7692 section 7.1).
 *
 * By default neither side keeps a context between messages, so that an idle connection needs no memory for it: the
 * server says so for both sides, which it may (sections 7.1.1.1 and 7.1.1.2).
 *
 * Owns:    nothing.
 * Borrows: the field's value, while it is looked through.
 * Thread:  any.
 * Errors:  none.
 */
#ifndef CUVEE_WS_DEFLATE_OFFER_H
#define CUVEE_WS_DEFLATE_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* What the server is willing to do. */
typedef struct {
    bool enabled;
    bool context;       /* keep contexts between messages where the client agrees */
    uint8_t window;     /* 9 to 15: the most bits of a window, ours and, where contexts are kept, theirs */
    uint8_t level;      /* zlib's, 1 to 9 */
    uint32_t threshold; /* shorter messages are not compressed */
} cv_deflate_rules_t;

/* What was agreed upon. */
typedef struct {
    bool agreed;
    bool server_context, client_context; /* kept between messages */
    bool names_server_bits;              /* the answer has server_max_window_bits: asked for, or fewer than 15 */
    bool names_client_bits;              /* the answer has client_max_window_bits, which the client offered */
    uint8_t server_bits, client_bits;    /* 8 to 15 */
} cv_deflate_terms_t;

enum { CV_DEFLATE_ANSWER_MAX = 160 };

/* Looks through the value of one Sec-WebSocket-Extensions field for the first offer that can be taken. False: there is
 * none, and nothing is agreed. One that breaks a rule (an unknown, repeated or malformed parameter) is passed over.
 * Several fields count as one list, so the caller goes through them in their order until one is true. */
bool cv_deflate_negotiate(cv_span_t offers, const cv_deflate_rules_t *rules, cv_deflate_terms_t *out);

/* Writes the value of the answer's field. Returns its length. */
size_t cv_deflate_answer(const cv_deflate_terms_t *terms, char out[CV_DEFLATE_ANSWER_MAX]);

#endif
