/* SPDX-License-Identifier: MIT
 *
 * The monotonic clock, for budgets that are shorter than the loop's cached milliseconds.
 *
 * Thread:  any.
 */
#ifndef CUVEE_BASE_CLOCK_H
#define CUVEE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some fixed point. */
static inline uint64_t
cv_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
