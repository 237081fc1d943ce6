/* SPDX-License-Identifier: MIT
 *
 * The line of the access log that each exchange leaves: uvicorn's when its answer starts, one of another format when it
 * is complete. What only such a format shows is noted only for one.
 *
 * Who writes it (service->access: the C log, a callable, or nobody) may be changed by the application, through
 * Python's logging; that is looked at once a second, while there are requests.
 *
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set. A log that raises is reported as unraisable: it is not the application's failure.
 */
#ifndef CUVEE_ASGI_ACCESS_H
#define CUVEE_ASGI_ACCESS_H

#include "asgi/cycle.h"
#include "http/h1_head.h"

/* What a format wants to know of an exchange beside its request line. */
struct cv_access_notes {
    uint64_t start;       /* nanoseconds */
    unsigned status;      /* what the answer starts with; 0 while there is none */
    size_t field_count;
    PyObject *fields[];   /* bytes, strong; NULL where a field is missing */
};

/* Takes `access` (borrowed) as what writes the log: an AccessLog, a callable, or None. TypeError for what is none of
 * these. */
int cv_access_set(cv_service_t *service, PyObject *access);

/* Takes `format` (borrowed) as the lines' format: an AccessFormat, or None for uvicorn's. */
int cv_access_set_format(cv_service_t *service, PyObject *format);

/* Asks `service->look_access` who writes the log now, if a second has gone by since it was asked. `now` is
 * cv_clock_now's. */
void cv_access_look(cv_service_t *service, uint64_t now);

/* Begins the notes on a request, whose fields are `headers`, a list of pairs, if the format wants any. */
int cv_access_begin(CycleObject *cycle, const cv_h1_head_t *head, PyObject *headers);

/* Notes a field of the answer, if the format wants it. */
void cv_access_field(CycleObject *cycle, PyObject *name, PyObject *value);

/* The answer starts with `status`: writes the line, or notes the status for it. The first one counts. */
void cv_access_start(CycleObject *cycle, unsigned status);

/* The answer that had started is taken back: there will be another one. */
void cv_access_retract(CycleObject *cycle);

/* The exchange is over: writes the line that was waiting for that, if one was. Returns what is still to be called, once
 * the cycle has parted from its connection, since it runs code of the application's; or NULL. */
PyObject *cv_access_end(CycleObject *cycle);

/* Calls service->access with what cv_access_end gave, and releases it. */
void cv_access_call(CycleObject *cycle, PyObject *arguments);

/* Drops the notes. */
void cv_access_clear(CycleObject *cycle);

#endif
