/* SPDX-License-Identifier: MIT */
#include "fuzz_clock.h"

#include <time.h>

enum { BEGIN = 1000000 };

static uint64_t now = BEGIN; /* milliseconds */

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
time_t __wrap_time(time_t *out);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    (void)clock;
    out->tv_sec = (time_t)(now / 1000);
    out->tv_nsec = (long)(now % 1000) * 1000000;
    return 0;
}

time_t
__wrap_time(time_t *out)
{
    time_t second = (time_t)(now / 1000);
    if (out != NULL) {
        *out = second;
    }
    return second;
}

void
fuzz_clock_reset(void)
{
    now = BEGIN;
}

void
fuzz_clock_pass(uint64_t milliseconds)
{
    now += milliseconds;
}
