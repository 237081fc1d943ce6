/* SPDX-License-Identifier: MIT
 *
 * The time of day as log lines show it, written anew once a second.
 *
 * Owns:    nothing.
 * Thread:  the one that owns the cv_access_time_t.
 */
#ifndef CUVEE_OBSERVE_ACCESS_TIME_H
#define CUVEE_OBSERVE_ACCESS_TIME_H

#include <stdint.h>
#include <time.h>

typedef struct {
    int64_t second; /* since 1970, of what follows; 0 before the first look */
    char local[26]; /* 30/Nov/2026:03:16:37 +0100 */
    char iso[25];   /* 2026-11-30T03:16:37+01:00 */
    char utc[19];   /* 2026-11-30T02:16:37 */
} cv_access_time_t;

/* Brings the texts to the second of `now`. */
void cv_access_time_set(cv_access_time_t *time, const struct timespec *now);

#endif
