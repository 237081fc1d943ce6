/* SPDX-License-Identifier: MIT
 *
 * Coarse deadlines for many connections: a wheel of lists, one for each 64 ms, and one uv_timer for all of them.
 *
 * A deadline that moves to a later time, or is cleared, stays in its list until the wheel comes round to it, and only
 * then goes where it belongs. So a connection that is busy changes a number of its own per request, and none of its
 * neighbours in a list: with thousands of connections, those are not in the cache. A deadline fires up to 100 ms late,
 * never early. Clearing leaves the timer as it is: with no deadline set it runs out once more and then rests. It never
 * keeps the loop alive by itself.
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

enum { CV_DEADLINE_KINDS = 11,  /* each with a duration of its own */
       CV_DEADLINE_LISTS = 128 };  /* ticks of the wheel: a deadline that is farther away is looked at in between */

#define CV_DEADLINES_MOST 1e9 /* seconds: no option asks for more */

typedef struct {
    cv_list_t node; /* in the list of `tick`, whether it is set or not */
    uint64_t due;   /* milliseconds: cv_deadlines_now */
    uint32_t tick;  /* when it is looked at: not after `due`, rounded up */
    uint8_t kind;
    bool set;
    bool prolonged; /* it was due, and did not fire for good */
} cv_deadline_t;

typedef struct cv_deadlines cv_deadlines_t;

struct cv_deadlines {
    uv_timer_t timer;
    uint64_t looked;                        /* the last tick whose list was looked through */
    uint64_t durations[CV_DEADLINE_KINDS];  /* milliseconds; 0: this kind never fires */
    void (*on_due)(cv_deadlines_t *deadlines, cv_deadline_t *deadline); /* it is already cleared */
    void (*on_closed)(cv_deadlines_t *deadlines);
    cv_list_t lists[CV_DEADLINE_LISTS];     /* by tick, modulo their number */
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
    return deadline->set;
}

/* (Re)starts `deadline` as one of `kind`, counted from now: the loop's own time is that of its last turn, which is long
 * ago where a request keeps the loop busy, or where it is run beside another one. */
void cv_deadline_set(cv_deadlines_t *deadlines, cv_deadline_t *deadline, unsigned kind);

/* The milliseconds of the loop's clock now. */
uint64_t cv_deadlines_now(void);

/* Seconds as milliseconds, rounded up. */
static inline uint64_t
cv_deadlines_milliseconds(double seconds)
{
    return (uint64_t)(seconds * 1000.0 + 0.999);
}

/* The same for a time on the loop's clock. */
void cv_deadline_set_at(cv_deadlines_t *deadlines, cv_deadline_t *deadline, unsigned kind, uint64_t due);

/* From on_due: gives the deadline one tick more, in which the loop gets round to what came in time. Once: false, and
 * nothing is done, for one that was given it already. */
bool cv_deadline_prolong(cv_deadlines_t *deadlines, cv_deadline_t *deadline);

/* Harmless for one that is not set. */
static inline void
cv_deadline_clear(cv_deadline_t *deadline)
{
    deadline->set = false;
}

/* Clears `deadline` and takes it out of its list: before its memory is freed. */
void cv_deadline_drop(cv_deadline_t *deadline);

/* Closes the timer; every deadline must be dropped. on_closed follows from the loop. */
void cv_deadlines_close(cv_deadlines_t *deadlines, void (*on_closed)(cv_deadlines_t *));

#endif
