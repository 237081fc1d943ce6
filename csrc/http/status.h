/* SPDX-License-Identifier: MIT
 *
 * Status codes, their reason phrases, and ready-made status lines (RFC 9110 section 15).
 *
 * Owns:    constant tables.
 * Thread:  any.
 */
#ifndef CUVEE_HTTP_STATUS_H
#define CUVEE_HTTP_STATUS_H

#include "base/span.h"

/* The reason phrase; an empty span for a code that has none. */
cv_span_t cv_status_phrase(unsigned status);

/* "HTTP/1.1 200 OK\r\n" for a code that has a phrase; an empty span for another one. */
cv_span_t cv_status_line(unsigned status);

#endif
