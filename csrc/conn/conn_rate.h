/* SPDX-License-Identifier: MIT
 *
 * The least rate at which a request's body has to come (--limit-body-rate): a number of bytes for the time that we
 * waited for the client, of which the first few seconds are free.
 *
 * Thread:  loop thread.
 */
#ifndef CUVEE_CONN_CONN_RATE_H
#define CUVEE_CONN_CONN_RATE_H

#include "conn/conn.h"

/* From now on it is the client's turn, or not any more. */
void cv_conn_rate_wait(cv_conn_t *conn, bool waits);

/* The time that is left to a client that sends nothing, in milliseconds; 0: it is too slow. */
uint64_t cv_conn_rate_left(const cv_conn_t *conn);

#endif
