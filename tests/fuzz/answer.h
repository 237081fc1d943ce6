/* SPDX-License-Identifier: MIT
 *
 * Reads what a server sent as a client must (RFC 9112 section 6.3), with nothing of ours or of llhttp in it. What is no
 * answer, nor the beginning of one, is a finding.
 */
#ifndef CUVEE_TESTS_FUZZ_ANSWER_H
#define CUVEE_TESTS_FUZZ_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { ANSWER_FIELDS_MAX = 512 };

typedef struct {
    cv_span_t name, value;
} answer_field_t;

typedef struct {
    unsigned status;       /* 0: not even the status line is there */
    bool has_head;         /* the head is there to its end */
    bool is_complete;      /* so is the body */
    bool until_close;      /* the end of the connection ends the body: it can only be said to be complete then */
    bool says_close;       /* in a connection field */
    unsigned lengths, codings; /* the fields that frame the body, by number */
    answer_field_t fields[ANSWER_FIELDS_MAX];
    size_t field_count, trailer_count;
    char *body;            /* decoded; the caller's memory */
    size_t body_len, body_cap;
} answer_t;

/* What the request was. */
typedef struct {
    bool is_head, is_connect;
} answer_to_t;

/* Reads one answer off the front of `data`, its body into `body`. Returns the bytes that it takes. `at_end`: the
 * connection ended behind them. */
size_t answer_read(answer_t *answer, answer_to_t to, const char *data, size_t len, bool at_end, char *body,
                   size_t body_cap);

#endif
