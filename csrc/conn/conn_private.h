/* SPDX-License-Identifier: MIT
 *
 * What the files of conn/ share with each other: the steps of a connection's life, of its input and its output.
 *
 * Thread:  loop thread.
 * Errors:  as in conn.h.
 */
#ifndef CUVEE_CONN_CONN_PRIVATE_H
#define CUVEE_CONN_CONN_PRIVATE_H

#include "conn/conn.h"

/* True while an answer may be written: a request is open, its answer not complete, and on_gone was not called. */
static inline bool
cv_conn_is_answering(const cv_conn_t *conn)
{
    return conn->state == CV_CONN_OPEN && !conn->response_complete && !conn->gone;
}

/* True when nothing more is read from the peer for its own sake. */
static inline bool
cv_conn_is_dropping(const cv_conn_t *conn)
{
    return conn->close_after_write || conn->gone || conn->state >= CV_CONN_LINGERING;
}

/* The bytes that wait in conn->input. */
static inline size_t
cv_conn_waiting(const cv_conn_t *conn)
{
    return conn->input.len - conn->input_start;
}

/* True while bytes behind a complete exchange wait to be parsed. */
static inline bool
cv_conn_has_next(const cv_conn_t *conn)
{
    return conn->state == CV_CONN_IDLE && cv_conn_waiting(conn) > 0;
}

/* True while a head is incomplete. */
static inline bool
cv_conn_is_in_head(const cv_conn_t *conn)
{
    return conn->parser != NULL && cv_h1_parser_in_head(conn->parser);
}

/* The bytes of the incomplete head, if there is one, that were parsed. */
static inline size_t
cv_conn_head_fed(const cv_conn_t *conn)
{
    return conn->parser != NULL ? cv_h1_parser_head_fed(conn->parser) : 0;
}

/* True when a good end of the connection would pass off part of a body as the whole: only that end delimits it
 * (RFC 9112 section 8), and not all of it was written. It is reset, though that may cost what is on its way. */
static inline bool
cv_conn_is_cut_short(const cv_conn_t *conn)
{
    return conn->response.framing == CV_H1_CLOSED
        && (!conn->response_complete || conn->response.is_broken || conn->queued > 0);
}

/* conn_env.c */

/* Frees a connection that libuv let go, and ends the env's deinit after the last one. */
void cv_conn_free(cv_conn_t *conn);

/* conn.c: life, deadlines, what is watched */

/* Calls on_gone unless it was called. */
void cv_conn_tell_gone(cv_conn_t *conn);

/* Sets the deadline that the state asks for; one of the same kind that runs already goes on. */
void cv_conn_arm(cv_conn_t *conn);

/* Reads or pauses as the marks say, and watches for room to write if asked. */
void cv_conn_watch(cv_conn_t *conn, bool writing);

/* conn_parser.c */

/* Makes sure that the connection has a parser; false without memory. */
bool cv_conn_take_parser(cv_conn_t *conn);

/* Gives the parser back to the env if it is between two requests; not while it runs. */
void cv_conn_rest_parser(cv_conn_t *conn);

/* Frees the parser, wherever it is. */
void cv_conn_free_parser(cv_conn_t *conn);

/* conn_preamble.c */

/* Looks at what waits in conn->input in CV_CONN_PREAMBLE. True once it was taken, if it is there, and a request follows
 * in the input. */
bool cv_conn_take_preamble(cv_conn_t *conn);

/* Closes a connection whose preamble breaks a rule. */
void cv_conn_refuse_preamble(cv_conn_t *conn, const char *rule);

/* conn_read.c */

void cv_conn_on_readable(cv_transport_t *transport);

/* Appends bytes to conn->input; an incomplete head in it may move. */
int cv_conn_keep_input(cv_conn_t *conn, const char *data, size_t len);

/* Gives the memory of an empty input back; not under a running parser. */
void cv_conn_release_input(cv_conn_t *conn);

/* conn_output.c: the queue of bytes to write */

/* Makes sure of `bytes` more in conn->output (a spare buffer if it has none), and, if `refers`, of room for one
 * cv_conn_output_refer with a commit before and after it. */
int cv_conn_output_reserve(cv_conn_t *conn, size_t bytes, bool refers);

/* Queues what was appended to conn->output since the last time. */
void cv_conn_output_commit(cv_conn_t *conn);

/* The same for the first `len` bytes of them. */
void cv_conn_output_commit_part(cv_conn_t *conn, size_t len);

/* Queues bytes that `owner` keeps, or `file` has, for which room was reserved. */
void cv_conn_output_refer(cv_conn_t *conn, const cv_segment_t *segment);

/* Drops all output and releases every owner. */
void cv_conn_output_drop(cv_conn_t *conn);

/* Gives the output's memory back to the env if nothing is left in it. */
void cv_conn_output_recycle(cv_conn_t *conn);

/* Writes as much as the socket takes: 0 when all is written, -EAGAIN, -EINPROGRESS when a file's bytes are being read
 * from the disk, CV_CONN_ESHORT when a file has fewer than it had, or another negative errno. */
int cv_conn_output_write(cv_conn_t *conn);

/* conn_file.c: files in the queue */

enum { CV_CONN_ESHORT = -2001 };

/* A file to be sent from `offset` on; takes over `fd`. NULL without memory: then `fd` is closed. */
cv_conn_file_t *cv_conn_file_new(cv_conn_t *conn, int fd, uint64_t offset);

/* The connection does not need it any more. */
void cv_conn_file_release(cv_conn_file_t *file);

/* Sends some of the next `len` bytes: how many, or as cv_conn_output_write. Less than `len` does not mean that the
 * socket is full. */
ssize_t cv_conn_file_send(cv_conn_file_t *file, size_t len);

/* conn_answer.c */

/* Closes the held head; `body_len` and `final` describe the first piece of the body. */
int cv_conn_end_head(cv_conn_t *conn, size_t body_len, bool final);

/* The most bytes that it adds. */
static inline size_t
cv_conn_end_head_room(const cv_conn_t *conn)
{
    return CV_H1_END_ROOM + cv_default_fields_len(&conn->env->default_fields);
}

/* conn_flush.c */

void cv_conn_on_writable(cv_transport_t *transport);

/* Bytes of a file that were waited for are there. */
void cv_conn_on_file_ready(cv_conn_t *conn);

/* Puts the connection where cv_conn_env_flush finds it, unless it waits for room to write. */
void cv_conn_need_flush(cv_conn_t *conn);

/* conn_refuse.c */

/* Refuses what the peer sent: answers `status` if an answer can still be given, tells above, and closes. */
void cv_conn_refuse_input(cv_conn_t *conn, unsigned status, const char *rule);

/* Answers 500 to a request that the layer above could not take. */
void cv_conn_refuse_failed(cv_conn_t *conn);

/* conn_close.c */

void cv_conn_on_hangup(cv_transport_t *transport);

/* recv returned 0. */
void cv_conn_end_input(cv_conn_t *conn);

/* After the last byte of the last answer: closes, or lingers while the peer may still send. */
void cv_conn_finish(cv_conn_t *conn);

/* Shuts our side down and drops what still comes, until the peer's FIN or the deadline. */
void cv_conn_linger(cv_conn_t *conn);

#endif
