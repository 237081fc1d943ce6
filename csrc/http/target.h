/* SPDX-License-Identifier: MIT
 *
 * Percent-decoding of a request target's path (RFC 3986 section 2.1).
 *
 * Thread:  any.
 */
#ifndef CUVEE_HTTP_TARGET_H
#define CUVEE_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* True when the bytes are plain: ASCII without '%', so that decoding would change nothing. */
bool cv_target_is_plain(const char *path, size_t len);

/* Decodes %XX into `out`, which has room for `len` bytes. A '%' that no two hexadecimal digits
 * follow stays as it is. Returns the decoded length. */
size_t cv_target_decode(const char *path, size_t len, char *out);

#endif
