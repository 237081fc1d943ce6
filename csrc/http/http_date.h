/* SPDX-License-Identifier: MIT
 *
 * The Date field's value (IMF-fixdate, RFC 9110 section 5.6.7), formatted once a second.
 *
 * Owns:    its text.
 * Thread:  loop thread. The caller says what time it is.
 */
#ifndef CUVEE_HTTP_HTTP_DATE_H
#define CUVEE_HTTP_HTTP_DATE_H

#include <stdint.h>

enum { CV_HTTP_DATE_LEN = 29 };

typedef struct {
    int64_t second;                /* the second that text says */
    char text[CV_HTTP_DATE_LEN + 1];
} cv_http_date_t;

void cv_http_date_init(cv_http_date_t *date);

/* The text for `second` (Unix time), formatted anew only when the second is another one. */
const char *cv_http_date_text(cv_http_date_t *date, int64_t second);

#endif
