/* SPDX-License-Identifier: MIT
 *
 * Writing what is queued, and what follows when all of it is written.
 */
#include <errno.h>

#include "conn/conn_private.h"
#include "conn/websocket_private.h"

void
cv_conn_need_flush(cv_conn_t *conn)
{
    if (conn->state < CV_CONN_LINGERING && !conn->transport.writing && !cv_list_is_linked(&conn->flush_node)) {
        cv_list_append(&conn->env->unflushed, &conn->flush_node);
    }
}

/* The socket is full. Progress starts the write deadline anew, so that it bounds a stall, not the transfer. */
static void
wait_for_room(cv_conn_t *conn, bool progress)
{
    if (!conn->transport.writing) {
        cv_conn_watch(conn, true);
    } else if (progress) {
        cv_deadline_clear(&conn->deadline);
    }
    if (conn->state == CV_CONN_CLOSED) {
        return;
    }
    bool runs = cv_deadline_is_set(&conn->deadline) && conn->deadline.kind == CV_CONN_WRITE;
    cv_conn_arm(conn);
    if (!runs && cv_deadline_is_set(&conn->deadline)) {
        conn->unsent = cv_transport_unsent(&conn->transport);
    }
}

static void
tell_drained(cv_conn_t *conn)
{
    if (!conn->above_high || conn->queued > cv_conn_write_low(conn)) {
        return;
    }
    conn->above_high = false;
    if (conn->state == CV_CONN_WEBSOCKET) {
        cv_conn_ws_on_room(conn);
    }
    if (cv_conn_is_answering(conn) || (conn->state == CV_CONN_WEBSOCKET && !conn->gone)) {
        conn->env->ops->on_drain(conn);
    }
}

/* What waited was the connection's end, and not a request: nobody flushes it any more. */
static void
finish_if_over(cv_conn_t *conn)
{
    if (conn->close_after_write && conn->queued == 0 && conn->state < CV_CONN_LINGERING) {
        cv_conn_finish(conn);
    }
}

/* Nothing is left to write: the connection closes, goes on with bytes that wait, or rests. */
static void
go_on(cv_conn_t *conn)
{
    cv_conn_output_recycle(conn);
    if (conn->close_after_write) {
        cv_conn_finish(conn);
        return;
    }
    if (conn->transport.writing) {
        cv_conn_watch(conn, false);
    }
    if (conn->state == CV_CONN_WEBSOCKET) {
        cv_conn_ws_note_written(conn);
    }
    if (cv_conn_can_advance(conn)) {
        cv_conn_advance(conn);
        finish_if_over(conn);
    } else if (!conn->parsing && conn->state != CV_CONN_CLOSED) {
        cv_conn_arm(conn);
    }
}

/* The peer has nothing to take meanwhile, so that no time of its own runs. */
static void
wait_for_file(cv_conn_t *conn)
{
    if (conn->transport.writing) {
        cv_conn_watch(conn, false);
    }
    if (conn->state != CV_CONN_CLOSED) {
        cv_conn_arm(conn);
    }
}

/* Writing failed, or there is nothing more to write of what was promised. */
static void
end_output(cv_conn_t *conn, int status)
{
    bool short_of = status == CV_CONN_ESHORT;
    if (short_of && !conn->gone) {
        conn->env->ops->on_cut(conn, "a file became shorter, or could not be read, while it was sent");
    }
    cv_conn_close(conn, short_of);
}

static void
write_on(cv_conn_t *conn)
{
    size_t before = conn->queued;
    int status = before > 0 ? cv_conn_output_write(conn) : 0;
    if (status < 0 && status != -EAGAIN && status != -EINPROGRESS) {
        end_output(conn, status);
        return;
    }
    bool progress = conn->queued < before;
    tell_drained(conn);
    if (conn->state >= CV_CONN_LINGERING) {
        return; /* a callback closed it */
    }
    if (conn->queued == 0) {
        go_on(conn);
    } else if (status == -EAGAIN) {
        wait_for_room(conn, progress);
    } else if (status == -EINPROGRESS) {
        wait_for_file(conn);
    }
}

void
cv_conn_flush(cv_conn_t *conn)
{
    cv_list_remove(&conn->flush_node);
    if (conn->state < CV_CONN_LINGERING && !conn->transport.writing) {
        write_on(conn);
    }
}

void
cv_conn_on_file_ready(cv_conn_t *conn)
{
    if (conn->state < CV_CONN_LINGERING && !conn->transport.writing) {
        write_on(conn);
    }
}

void
cv_conn_on_writable(cv_transport_t *transport)
{
    cv_conn_t *conn = CV_CONTAINER_OF(transport, cv_conn_t, transport);
    if (conn->state < CV_CONN_LINGERING) {
        write_on(conn);
    }
}
