/* SPDX-License-Identifier: MIT
 *
 * One HTTP exchange as the application sees it: a request, its receive and send, the task that handles it.
 *
 * Life: that of any exchange. It loses its connection when the answer is complete or the client is gone, whichever is
 * first, and outlives it.
 *
 * Owns:    the strong references below.
 * Borrows: the connection, until it is detached.
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_ASGI_CYCLE_H
#define CUVEE_ASGI_CYCLE_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "asgi/exchange.h"
#include "base/buffer.h"

typedef struct cv_access_notes cv_access_notes_t;

typedef struct {
    CV_EXCHANGE_HEAD

    PyObject *disconnect;      /* Disconnect, strong, until done; NULL where no client's leaving cancels anything */

    /* for the access log: strong, NULL without one */
    PyObject *method;          /* str */
    PyObject *raw_path;        /* bytes */
    PyObject *query;           /* bytes */
    cv_access_notes_t *notes;  /* owned; NULL unless the log's format wants more than that */

    PyObject *body;            /* bytes that arrived first, strong, or NULL */
    cv_buffer_t more;          /* bytes that arrived behind them */

    uint64_t due;              /* when its time is over, in milliseconds; meaningful with a timeout */
    uint8_t route;             /* cv_batch_route of its path */
    bool is_http_1_1;
    bool body_complete;        /* the whole body arrived */
    bool body_ended;           /* receive gave the last piece */
    bool started;              /* http.response.start was accepted */
    bool trailers_due;         /* http.response.trailers were announced and did not end */
    bool logged;               /* its access log line is written, or its status noted for that */
    bool complete;             /* the final http.response.body was accepted, or the answer was given up */
} CycleObject;

/* cycle_kind.c: what an exchange does because it is one of HTTP. */
extern const cv_exchange_kind_t cv_cycle_kind;

/* The cycle that an exchange is; NULL if that is of another kind, or NULL itself. */
static inline CycleObject *
cv_cycle_of(ExchangeObject *exchange)
{
    return exchange != NULL && exchange->kind == &cv_cycle_kind ? (CycleObject *)exchange : NULL;
}

/* A new cycle for the open request of `conn`, queued. New reference to none: the queue owns it; borrowed. */
CycleObject *cv_cycle_new(cv_service_t *service, cv_conn_t *conn);

/* The client is gone: receive answers http.disconnect at once, send does nothing from now on. */
void cv_cycle_disconnect(CycleObject *cycle);

/* The answer is complete, or was given up: the connection is the next request's. */
void cv_cycle_detach(CycleObject *cycle);

/* Its answer is complete, or there will be none: it is not under way any more. Idempotent. */
static inline void
cv_cycle_complete(CycleObject *cycle)
{
    cycle->service->under_way -= !cycle->complete;
    cycle->complete = true;
}

/* Makes the Cycle type. */
int cv_cycle_setup_type(PyObject *module);

#endif
