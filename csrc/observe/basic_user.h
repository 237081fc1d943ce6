/* SPDX-License-Identifier: MIT
 *
 * The user that a client names with the Basic scheme (RFC 7617), for the access log.
 *
 * Owns:    nothing.
 * Thread:  any.
 */
#ifndef CUVEE_OBSERVE_BASIC_USER_H
#define CUVEE_OBSERVE_BASIC_USER_H

#include "base/span.h"

enum { CV_BASIC_USER_MAX = 256 }; /* bytes of a user's name that are shown */

/* Decodes the user of an Authorization field's value into `room`; empty where the value has none. */
cv_span_t cv_basic_user(cv_span_t value, char room[CV_BASIC_USER_MAX]);

#endif
