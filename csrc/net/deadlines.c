/* SPDX-License-Identifier: MIT */
#include "net/deadlines.h"

enum { TICK_MS = 64 };

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
        deadlines->durations[kind] = 0;
    }
    for (unsigned i = 0; i < CV_DEADLINE_LISTS; i++) {
        cv_list_init(&deadlines->lists[i]);
    }
    deadlines->looked = 0;
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
    deadline->tick = 0;
    deadline->kind = 0;
    deadline->set = false;
    deadline->prolonged = false;
}

/* The time at which the loop began its turn: what the timer goes by. */
static uint64_t
turn_of(const cv_deadlines_t *deadlines)
{
    return uv_now(deadlines->timer.loop);
}

uint64_t
cv_deadlines_now(void)
{
    return uv_hrtime() / 1000000;
}

/* The first tick that is not before `due`. */
static uint64_t
tick_of(uint64_t due)
{
    return (due + TICK_MS - 1) / TICK_MS;
}

static cv_list_t *
list_of(cv_deadlines_t *deadlines, uint64_t tick)
{
    return &deadlines->lists[tick % CV_DEADLINE_LISTS];
}

/* Lets the timer fire at `tick`, unless it fires before that anyway. */
static void
arm(cv_deadlines_t *deadlines, uint64_t tick)
{
    uv_timer_t *timer = &deadlines->timer;
    uint64_t now = turn_of(deadlines);
    uint64_t wait = tick * TICK_MS > now ? tick * TICK_MS - now : 0;
    if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > wait) {
        uv_timer_start(timer, on_timer, wait, 0);
    }
}

/* Puts a deadline that stands in no list into the one of its tick, or the farthest one. */
static void
link_up(cv_deadlines_t *deadlines, cv_deadline_t *deadline)
{
    if (!uv_is_active((uv_handle_t *)&deadlines->timer)) {
        deadlines->looked = turn_of(deadlines) / TICK_MS; /* the lists are empty, or on_timer has them in hand */
    }
    uint64_t tick = tick_of(deadline->due);
    if (tick <= deadlines->looked) {
        tick = deadlines->looked + 1;
    } else if (tick > deadlines->looked + CV_DEADLINE_LISTS) {
        tick = deadlines->looked + CV_DEADLINE_LISTS;
    }
    deadline->tick = (uint32_t)tick;
    cv_list_append(list_of(deadlines, tick), &deadline->node);
    arm(deadlines, tick);
}

void
cv_deadline_set(cv_deadlines_t *deadlines, cv_deadline_t *deadline, unsigned kind)
{
    uint64_t duration = deadlines->durations[kind];
    deadline->set = false;
    if (duration != 0) {
        cv_deadline_set_at(deadlines, deadline, kind, cv_deadlines_now() + duration);
    }
}

void
cv_deadline_set_at(cv_deadlines_t *deadlines, cv_deadline_t *deadline, unsigned kind, uint64_t due)
{
    deadline->set = true;
    deadline->prolonged = false;
    deadline->kind = (uint8_t)kind;
    deadline->due = due;
    if (cv_list_is_linked(&deadline->node)) {
        if (deadline->tick <= tick_of(deadline->due)) {
            return;
        }
        cv_list_remove(&deadline->node);
    }
    link_up(deadlines, deadline);
}

bool
cv_deadline_prolong(cv_deadlines_t *deadlines, cv_deadline_t *deadline)
{
    if (deadline->prolonged) {
        return false;
    }
    cv_deadline_set_at(deadlines, deadline, deadline->kind, cv_deadlines_now() + TICK_MS);
    deadline->prolonged = true;
    return true;
}

void
cv_deadline_drop(cv_deadline_t *deadline)
{
    deadline->set = false;
    cv_list_remove(&deadline->node);
}

/* Looks through the list of one tick that has come. */
static void
look(cv_deadlines_t *deadlines, uint64_t tick, uint64_t now)
{
    cv_list_t todo;
    cv_list_take(&todo, list_of(deadlines, tick));
    while (!cv_list_is_empty(&todo)) {
        cv_deadline_t *deadline = CV_CONTAINER_OF(todo.next, cv_deadline_t, node);
        cv_list_remove(&deadline->node);
        if (deadline->set && deadline->due > now) {
            link_up(deadlines, deadline);
        } else if (deadline->set) {
            deadline->set = false;
            deadlines->on_due(deadlines, deadline);
        }
    }
}

static void
on_timer(uv_timer_t *timer)
{
    cv_deadlines_t *deadlines = CV_CONTAINER_OF(timer, cv_deadlines_t, timer);
    uint64_t now = turn_of(deadlines);
    uint64_t first = deadlines->looked + 1, last = now / TICK_MS;
    deadlines->looked = last;
    for (uint64_t tick = first; tick <= last && tick < first + CV_DEADLINE_LISTS; tick++) {
        look(deadlines, tick, now);
    }
    if (uv_is_closing((uv_handle_t *)timer)) {
        return;
    }
    for (uint64_t tick = last + 1; tick <= last + CV_DEADLINE_LISTS; tick++) {
        if (!cv_list_is_empty(list_of(deadlines, tick))) {
            arm(deadlines, tick);
            return;
        }
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
