/* SPDX-License-Identifier: MIT
 *
 * How long things took, counted in buckets of at most 1.6 % of the time itself, so that noting one costs nothing.
 *
 * Owns:    its counts; there is no memory behind them.
 * Thread:  there is one.
 * Errors:  none.
 */
#ifndef CUVEE_BENCHMARKS_HISTOGRAM_H
#define CUVEE_BENCHMARKS_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 64, /* buckets for each power of two */
    HISTOGRAM_BUCKETS = 59 * HISTOGRAM_STEPS,
};

typedef struct {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t max;
} histogram_t;

/* Forgets everything. */
void histogram_clear(histogram_t *histogram);

/* Notes that something took so many nanoseconds. */
void histogram_add(histogram_t *histogram, uint64_t nanoseconds);

/* The time in microseconds that so many per cent did not exceed; 0 if nothing was noted. */
double histogram_us(const histogram_t *histogram, double percent);

#endif
