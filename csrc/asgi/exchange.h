/* SPDX-License-Identifier: MIT
 *
 * What every kind of exchange with a client has: its receive and send, its task, its place in the service.
 *
 * Life: made in on_head and queued; started in the turn's run phase; open until its task is done; then it leaves the
 * service. It parts from its connection when that has no more to do with it, or is gone, and outlives it.
 *
 * Owns:    the strong references below.
 * Borrows: the connection, until it is detached.
 * Thread:  loop thread, the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_ASGI_EXCHANGE_H
#define CUVEE_ASGI_EXCHANGE_H

#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <stdint.h>

#include "asgi/service.h"
#include "base/list.h"

typedef struct ExchangeObject ExchangeObject;
typedef struct cv_opening cv_opening_t;

/* In what the kinds differ. None of it may be NULL, but for `open` where `take` never asks for it. */
typedef struct {
    vectorcallfunc receive; /* what calling its receive does */

    /* Takes a message (borrowed) that was sent: a took_t, or -1. `opening` is done, or NULL where none began. */
    int (*take)(ExchangeObject *exchange, PyObject *message, cv_opening_t *opening);
    /* Begins to open the file that a message names, as a took_t asked for. NULL with an exception. */
    cv_opening_t *(*open)(ExchangeObject *exchange, PyObject *message);

    void (*on_start)(ExchangeObject *exchange);     /* it is the last of the open ones; next the app is called */
    void (*on_gone)(ExchangeObject *exchange);      /* the client is gone */
    void (*on_late_task)(ExchangeObject *exchange); /* ... and was before there was a task, which waits now */

    /* The application raised what is no matter of the loop's (borrowed): says so if need be, and gives up. */
    void (*on_exception)(ExchangeObject *exchange, PyObject *exception);
    /* It returned something, or None while there was a connection: says what is amiss, and gives up. */
    void (*on_result)(ExchangeObject *exchange, PyObject *result);
    /* The application does no more: the client is told what can be told, and the connection let go of. */
    void (*give_up)(ExchangeObject *exchange);

    void (*on_over)(ExchangeObject *exchange); /* it has left the service, started or not */
} cv_exchange_kind_t;

#define CV_EXCHANGE_FIELDS                                                                                            \
    PyObject_HEAD                                                                                                     \
    vectorcallfunc vectorcall; /* exchange(task): the task's done callback */                                         \
    const cv_exchange_kind_t *kind;                                                                                   \
    PyObject *server;          /* strong: keeps `service` alive */                                                    \
    cv_service_t *service;     /* borrowed, in `server` */                                                            \
    cv_conn_t *conn;           /* borrowed; NULL once detached */                                                     \
    cv_list_t node;            /* in service->queued or service->open; the list holds a strong reference */           \
                                                                                                                      \
    PyObject *scope;           /* strong, until the app is called */                                                  \
    PyObject *task;            /* strong, from start to done */                                                       \
    PyObject *client;          /* for log lines: (host, port) as proxies told it; NULL: the connection's peer */      \
                                                                                                                      \
    cv_list_t receivers;       /* WaitObjects of receive() that wait */                                               \
    cv_list_t senders;         /* WaitObjects of send() that wait for the socket, for a file or for each other */     \
    cv_list_t unsent;          /* WaitObjects whose message was not taken yet, in the order of the calls */           \
                                                                                                                      \
    /* asgi/step */                                                                                                   \
    uint64_t step_flushes;     /* the service's flushes before the step that the two below count for */               \
    uint64_t step_start;       /* nanoseconds */                                                                      \
    uint32_t step_sent;        /* bytes sent without waiting */                                                       \
                                                                                                                      \
    bool disconnected;         /* the client left before it was over */                                               \
    bool told_stop;            /* receive told the application that the server stops */                               \
    bool cancelled;            /* the server cancelled its task, which it does once */

struct ExchangeObject {
    CV_EXCHANGE_FIELDS
};

/* How the object of a kind begins: `exchange` is what all share, and its fields are also the object's own. A union, so
 * that the compiler knows both to be the same memory. */
#define CV_EXCHANGE_HEAD         \
    union {                      \
        ExchangeObject exchange; \
        struct {                 \
            CV_EXCHANGE_FIELDS   \
        };                       \
    };

/* Fills the head of a new object, of which all behind its PyObject_HEAD is zero, and queues it: the queue has the only
 * reference. It is tracked by the garbage collector from now on. */
void cv_exchange_queue(ExchangeObject *exchange, const cv_exchange_kind_t *kind, cv_service_t *service,
                       cv_conn_t *conn);

/* It parts from its connection, if it has one, and whatever waits in receive or send is woken. */
void cv_exchange_detach(ExchangeObject *exchange);

/* Wakes what waits in receive, or in send. -1: set_result failed (an exception is set). */
int cv_exchange_wake(ExchangeObject *exchange, cv_list_t *waiters);

/* It never starts, or nobody looks after its task any more: it leaves the service, whose reference goes. */
void cv_exchange_drop(ExchangeObject *exchange);

/* It is over: the same, and the service may be idle now. */
void cv_exchange_close(ExchangeObject *exchange);

/* For the types: what Python sees of any exchange, tp_traverse of an object that has no more to visit than the head,
 * and tp_clear of the head. */
extern PyGetSetDef cv_exchange_getset[];
extern PyMemberDef cv_exchange_members[];
int cv_exchange_traverse(PyObject *exchange, visitproc visit, void *arg);
void cv_exchange_clear(ExchangeObject *exchange);

#endif
