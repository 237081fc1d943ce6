/* SPDX-License-Identifier: MIT
 *
 * Values as a line of the access log shows them. What is written is visible ASCII and cannot end the line, nor the
 * quotation marks that the value stands in.
 *
 * Owns:    nothing. There must be room for what is put; each function returns where that ends.
 * Thread:  any.
 */
#ifndef CUVEE_OBSERVE_ACCESS_VALUE_H
#define CUVEE_OBSERVE_ACCESS_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum {
    CV_ACCESS_VALUE_GROWTH = 6, /* bytes that one byte of a value may take */
    CV_ACCESS_NUMBER_MAX = 24,  /* bytes of any number */
};

/* Escaped as \xHH, or as in a JSON string. */
char *cv_access_value_put(char *at, cv_span_t value, bool json);

/* A number of 10^-decimals: 12345 with 3 decimals is 12.345. */
char *cv_access_number_put(char *at, uint64_t number, unsigned decimals);

#endif
