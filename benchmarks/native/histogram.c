/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <string.h>

/* What is below HISTOGRAM_STEPS has a bucket of its own; above, 64 share each power of two. */
static unsigned
bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS) {
        return (unsigned)value;
    }
    unsigned shift = 57 - (unsigned)__builtin_clzll(value);
    return (shift + 1) * HISTOGRAM_STEPS + (unsigned)(value >> shift) - HISTOGRAM_STEPS;
}

static uint64_t
most_in(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS) {
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    return (((uint64_t)(bucket % HISTOGRAM_STEPS) + HISTOGRAM_STEPS + 1) << shift) - 1;
}

void
histogram_clear(histogram_t *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

void
histogram_add(histogram_t *histogram, uint64_t nanoseconds)
{
    histogram->counts[bucket_of(nanoseconds)]++;
    histogram->total++;
    if (nanoseconds > histogram->max) {
        histogram->max = nanoseconds;
    }
}

double
histogram_us(const histogram_t *histogram, double percent)
{
    uint64_t wanted = (uint64_t)((double)histogram->total * percent / 100);
    uint64_t passed = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        passed += histogram->counts[bucket];
        if (passed > wanted) {
            uint64_t most = most_in(bucket);
            return (double)(most < histogram->max ? most : histogram->max) / 1e3;
        }
    }
    return (double)histogram->max / 1e3;
}
