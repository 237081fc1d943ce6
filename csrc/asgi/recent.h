/* SPDX-License-Identifier: MIT
 *
 * Objects of recent requests, since most requests ask for what others asked for just before: the (name, value) pairs
 * of header fields that clients repeat, and the two forms of a path. Each stands in the one place that its bytes hash
 * to, where the next one that hashes to it replaces it, so that the memory is bounded and no look-up ever searches.
 * All of them are immutable. Fields that are secret or differ with every request (cookies, credentials, identifiers)
 * and query strings are never kept; a path stays until another one takes its place, whatever it names.
 *
 * Owns:    strong references to what it holds.
 * Thread:  loop thread, the GIL held.
 * Errors:  NULL or -1 with an exception set.
 */
#ifndef CUVEE_ASGI_RECENT_H
#define CUVEE_ASGI_RECENT_H

#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    CV_RECENT_FIELDS = 128,
    CV_RECENT_PATHS = 64,
};

typedef struct {
    PyObject *path;     /* str */
    PyObject *raw_path; /* bytes */
} cv_recent_path_t;

typedef struct {
    PyObject *fields[CV_RECENT_FIELDS]; /* (bytes, bytes) */
    cv_recent_path_t paths[CV_RECENT_PATHS];
} cv_recent_t;

/* The pair of a known field name and a value. New reference. */
PyObject *cv_recent_field(cv_recent_t *recent, uint8_t id, PyObject *name, cv_span_t value);

/* The place of a path, which holds it if cv_recent_path_is says so; NULL for one that is not kept. */
cv_recent_path_t *cv_recent_path(cv_recent_t *recent, cv_span_t raw);

/* True when `place` holds the forms of `raw`, which had `prefix_len` bytes put before it. */
bool cv_recent_path_is(const cv_recent_path_t *place, cv_span_t raw, size_t prefix_len);

/* Puts the forms of a path in its place, in place of those that stood there. */
void cv_recent_path_set(cv_recent_path_t *place, PyObject *path, PyObject *raw_path);

/* Lets go of everything. */
void cv_recent_clear(cv_recent_t *recent);

#endif
