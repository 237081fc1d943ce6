/* SPDX-License-Identifier: MIT */
#include "net/deadlines.h"

/* How late a deadline may be, so that one look serves all that fall due within it. */
enum { SLACK_MS = 100 };

static void on_timer(uv_timer_t *timer);

int
cv_deadlines_init(cv_deadlines_t *deadlines, uv_loop_t *loop,
                  void (*on_due)(cv_deadlines_t *, cv_deadline_t *))
{
    int status = uv_timer_init(loop, &deadlines->timer);
    if (status < 0) {
        return status;
    }
    uv_unref((uv_handle_t *)&deadlines->timer);
    for (unsigned kind = 0; kind < CV_DEADLINE_KINDS; kind++) {
        cv_list_init(&deadlines->lists[kind]);
        deadlines->durations[kind] = 0;
    }
    deadlines->on_due = on_due;
    deadlines->on_closed = NULL;
    return 0;
}

void
cv_deadlines_configure(cv_deadlines_t *deadlines, unsigned kind, uint64_t milliseconds)
{
    deadlines->durations[kind] = milliseconds;
}

void
cv_deadline_init(cv_deadline_t *deadline)
{
    cv_list_init(&deadline->node);
    deadline->due = 0;
    deadline->kind = 0;
}

/* Lets the timer fire at `due`, unless it fires before that anyway. */
static void
arm(cv_deadlines_t *deadlines, uint64_t due)
{
    uv_timer_t *timer = &deadlines->timer;
    uint64_t now = uv_now(timer->loop);
    uint64_t wait = due > now ? due - now : 0;
    if (uv_is_active((uv_handle_t *)timer) && uv_timer_get_due_in(timer) <= wait) {
        return;
    }
    uv_timer_start(timer, on_timer, wait, 0);
}

void
cv_deadline_set(cv_deadlines_t *deadlines, cv_deadline_t *deadline, unsigned kind)
{
    cv_list_remove(&deadline->node);
    uint64_t duration = deadlines->durations[kind];
    if (duration == 0) {
        return;
    }
    deadline->kind = (uint8_t)kind;
    deadline->due = uv_now(deadlines->timer.loop) + duration;
    cv_list_append(&deadlines->lists[kind], &deadline->node);
    arm(deadlines, deadline->due);
}

void
cv_deadline_clear(cv_deadline_t *deadline)
{
    cv_list_remove(&deadline->node);
}

static cv_deadline_t *
first_of(const cv_list_t *list)
{
    return cv_list_is_empty(list) ? NULL : CV_CONTAINER_OF(list->next, cv_deadline_t, node);
}

static void
call_due(cv_deadlines_t *deadlines, unsigned kind, uint64_t now)
{
    cv_deadline_t *deadline;
    while ((deadline = first_of(&deadlines->lists[kind])) != NULL && deadline->due <= now) {
        cv_deadline_clear(deadline);
        deadlines->on_due(deadlines, deadline);
    }
}

static void
on_timer(uv_timer_t *timer)
{
    cv_deadlines_t *deadlines = CV_CONTAINER_OF(timer, cv_deadlines_t, timer);
    uint64_t now = uv_now(timer->loop);
    for (unsigned kind = 0; kind < CV_DEADLINE_KINDS; kind++) {
        call_due(deadlines, kind, now);
    }
    if (uv_is_closing((uv_handle_t *)timer)) {
        return;
    }
    uint64_t earliest = UINT64_MAX;
    for (unsigned kind = 0; kind < CV_DEADLINE_KINDS; kind++) {
        const cv_deadline_t *deadline = first_of(&deadlines->lists[kind]);
        if (deadline != NULL && deadline->due < earliest) {
            earliest = deadline->due;
        }
    }
    if (earliest != UINT64_MAX) {
        /* Not sooner than the slack allows: what falls due in between is served by the same look. */
        arm(deadlines, earliest > now + SLACK_MS ? earliest : now + SLACK_MS);
    }
}

static void
on_timer_closed(uv_handle_t *handle)
{
    cv_deadlines_t *deadlines = CV_CONTAINER_OF(handle, cv_deadlines_t, timer);
    if (deadlines->on_closed != NULL) {
        deadlines->on_closed(deadlines);
    }
}

void
cv_deadlines_close(cv_deadlines_t *deadlines, void (*on_closed)(cv_deadlines_t *))
{
    deadlines->on_closed = on_closed;
    uv_close((uv_handle_t *)&deadlines->timer, on_timer_closed);
}
