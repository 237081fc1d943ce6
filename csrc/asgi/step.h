/* SPDX-License-Identifier: MIT
 *
 * How much one step of a task sends before it waits for the socket, or for a turn of the others.
 *
 * Thread:  loop thread, the GIL held.
 */
#ifndef CUVEE_ASGI_STEP_H
#define CUVEE_ASGI_STEP_H

#include "asgi/exchange.h"

/* What taking a message asks of the awaitable. */
typedef enum {
    TOOK = 0,    /* nothing: it is finished */
    TOOK_FULL,   /* to wait for the socket */
    TOOK_LONG,   /* to give the loop a turn */
    TOOK_OPENING, /* nothing was taken yet: a file has to be opened first */
} took_t;

/* Notes that this step sends `len` bytes more. True when it has sent something before. */
bool cv_step_count(ExchangeObject *exchange, size_t len);

/* Writes what waits in the connection if that is more than it should be. True if it was. */
bool cv_step_flush(ExchangeObject *exchange);

/* What follows once a piece was counted, and written or left to the end of the turn. */
took_t cv_step_took(ExchangeObject *exchange);

/* The client is gone: nothing is taken. Who never looks goes on sending, and nothing else would end its step. */
took_t cv_step_to_nobody(ExchangeObject *exchange);

/* The application hears again that nothing more comes. True when a turn of the others is due first, for the same
 * reason. */
bool cv_step_hears_end(ExchangeObject *exchange);

/* True until the socket has taken enough of what was too much. */
static inline bool
cv_step_must_wait(const ExchangeObject *exchange)
{
    const cv_conn_t *conn = exchange->conn;
    return conn != NULL && conn->queued > cv_conn_write_low(conn) && conn->above_high;
}

#endif
