/* SPDX-License-Identifier: MIT */
#include "asgi/batch.h"

#include "base/clock.h"

enum {
    HOLD_LIMIT = 1000000,   /* ns: the longest that a finished answer waits for others */
    SLOW_STEP = 1000000,    /* ns: a step that computes so long, or so long after a piece, is a slow one */
    TIME_PER_PIECE = 100000, /* ns: a slow step pays for one immediate piece with so much of its time */
    IMMEDIATE_ALL_MAX = 1024,
    /* A host that takes the core away for some milliseconds looks like a slow step: it costs few batches. */
    SURELY_SLOW_STEP = 20000000,
    IMMEDIATE_AFTER = 64,   /* pieces of its route written at once after a slow step was seen */
    IMMEDIATE_AFTER_SURELY = 4096,
    ROUTE_BYTES = 64,       /* a route is told by so many bytes of its path */
};

uint8_t
cv_batch_route(cv_span_t path)
{
    uint32_t route = 0;
    uint32_t segment = 0;
    bool has_digit = false;
    size_t len = path.len < ROUTE_BYTES ? path.len : ROUTE_BYTES;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (c == '/') {
            route = route * 31 + (has_digit ? 1 : segment);
            segment = 0;
            has_digit = false;
        } else {
            segment = segment * 33 + c;
            has_digit = has_digit || (c >= '0' && c <= '9');
        }
    }
    route = route * 31 + (has_digit ? 1 : segment);
    return (uint8_t)((route * UINT32_C(0x9E3779B9)) >> 26); /* 6 bits */
}

/* True when the step that sent the last piece turned out to be a slow one. */
static bool
end_step(cv_batch_t *batch, uint64_t now)
{
    if (!batch->stepping) {
        return false;
    }
    batch->stepping = false;
    uint64_t step = now - batch->last_piece;
    if (step <= SLOW_STEP) {
        return false;
    }
    batch->immediate[batch->last_route] = step > SURELY_SLOW_STEP ? IMMEDIATE_AFTER_SURELY : IMMEDIATE_AFTER;
    return true;
}

static cv_batch_verdict
write_now(cv_batch_t *batch)
{
    bool alone = batch->held == 0;
    batch->held = 0;
    return alone ? CV_BATCH_WRITE : CV_BATCH_WRITE_ALL;
}

/* Takes one from what is left of the pieces that go out at once, if any is. */
static bool
take_immediate(cv_batch_t *batch, uint8_t route)
{
    bool immediate = false;
    if (batch->immediate_all > 0) {
        batch->immediate_all--;
        immediate = true;
    }
    if (batch->immediate[route] > 0) {
        batch->immediate[route]--;
        immediate = true;
    }
    return immediate;
}

cv_batch_verdict
cv_batch_on_queued(cv_batch_t *batch, uint8_t route, bool busy)
{
    uint64_t now = cv_clock_now();
    bool was_slow = end_step(batch, now);
    batch->stepping = true;
    batch->last_route = route;
    batch->last_piece = now;
    if (take_immediate(batch, route)) {
        return write_now(batch);
    }
    if (batch->held == 0) {
        batch->first_hold = now;
        batch->held = busy;
        return busy ? CV_BATCH_HOLD : CV_BATCH_WRITE;
    }
    if (was_slow || now - batch->first_hold > HOLD_LIMIT) {
        return write_now(batch);
    }
    batch->held++;
    return CV_BATCH_HOLD;
}

void
cv_batch_on_step_end(cv_batch_t *batch, uint64_t took, uint64_t now)
{
    (void)end_step(batch, now);
    if (took > SLOW_STEP) {
        uint64_t paid = took / TIME_PER_PIECE;
        unsigned pieces = paid < IMMEDIATE_ALL_MAX ? (unsigned)paid : IMMEDIATE_ALL_MAX;
        if (batch->immediate_all < pieces) {
            batch->immediate_all = pieces;
        }
    }
}

void
cv_batch_on_flush(cv_batch_t *batch)
{
    if (batch->stepping) {
        (void)end_step(batch, cv_clock_now());
    }
    batch->held = 0;
}
