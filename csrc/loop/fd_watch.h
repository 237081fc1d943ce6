/* SPDX-License-Identifier: MIT
 *
 * add_reader, add_writer and C watches: what the loop knows of descriptors.
 *
 * A table by descriptor. Those of others stand in a watch list of our own (poller.h) that libuv polls as one
 * descriptor; the sockets of transports in libuv's (own_watch.h).
 *
 * Owns:    the watch list, and a strong reference to each reader and writer handle.
 * Borrows: C watches and transports, which their owners take out.
 * Thread:  the loop's, with the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_LOOP_FD_WATCH_H
#define CUVEE_LOOP_FD_WATCH_H

#include <Python.h>

#include <uv.h>

#include "loop/handle.h"
#include "loop/loop.h"
#include "loop/own_watch.h"

typedef struct {
    HandleObject *reader;   /* strong or NULL */
    HandleObject *writer;   /* strong or NULL */
    cv_own_watch_t *own;    /* NULL before the first C watch of this number */
    PyObject *transport;    /* borrowed from whoever claimed the descriptor, or NULL */
    PyObject *file;         /* strong: what add_reader was given, if no int: it is still known after its close() */
    int events;             /* what the watch list was told last of the reader and the writer */
} cv_fd_entry_t;

typedef struct {
    cv_fd_entry_t *entries; /* by descriptor */
    int size;
    int poller;
    uv_poll_t poll;  /* on `poller` */
    cv_list_t fresh; /* C watches that were started since the last poll */
} cv_fd_table_t;

/* 0, or a negative uv error. */
int cv_fd_table_open(cv_fd_table_t *table, uv_loop_t *uv);

/* Drops every handle, closes the watch list and frees the table; every uv_poll must be closed before. */
void cv_fd_table_close(cv_fd_table_t *table);

/* Drops every handle, but leaves the table in use. */
void cv_fd_table_clear(cv_fd_table_t *table);

int cv_fd_table_traverse(cv_fd_table_t *table, visitproc visit, void *arg);

#endif
