/* SPDX-License-Identifier: MIT
 *
 * The time that a request has from the start of its task (--timeout-request). All have the same, and the open cycles
 * stand in the order of their start: one deadline, that of the first of them, is enough. Exchanges of other kinds may
 * stand between them anywhere; they have no limit here.
 *
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_ASGI_TIMEOUT_H
#define CUVEE_ASGI_TIMEOUT_H

#include "asgi/cycle.h"

/* Sets the time of a cycle, the last of the open ones, `duration` milliseconds from now. */
void cv_timeout_set(CycleObject *cycle, uint64_t duration);

/* The cycle's task starts. */
static inline void
cv_timeout_start(CycleObject *cycle)
{
    uint64_t duration = cycle->service->env.deadlines.durations[CV_CONN_REQUEST];
    if (duration != 0) {
        cv_timeout_set(cycle, duration);
    }
}

/* The deadline is due: ends every request whose time is over. */
void cv_timeout_end(cv_service_t *service);

#endif
