/* SPDX-License-Identifier: MIT */
#include "loop/timer_heap.h"

#include <math.h>

#define FIRST_SIZE 32
#define PRUNE_MIN 100 /* as asyncio: below this, pruning costs more than it frees */

void
cv_timer_heap_init(cv_timer_heap_t *heap)
{
    *heap = (cv_timer_heap_t){0};
}

void
cv_timer_heap_deinit(cv_timer_heap_t *heap)
{
    /* Dropping a handle may run a finalizer that schedules another: until none is left. */
    while (heap->count > 0) {
        TimerHandleObject *timer = heap->entries[--heap->count].timer;
        timer->scheduled = false;
        Py_DECREF(timer);
    }
    PyMem_Free(heap->entries);
    cv_timer_heap_init(heap);
}

static inline bool
is_before(const cv_timer_entry_t *a, const cv_timer_entry_t *b)
{
    return a->when < b->when || (a->when == b->when && a->sequence < b->sequence);
}

static void
sift_up(cv_timer_heap_t *heap, size_t at, cv_timer_entry_t entry)
{
    while (at > 0) {
        size_t parent = (at - 1) / 4;
        if (!is_before(&entry, &heap->entries[parent])) {
            break;
        }
        heap->entries[at] = heap->entries[parent];
        at = parent;
    }
    heap->entries[at] = entry;
}

static void
sift_down(cv_timer_heap_t *heap, size_t at, cv_timer_entry_t entry)
{
    for (;;) {
        size_t first = at * 4 + 1;
        if (first >= heap->count) {
            break;
        }
        size_t end = first + 4 < heap->count ? first + 4 : heap->count;
        size_t least = first;
        for (size_t child = first + 1; child < end; child++) {
            if (is_before(&heap->entries[child], &heap->entries[least])) {
                least = child;
            }
        }
        if (!is_before(&heap->entries[least], &entry)) {
            break;
        }
        heap->entries[at] = heap->entries[least];
        at = least;
    }
    heap->entries[at] = entry;
}

int
cv_timer_heap_push(cv_timer_heap_t *heap, TimerHandleObject *timer)
{
    if (heap->count == heap->size) {
        size_t size = heap->size > 0 ? heap->size * 2 : FIRST_SIZE;
        cv_timer_entry_t *entries = PyMem_Resize(heap->entries, cv_timer_entry_t, size);
        if (entries == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        heap->entries = entries;
        heap->size = size;
    }
    /* NaN compares with nothing and would break the order; asyncio runs such a timer at once too. */
    double when = isnan(timer->when) ? -INFINITY : timer->when;
    cv_timer_entry_t entry = {when, heap->next_sequence++, (TimerHandleObject *)Py_NewRef(timer)};
    timer->scheduled = true;
    sift_up(heap, heap->count++, entry);
    return 0;
}

TimerHandleObject *
cv_timer_heap_pop(cv_timer_heap_t *heap)
{
    TimerHandleObject *timer = heap->entries[0].timer;
    heap->count--;
    if (heap->count > 0) {
        sift_down(heap, 0, heap->entries[heap->count]);
    }
    timer->scheduled = false;
    if (timer->handle.cancelled) {
        heap->cancelled--;
    }
    return timer;
}

TimerHandleObject *
cv_timer_heap_peek(cv_timer_heap_t *heap)
{
    while (heap->count > 0) {
        TimerHandleObject *timer = heap->entries[0].timer;
        if (!timer->handle.cancelled) {
            return timer;
        }
        Py_DECREF(cv_timer_heap_pop(heap));
    }
    return NULL;
}

/* Rebuilds the heap without the cancelled ones. They are dropped only when it stands again, because dropping one may
 * run code that comes back here. */
static void
prune(cv_timer_heap_t *heap)
{
    cv_timer_entry_t *dropped = PyMem_New(cv_timer_entry_t, heap->cancelled);
    if (dropped == NULL) {
        return; /* no harm: they leave later, one by one */
    }
    size_t kept = 0, ndropped = 0;
    for (size_t i = 0; i < heap->count; i++) {
        cv_timer_entry_t entry = heap->entries[i];
        if (entry.timer->handle.cancelled) {
            entry.timer->scheduled = false;
            dropped[ndropped++] = entry;
        } else {
            heap->entries[kept++] = entry;
        }
    }
    heap->count = kept;
    heap->cancelled = 0;
    for (size_t at = (kept + 2) / 4; kept > 1 && at-- > 0;) {
        sift_down(heap, at, heap->entries[at]);
    }
    for (size_t i = 0; i < ndropped; i++) {
        Py_DECREF(dropped[i].timer);
    }
    PyMem_Free(dropped);
}

void
cv_timer_heap_note_cancelled(cv_timer_heap_t *heap)
{
    heap->cancelled++;
    if (heap->cancelled > PRUNE_MIN && heap->cancelled * 2 > heap->count) {
        prune(heap);
    }
}

int
cv_timer_heap_traverse(cv_timer_heap_t *heap, visitproc visit, void *arg)
{
    for (size_t i = 0; i < heap->count; i++) {
        Py_VISIT(heap->entries[i].timer);
    }
    return 0;
}
