/* SPDX-License-Identifier: MIT
 *
 * The timer heap: TimerHandles by due time, equal times in the order they came.
 *
 * A 4-ary array heap whose entries carry their keys, so that sifting touches no handle. Cancelling only counts:
 * a cancelled handle leaves when it reaches the top, or with all others when they are more than half of the heap.
 *
 * Owns:    a strong reference to every handle in it.
 * Thread:  the loop's, with the GIL held.
 * Errors:  -1 with MemoryError set.
 */
#ifndef CUVEE_LOOP_TIMER_HEAP_H
#define CUVEE_LOOP_TIMER_HEAP_H

#include <Python.h>

#include <stdint.h>

#include "loop/handle.h"

typedef struct {
    double when;
    uint64_t sequence;
    TimerHandleObject *timer;
} cv_timer_entry_t;

typedef struct {
    cv_timer_entry_t *entries;
    size_t count;
    size_t size;
    size_t cancelled;
    uint64_t next_sequence;
} cv_timer_heap_t;

void cv_timer_heap_init(cv_timer_heap_t *heap);

/* Drops every handle and the memory. */
void cv_timer_heap_deinit(cv_timer_heap_t *heap);

/* Adds `timer` (a new reference is taken). */
int cv_timer_heap_push(cv_timer_heap_t *heap, TimerHandleObject *timer);

/* The next handle that is not cancelled (borrowed), or NULL; cancelled ones before it are dropped. */
TimerHandleObject *cv_timer_heap_peek(cv_timer_heap_t *heap);

/* Takes the first handle out and gives its reference to the caller; the heap must not be empty. */
TimerHandleObject *cv_timer_heap_pop(cv_timer_heap_t *heap);

/* Counts one that was cancelled while in the heap, and prunes when they are many. */
void cv_timer_heap_note_cancelled(cv_timer_heap_t *heap);

int cv_timer_heap_traverse(cv_timer_heap_t *heap, visitproc visit, void *arg);

#endif
