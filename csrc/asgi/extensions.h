/* SPDX-License-Identifier: MIT
 *
 * The ASGI extensions that are offered to the application: scope["extensions"].
 *
 * Owns:    the dictionaries.
 * Thread:  loop thread, the GIL held.
 * Errors:  NULL or -1 with an exception set.
 */
#ifndef CUVEE_ASGI_EXTENSIONS_H
#define CUVEE_ASGI_EXTENSIONS_H

#include <Python.h>

#include <stdbool.h>

#include "asgi/lent.h"
#include "http/h1_head.h"
#include "py/state.h"

typedef enum {
    CV_EARLY_HINT = 1,
    CV_TRAILERS = 2,
    CV_PATHSEND = 4,
    CV_ZEROCOPYSEND = 8,
} cv_extension_t;

typedef struct {
    unsigned enabled;        /* cv_extension_t, ored */
    cv_lent_t on_1_0;        /* what can be delivered on HTTP/1.0, */
    cv_lent_t on_1_1;        /* on HTTP/1.1, */
    cv_lent_t with_trailers; /* and to a client that takes trailers */
    cv_lent_t websocket;     /* for a WebSocket, which has none of these */
} cv_extensions_t;

/* Enables what an iterable names: early_hint, trailers, pathsend, zerocopysend. */
int cv_extensions_enable(cv_extensions_t *extensions, PyObject *names);

/* Makes the dictionaries for what is enabled. */
int cv_extensions_init(cv_extensions_t *extensions, const cv_names_t *names);

int cv_extensions_visit(cv_extensions_t *extensions, visitproc visit, void *arg);
void cv_extensions_clear(cv_extensions_t *extensions);

/* What can be delivered for a request. */
static inline cv_lent_t *
cv_extensions_for(cv_extensions_t *extensions, const cv_h1_head_t *head)
{
    if (head->takes_trailers) {
        return &extensions->with_trailers;
    }
    return head->minor == 1 ? &extensions->on_1_1 : &extensions->on_1_0;
}

#endif
