/* SPDX-License-Identifier: MIT
 *
 * The phases of a turn, as loop.h lists them: what happens before and after each poll.
 *
 * libuv calls the watcher of a kind that was started last first. Ours are started first, so that they come last:
 * nothing of cuvee runs between `on_prepare` and the poll.
 */
#include <Python.h>

#include <limits.h>
#include <math.h>

#include "base/clock.h"
#include "loop/loop_core.h"

/* A streak of turns that never block offers the GIL this often, in case no Python code runs that would. Well above
 * CPython's switch interval of 5 ms: a thread that is offered the GIL, but wakes too late to get it, waits anew, and
 * only one that has waited for a whole interval is given it for sure. */
#define YIELD_MS 20

/* While younger threads live the GIL is offered at every poll, which most of them get at once; but for a part of each
 * period it is not, longer than the switch interval, so that one that always came too late is given it then. */
#define OFFER_PERIOD_MS 16
#define OFFER_MS 8

/* ns: callbacks that make others ready keep the next poll waiting so long. The end of an awaited task makes the one
 * that awaits it ready, and the end of that a callback: three short rounds that need no polls between them. */
#define ROUNDS_TIME 50000

/* ---- after the poll ------------------------------------------------------------------------------------------ */

/* Each pending participant once; any of them may join or leave meanwhile, so each is moved before it is called. */
static void
call_turns(LoopCoreObject *self, bool flush)
{
    cv_list_t todo;
    cv_list_take(&todo, &self->turns);
    while (!cv_list_is_empty(&todo)) {
        cv_loop_turn_t *turn = CV_CONTAINER_OF(todo.next, cv_loop_turn_t, node);
        cv_list_remove(&turn->node);
        cv_list_append(&self->turns, &turn->node);
        int (*call)(cv_loop_turn_t *) = flush ? turn->flush : turn->run;
        if (turn->pending && call != NULL && call(turn) < 0) {
            cv_loop_handle_error((PyObject *)self, "Serving failed", NULL);
        }
    }
}

static int
queue_due_timers(LoopCoreObject *self)
{
    TimerHandleObject *timer = cv_timer_heap_peek(&self->timers);
    if (timer == NULL) {
        return 0;
    }
    double now = cv_loop_time();
    /* Written so that NaN is due, as in the heap's order. */
    while (timer != NULL && !(timer->when > now)) {
        timer = cv_timer_heap_pop(&self->timers);
        if (cv_ready_push_steal(&self->ready, &timer->handle) < 0) {
            return -1;
        }
        timer = cv_timer_heap_peek(&self->timers);
    }
    return 0;
}

/* Runs what is ready now; what that makes ready waits for the next round, as in asyncio. */
static void
run_ready(LoopCoreObject *self)
{
    for (size_t todo = self->ready.count; todo > 0 && self->ready.count > 0 && self->fatal == NULL; todo--) {
        HandleObject *handle = cv_ready_pop(&self->ready);
        int status = self->debug ? cv_debug_run_handle(self, handle) : cv_handle_run(handle);
        Py_DECREF(handle);
        if (status < 0) {
            cv_loop_fail(self);
        }
    }
}

/* Rounds of callbacks, each with what the one before made ready, until the poll should not wait longer. stop() ends
 * them with the round in which it was called. */
static void
run_rounds(LoopCoreObject *self)
{
    uint64_t start = self->ready.count > 0 ? cv_clock_now() : 0;
    do {
        run_ready(self);
        call_turns(self, true);
        self->head.round++;
    } while (self->ready.count > 0 && !self->stopping && self->fatal == NULL
             && cv_clock_now() - start < ROUNDS_TIME);
}

/* Nothing runs once the loop was stopped, not even in what is left of the poll in which it was. */
static void
run_turn(LoopCoreObject *self)
{
    if (self->stopped) {
        return;
    }
    call_turns(self, false);
    if (cv_wake_drain(&self->wake, &self->ready) < 0 || queue_due_timers(self) < 0) {
        cv_loop_handle_error((PyObject *)self, "Scheduling failed", NULL);
    }
    run_rounds(self);
    if (self->stopping || self->fatal != NULL) {
        self->stopped = true;
        uv_stop(&self->head.uv);
    }
}

