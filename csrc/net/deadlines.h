/* SPDX-License-Identifier: MIT
 *
 * Coarse deadlines for many connections: one list per duration, one uv_timer for all of them.
 *
 * Every member of a list has the same duration, so that appending keeps it sorted: setting, moving and clearing
 * a deadline is a few pointer stores, no heap and no system call. The timer is armed to the earliest one and looks
 * again when it fires, so a deadline fires up to 100 ms late, never early. Clearing leaves the timer as it is: with no
 * deadline set it runs out once more and then rests. It never keeps the loop alive by itself.
 *
 * Owns:    the timer handle.
 * Borrows: the nodes, which live inside connections.
 * Thread:  loop thread; callbacks come from libuv's timer phase with the GIL in any state.
 */
#ifndef CUVEE_NET_DEADLINES_H
#define CUVEE_NET_DEADLINES_H

#include <stdint.h>
#include <uv.h>

#include "base/list.h"

enum { CV_DEADLINE_KINDS = 8 }; /* lists, each with a duration of its own */

typedef struct {
    cv_list_t node;
    uint64_t due;   /* loop time in milliseconds */
    uint8_t kind;   /* the list it stands in */
} cv_deadline_t;

typedef struct cv_deadlines cv_deadlines_t;

struct cv_deadlines {
    uv_timer_t timer;
    cv_list_t lists[CV_DEADLINE_KINDS];
    uint64_t durations[CV_DEADLINE_KINDS];  /* milliseconds; 0: this kind never fires */
    void (*on_due)(cv_deadlines_t *deadlines, cv_deadline_t *deadline); /* the node is already cleared */
    void (*on_closed)(cv_deadlines_t *deadlines);
};

int cv_deadlines_init(cv_deadlines_t *deadlines, uv_loop_t *loop,
                      void (*on_due)(cv_deadlines_t *, cv_deadline_t *));

/* Sets the duration of a kind; before any deadline of that kind is set. */
void cv_deadlines_configure(cv_deadlines_t *deadlines, unsigned kind, uint64_t milliseconds);

void cv_deadline_init(cv_deadline_t *deadline);

/* True while `deadline` is set. */
static inline bool
cv_deadline_is_set(const cv_deadline_t *deadline)
{
    return cv_list_is_linked(&deadline->node);
}

/* (Re)starts `deadline` as one of `kind`, counted from the loop's current time. */
void cv_deadline_set(cv_deadlines_t *deadlines, cv_deadline_t *deadline, unsigned kind);

/* Harmless for one that is not set. */
void cv_deadline_clear(cv_deadline_t *deadline);

/* Closes the timer; every deadline must be clear. on_closed follows from the loop. */
void cv_deadlines_close(cv_deadlines_t *deadlines, void (*on_closed)(cv_deadlines_t *));

#endif
