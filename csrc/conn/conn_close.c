/* SPDX-License-Identifier: MIT
 *
 * The ends of a connection: the peer's FIN or reset, our own close, and the lingering one between them.
 */
#include "conn/conn_private.h"
#include "conn/websocket_private.h"

void
cv_conn_close(cv_conn_t *conn, bool reset)
{
    if (conn->state == CV_CONN_WEBSOCKET) {
        cv_conn_ws_take_rest(conn);
    }
    if (conn->state == CV_CONN_CLOSED) {
        return;
    }
    conn->state = CV_CONN_CLOSED;
    cv_list_remove(&conn->flush_node);
    cv_list_remove(&conn->node);
    conn->env->conn_count--;
    conn->env->ws_count -= conn->is_websocket;
    bool has_room = conn->env->conn_count + 1 == conn->env->conn_limit && conn->env->ops->on_room != NULL;
    cv_deadline_drop(&conn->deadline);
    cv_transport_close(&conn->transport, reset);
    cv_conn_output_drop(conn);
    cv_conn_tell_gone(conn);
    if (conn->tells_end) {
        conn->env->ops->on_closed(conn);
    }
    if (has_room) {
        conn->env->ops->on_room(conn->env);
    }
}

void
cv_conn_abort(cv_conn_t *conn)
{
    cv_conn_close(conn, cv_conn_is_cut_short(conn));
}

void
cv_conn_stop(cv_conn_t *conn)
{
    if (cv_conn_is_answering(conn)) {
        cv_conn_fail(conn);
    } else if (conn->state == CV_CONN_WEBSOCKET) {
        cv_conn_ws_stop(conn);
    } else if (conn->state < CV_CONN_LINGERING) {
        conn->close_after_write = true;
        cv_conn_need_flush(conn);
    }
    cv_conn_flush(conn);
}

void
cv_conn_linger(cv_conn_t *conn)
{
    /* Closing while the peer sends makes the kernel answer with RST, which may destroy the answer on its way
     * (RFC 9112 section 9.6). */
    if (cv_transport_shutdown_write(&conn->transport) < 0) {
        cv_conn_close(conn, false);
        return;
    }
    conn->state = CV_CONN_LINGERING;
    cv_conn_release_input(conn);
    cv_conn_arm(conn);
    cv_conn_watch(conn, false);
}

void
cv_conn_finish(cv_conn_t *conn)
{
    bool all_read = conn->request_complete && !conn->input_dropped && cv_conn_waiting(conn) == 0
        && !cv_transport_has_input(&conn->transport);
    if (all_read || conn->input_ended || cv_conn_is_cut_short(conn)) {
        cv_conn_abort(conn);
    } else {
        cv_conn_linger(conn);
    }
}

/* True when requests that came before a FIN are still answered. Of a WebSocket nothing would become. */
static bool
has_requests(const cv_conn_t *conn)
{
    bool any = cv_conn_is_answering(conn) ? conn->request_complete : cv_conn_has_next(conn);
    return any && conn->env->half_close && !conn->is_websocket;
}

/* True when a FIN leaves something to do: requests, or a complete answer that is not written yet. A WebSocket has one
 * only behind its last close frame (RFC 6455 section 7.1.1). */
static bool
outlives_input(const cv_conn_t *conn)
{
    bool writes = !cv_conn_is_answering(conn) && conn->state < CV_CONN_LINGERING && conn->queued > 0
        && (conn->state != CV_CONN_WEBSOCKET || conn->close_after_write);
    return writes || has_requests(conn);
}

void
cv_conn_end_input(cv_conn_t *conn)
{
    if (!outlives_input(conn)) {
        cv_conn_abort(conn);
        return;
    }
    conn->input_ended = true;
    if (!has_requests(conn)) {
        conn->close_after_write = true;
    }
    cv_conn_watch(conn, conn->transport.writing);
}

void
cv_conn_on_hangup(cv_transport_t *transport)
{
    cv_conn_t *conn = CV_CONTAINER_OF(transport, cv_conn_t, transport);
    bool takes_no_answer = conn->input_ended && conn->state != CV_CONN_WEBSOCKET;
    if (transport->failed || takes_no_answer) {
        cv_conn_close(conn, false);
    } else if (conn->env->half_close || conn->state == CV_CONN_WEBSOCKET) {
        /* It stands behind bytes that nobody has read yet, and is read when it is their turn. */
        if (!transport->input_ended) {
            transport->input_ended = true;
            cv_conn_watch(conn, transport->writing);
        }
    } else {
        cv_conn_end_input(conn);
    }
}