static void
on_check(uv_check_t *check)
{
    LoopCoreObject *self = check->data;
    cv_loop_enter((PyObject *)self);
    run_turn(self);
}

void
cv_loop_run_turn(PyObject *loop)
{
    cv_loop_enter(loop);
    run_turn((LoopCoreObject *)loop);
}

/* ---- before the poll ----------------------------------------------------------------------------------------- */

static bool
has_work(LoopCoreObject *self)
{
    if (self->ready.count > 0 || self->stopping || self->fatal != NULL || cv_wake_has_work(&self->wake)) {
        return true;
    }
    for (cv_list_t *node = self->turns.next; node != &self->turns; node = node->next) {
        if (CV_CONTAINER_OF(node, cv_loop_turn_t, node)->pending) {
            return true;
        }
    }
    return false;
}

/* All that is due was found by our own clock, in on_check. */
static void
on_timer(uv_timer_t *timer)
{
    (void)timer;
}

/* Sets the uv_timer to the first deadline, rounded up to its milliseconds: it must not fire early. True when the
 * deadline has passed already. */
static bool
arm_timer(LoopCoreObject *self)
{
    TimerHandleObject *timer = cv_timer_heap_peek(&self->timers);
    if (timer == NULL) {
        uv_timer_stop(&self->timer);
        return false;
    }
    double delay = timer->when - cv_loop_time();
    if (!(delay > 0)) {
        return true;
    }
    double ms = ceil(delay * 1e3);
    uv_timer_start(&self->timer, on_timer, ms < INT_MAX ? (uint64_t)ms : INT_MAX, 0);
    return false;
}

/* An active idle handle is what makes libuv poll without blocking. */
static void
on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void
set_busy(LoopCoreObject *self, bool busy)
{
    if (busy) {
        uv_idle_start(&self->idle, on_idle);
    } else {
        uv_idle_stop(&self->idle);
    }
}

/* True when a Python thread started after the loop's lives: it may be waiting for the GIL, and would get it from a busy
 * loop only every switch interval. The newest thread heads the interpreter's list; only its address is looked at. */
static bool
has_younger_thread(void)
{
    PyThreadState *own = PyThreadState_Get();
    return PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(own)) != own;
}

/* Decides from our own state whether the poll may block, and gives the GIL up for it if so. uv_backend_timeout would
 * not tell: it answers 0 while watchers are queued, and uv_run blocks all the same. */
static void
on_prepare(uv_prepare_t *prepare)
{
    LoopCoreObject *self = prepare->data;
    cv_own_watch_confirm(&self->fds.fresh);
    bool busy = has_work(self) || arm_timer(self);
    set_busy(self, busy);
    uint64_t now = uv_now(&self->head.uv);
    bool blocks = !busy && self->head.uv.closing_handles == NULL;
    bool offers = now % OFFER_PERIOD_MS < OFFER_MS && has_younger_thread();
    if (blocks || offers || now - self->last_yield >= YIELD_MS) {
        self->last_yield = now;
        self->head.released = PyEval_SaveThread();
    }
}

void
cv_loop_retake_gil(PyObject *loop)
{
    cv_loop_head_t *head = (cv_loop_head_t *)loop;
    PyThreadState *released = head->released;
    head->released = NULL;
    PyEval_RestoreThread(released);
}

/* ---- set-up -------------------------------------------------------------------------------------------------- */

int
cv_turn_open(LoopCoreObject *self)
{
    uv_loop_t *uv = &self->head.uv;
    int status = uv_prepare_init(uv, &self->prepare);
    status = status < 0 ? status : uv_check_init(uv, &self->check);
    status = status < 0 ? status : uv_idle_init(uv, &self->idle);
    status = status < 0 ? status : uv_timer_init(uv, &self->timer);
    if (status < 0) {
        return status;
    }
    self->prepare.data = self;
    self->check.data = self;
    status = uv_prepare_start(&self->prepare, on_prepare);
    return status < 0 ? status : uv_check_start(&self->check, on_check);
}

void
cv_loop_join(PyObject *loop, cv_loop_turn_t *turn)
{
    cv_list_append(&((LoopCoreObject *)loop)->turns, &turn->node);
}

void
cv_loop_leave(PyObject *loop, cv_loop_turn_t *turn)
{
    (void)loop;
    cv_list_remove(&turn->node);
}
