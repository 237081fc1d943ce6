/* SPDX-License-Identifier: MIT */
#include "observe/log_ring.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int
cv_log_ring_init(cv_log_ring_t *ring, size_t size)
{
    enum { SMALLEST = 4096 };
    size_t rounded = SMALLEST;
    while (rounded < size && rounded <= SIZE_MAX / 4) {
        rounded *= 2;
    }
    memset(ring, 0, sizeof(*ring));
    ring->bytes = malloc(rounded);
    if (ring->bytes == NULL) {
        return -ENOMEM;
    }
    ring->size = rounded;
    return 0;
}

void
cv_log_ring_deinit(cv_log_ring_t *ring)
{
    free(ring->bytes);
    ring->bytes = NULL;
}

size_t
cv_log_ring_used(const cv_log_ring_t *ring)
{
    /* In this order: head is never behind the tail that was seen before it. */
    size_t tail = atomic_load(&ring->tail);
    return atomic_load(&ring->head) - tail;
}

/* Where the byte with count `at` stands. */
static size_t
offset_of(const cv_log_ring_t *ring, size_t at)
{
    return (at - atomic_load_explicit(&ring->base, memory_order_relaxed)) & (ring->size - 1);
}

cv_log_cursor_t
cv_log_ring_start(cv_log_ring_t *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (atomic_load_explicit(&ring->tail, memory_order_acquire) == head) {
        /* The consumer looks at it only behind a head that it has not seen yet. */
        atomic_store_explicit(&ring->base, head, memory_order_relaxed);
    }
    return (cv_log_cursor_t){ring, head};
}

void
cv_log_ring_put(cv_log_cursor_t *cursor, const char *text, size_t len)
{
    if (len == 0) {
        return;
    }
    cv_log_ring_t *ring = cursor->ring;
    size_t offset = offset_of(ring, cursor->at);
    size_t first = len <= ring->size - offset ? len : ring->size - offset;
    memcpy(ring->bytes + offset, text, first);
    memcpy(ring->bytes, text + first, len - first);
    cursor->at += len;
}

void
cv_log_ring_commit(const cv_log_cursor_t *cursor)
{
    atomic_store(&cursor->ring->head, cursor->at);
}

static char
byte_at(const cv_log_ring_t *ring, size_t at)
{
    return ring->bytes[offset_of(ring, at)];
}

/* The length of whole lines in ring[tail, tail + used): at most `most`, or that of the first line. */
static size_t
whole_lines(const cv_log_ring_t *ring, size_t tail, size_t used, size_t most)
{
    if (used <= most) {
        return used; /* every commit ends with a line */
    }
    size_t len = most;
    while (len > 0 && byte_at(ring, tail + len - 1) != '\n') {
        len--;
    }
    if (len > 0) {
        return len;
    }
    len = most;
    while (byte_at(ring, tail + len) != '\n') {
        len++;
    }
    return len + 1;
}

size_t
cv_log_ring_peek(const cv_log_ring_t *ring, size_t most, cv_span_t out_spans[2])
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t used = cv_log_ring_used(ring);
    if (used == 0) {
        out_spans[0] = out_spans[1] = (cv_span_t){ring->bytes, 0};
        return 0;
    }
    size_t len = whole_lines(ring, tail, used, most);
    size_t offset = offset_of(ring, tail);
    size_t first = len <= ring->size - offset ? len : ring->size - offset;
    out_spans[0] = (cv_span_t){ring->bytes + offset, first};
    out_spans[1] = (cv_span_t){ring->bytes, len - first};
    return len;
}

void
cv_log_ring_take(cv_log_ring_t *ring, size_t len)
{
    atomic_store(&ring->tail, atomic_load_explicit(&ring->tail, memory_order_relaxed) + len);
}

size_t
cv_log_ring_drop(cv_log_ring_t *ring, size_t len)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += byte_at(ring, tail + i) == '\n';
    }
    cv_log_ring_take(ring, len);
    return lines;
}
