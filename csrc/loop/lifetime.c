/* SPDX-License-Identifier: MIT
 *
 * Opening and closing a loop: everything that stands on its uv_loop_t.
 */
#include <Python.h>

#include <unistd.h>

#include "loop/loop_core.h"

/* A new loop takes so many pairs of descriptors, the process-wide part of libuv included. */
#define DESCRIPTOR_PAIRS 4

/* Where libuv finds no descriptors for its process-wide part, it aborts: see first that there are some. */
static int
check_descriptors(void)
{
    uv_file pairs[DESCRIPTOR_PAIRS][2];
    int count = 0;
    int status = 0;
    while (count < DESCRIPTOR_PAIRS && status == 0) {
        status = uv_pipe(pairs[count], 0, 0);
        count += status == 0;
    }
    while (count-- > 0) {
        close(pairs[count][0]);
        close(pairs[count][1]);
    }
    return status;
}

int
cv_loop_open(LoopCoreObject *self)
{
    int status = check_descriptors();
    status = status < 0 ? status : uv_loop_init(&self->head.uv);
    if (status < 0) {
        return status;
    }
    self->uv_open = true;
    self->pid = getpid();
    /* First, so that its watchers come last in their phases. */
    status = cv_turn_open(self);
    if (status == 0) {
        status = cv_wake_open(&self->wake, &self->head.uv);
    }
    if (status == 0) {
        status = cv_fd_table_open(&self->fds, &self->head.uv);
        self->fds.poll.data = self;
    }
    return status;
}

static void
close_handle(uv_handle_t *handle, void *Py_UNUSED(arg))
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void
close_guests(LoopCoreObject *self)
{
    while (!cv_list_is_empty(&self->guests)) {
        cv_loop_guest_t *guest = CV_CONTAINER_OF(self->guests.next, cv_loop_guest_t, node);
        cv_list_remove(&guest->node);
        guest->close(guest);
    }
    while (!cv_list_is_empty(&self->turns)) {
        cv_list_remove(self->turns.next);
    }
}

void
cv_loop_part_from_parent(LoopCoreObject *self)
{
    if (!self->parted && self->pid != getpid()) {
        self->parted = true;
        (void)uv_loop_fork(&self->head.uv);
    }
}

void
cv_loop_close(LoopCoreObject *self)
{
    if (!self->uv_open) {
        return;
    }
    self->uv_open = false;
    cv_loop_part_from_parent(self);
    cv_wake_close(&self->wake);
    cv_ready_deinit(&self->ready);
    cv_timer_heap_deinit(&self->timers);
    close_guests(self);
    uv_walk(&self->head.uv, close_handle, NULL);
    while (uv_run(&self->head.uv, UV_RUN_DEFAULT) != 0) {
        /* until every close callback ran */
    }
    int status = uv_loop_close(&self->head.uv);
    assert(status == 0);
    (void)status;
    cv_signals_close(self);
    cv_fd_table_close(&self->fds);
    cv_wake_deinit(&self->wake);
}

void
cv_loop_admit(PyObject *loop, cv_loop_guest_t *guest)
{
    cv_list_append(&((LoopCoreObject *)loop)->guests, &guest->node);
}

void
cv_loop_dismiss(PyObject *loop, cv_loop_guest_t *guest)
{
    (void)loop;
    cv_list_remove(&guest->node);
}
