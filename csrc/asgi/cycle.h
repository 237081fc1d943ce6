/* SPDX-License-Identifier: MIT
 *
 * One exchange as the application sees it: a request, its receive and send, the task that handles it.
 *
 * Life: made by on_head and queued; started in the turn's run phase; open until its task is done. It loses its
 * connection when the answer is complete or the client is gone, whichever is first, and outlives it.
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

#include "asgi/service.h"
#include "base/buffer.h"
#include "base/list.h"

typedef struct cv_access_notes cv_access_notes_t;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall; /* cycle(task): the task's done callback */
    PyObject *server;          /* strong: keeps `service` alive */
    cv_service_t *service;     /* borrowed, in `server` */
    cv_conn_t *conn;           /* borrowed; NULL once detached */
    cv_list_t node;            /* in service->queued or service->open; the list holds a strong reference */

    PyObject *scope;           /* strong, until the app is called */
    PyObject *task;            /* strong, from start to done */
    PyObject *disconnect;      /* Disconnect, strong, until done; NULL where no client's leaving cancels anything */

    /* for the access log: strong, NULL without one */
    PyObject *client;          /* (host, port) as proxies told it; NULL: the connection's peer */
    PyObject *method;          /* str */
    PyObject *raw_path;        /* bytes */
    PyObject *query;           /* bytes */
    cv_access_notes_t *notes;  /* owned; NULL unless the log's format wants more than that */

    /* receive */
    PyObject *body;            /* bytes that arrived first, strong, or NULL */
    cv_buffer_t more;          /* bytes that arrived behind them */
    cv_list_t receivers;       /* WaitObjects of receive() that wait */

    /* send */
    cv_list_t senders;         /* WaitObjects of send() that wait for the socket, for a file or for each other */
    cv_list_t unsent;          /* WaitObjects whose message was not taken yet, in the order of the calls */
    uint64_t step_flushes;     /* the service's flushes before the step that the two below count for */
    uint64_t step_start;       /* nanoseconds */
    uint64_t due;              /* when its time is over, in milliseconds; meaningful with a timeout */
    uint32_t step_sent;        /* body bytes sent without waiting */

    uint8_t route;             /* cv_batch_route of its path */
    bool is_http_1_1;
    bool body_complete;        /* the whole body arrived */
    bool body_ended;           /* receive gave the last piece */
    bool disconnected;         /* the client left before the answer was complete */
    bool told_stop;            /* receive gave http.disconnect because the server stops */
    bool started;              /* http.response.start was accepted */
    bool trailers_due;         /* http.response.trailers were announced and did not end */
    bool cancelled;            /* the server cancelled its task, which it does once */
    bool logged;               /* its access log line is written, or its status noted for that */
    bool complete;             /* the final http.response.body was accepted, or the answer was given up */
} CycleObject;


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

/* Wakes what waits in receive, or in send. -1: set_result failed (an exception is set). */
int cv_cycle_wake(CycleObject *cycle, cv_list_t *waiters);

/* Makes the Cycle type. */
int cv_cycle_setup_type(PyObject *module);


#endif
