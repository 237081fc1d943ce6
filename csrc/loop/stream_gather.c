/* SPDX-License-Identifier: MIT
 *
 * Small writes that follow another one in the same turn wait for its end, and leave together.
 *
 * The first write of a turn is sent at once: who writes once, as most do, neither waits nor pays. What follows it is
 * likely to have more behind it (frame after frame), and a system call costs more than all the rest of a write. Nothing
 * waits that is large, or that would have the protocol paused (docs/decisions/0045-small-writes-of-one-turn.md).
 */
#include "loop/stream.h"

#define GATHER_MAX 16384

static int
flush_turn(cv_loop_turn_t *turn)
{
    static const cv_stream_ready_t ready = {.flush = cv_stream_flush};
    StreamObject *self = CV_CONTAINER_OF(turn, StreamObject, gather);
    Py_INCREF(self);
    cv_stream_end_gather(self);
    cv_stream_in_context(self, UV_WRITABLE, &ready);
    if (!self->finished && cv_stream_rewatch(self) < 0) { /* the kernel has not taken all */
        cv_stream_fail(self, "Fatal write error on socket transport");
    }
    Py_DECREF(self);
    return 0;
}

bool
cv_stream_may_gather(StreamObject *self, PyObject *data)
{
    if (self->wrote_in != cv_loop_round(self->loop) || !PyBytes_CheckExact(data)
        || !(self->queue.bytes == 0 || self->gather.pending) || !cv_loop_runs_here(self->loop)) {
        return false;
    }
    size_t total = self->queue.bytes + (size_t)PyBytes_GET_SIZE(data);
    return total <= GATHER_MAX && total <= self->high_water;
}

int
cv_stream_gather(StreamObject *self, PyObject *bytes)
{
    if (cv_stream_queue_push(&self->queue, bytes, 0) < 0) {
        return -1;
    }
    if (!self->gather.pending) {
        self->gather.flush = flush_turn;
        self->gather.pending = true;
        cv_loop_join(self->loop, &self->gather);
    }
    return 0;
}

void
cv_stream_end_gather(StreamObject *self)
{
    if (self->gather.pending) {
        self->gather.pending = false;
        cv_loop_leave(self->loop, &self->gather);
    }
}
