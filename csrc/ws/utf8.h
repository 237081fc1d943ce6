/* SPDX-License-Identifier: MIT
 *
 * Whether bytes are UTF-8 (RFC 3629), told as they arrive: in pieces that may end inside a character.
 *
 * Thread:  any.
 */
#ifndef CUVEE_WS_UTF8_H
#define CUVEE_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 between two characters. */
typedef uint8_t cv_utf8_t;

/* False at the first byte with which no valid text goes on. */
bool cv_utf8_feed(cv_utf8_t *state, const char *data, size_t len);

/* True when the text may end here. */
static inline bool
cv_utf8_is_complete(cv_utf8_t state)
{
    return state == 0;
}

#endif
