/* SPDX-License-Identifier: MIT */
#include "asgi/batch.h"

#include "base/clock.h"

enum {
    HOLD_LIMIT = 1000000,   /* ns: the longest that a finished answer waits for others */
    SLOW_STEP = 1000000,    /* ns: a step that computes so long after its answer is a slow one */
    /* A host that takes the core away for some milliseconds looks like a slow step: it costs few batches. */
    SURELY_SLOW_STEP = 20000000,
    IMMEDIATE_AFTER = 64,           /* pieces written at once after a slow step was seen */
    IMMEDIATE_AFTER_SURELY = 4096,
};

static bool
was_slow(cv_batch_t *batch, uint64_t now)
{
    uint64_t step = now - batch->last_hold;
    if (step <= SLOW_STEP) {
        return false;
    }
    batch->immediate = step > SURELY_SLOW_STEP ? IMMEDIATE_AFTER_SURELY : IMMEDIATE_AFTER;
    return true;
}

cv_batch_verdict
cv_batch_on_queued(cv_batch_t *batch, bool busy)
{
    if (batch->immediate > 0) {
        batch->immediate--;
        return CV_BATCH_WRITE;
    }
    if (batch->held == 0) {
        if (!busy) {
            return CV_BATCH_WRITE;
        }
        batch->first_hold = batch->last_hold = cv_clock_now();
        batch->held = 1;
        return CV_BATCH_HOLD;
    }
    uint64_t now = cv_clock_now();
    if (was_slow(batch, now) || now - batch->first_hold > HOLD_LIMIT) {
        batch->held = 0;
        return CV_BATCH_WRITE_ALL;
    }
    batch->last_hold = now;
    batch->held++;
    return CV_BATCH_HOLD;
}

void
cv_batch_on_flush(cv_batch_t *batch)
{
    if (batch->held > 0) {
        was_slow(batch, cv_clock_now());
        batch->held = 0;
    }
}
