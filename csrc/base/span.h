/* SPDX-License-Identifier: MIT
 *
 * A span: bytes that someone else owns.
 *
 * Owns:    nothing.
 * Borrows: the bytes; whoever hands out a span says how long they last.
 * Thread:  any.
 */
#ifndef CUVEE_BASE_SPAN_H
#define CUVEE_BASE_SPAN_H

#include <stddef.h>

typedef struct {
    const char *data;
    size_t len;
} cv_span_t;

#endif
