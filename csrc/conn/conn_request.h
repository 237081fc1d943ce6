/* SPDX-License-Identifier: MIT
 *
 * The parser's events as steps of a connection: a head opens a request, body bytes are handed up, its end is told.
 *
 * Thread:  loop thread.
 */
#ifndef CUVEE_CONN_CONN_REQUEST_H
#define CUVEE_CONN_CONN_REQUEST_H

#include "conn/conn.h"

/* The parser's owner is the connection. */
extern const cv_h1_events_t cv_conn_parser_events;

/* The parser came to the end of a request. */
void cv_conn_end_request(cv_conn_t *conn);

/* The answer has its last byte: the connection waits for the rest of the request, for the next one, or closes. */
void cv_conn_end_response(cv_conn_t *conn);

#endif
