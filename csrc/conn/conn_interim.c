/* SPDX-License-Identifier: MIT
 *
 * Interim responses (RFC 9110 section 15.2): what goes out before the answer, and at once.
 */
#include <string.h>

#include "conn/conn_private.h"
#include "http/status.h"

/* Puts `lines` and the status line before them into the output, before the head that is held there, if there is one. */
static int
insert(cv_conn_t *conn, cv_span_t status_line, const cv_buffer_t *lines)
{
    size_t size = status_line.len + lines->len + 2;
    int error = cv_conn_output_reserve(conn, size, false);
    if (error < 0) {
        return error;
    }
    char *at = conn->output.data + conn->output_ready;
    memmove(at + size, at, conn->output.len - conn->output_ready);
    memcpy(at, status_line.data, status_line.len);
    if (lines->len > 0) {
        memcpy(at + status_line.len, lines->data, lines->len);
    }
    memcpy(at + size - 2, "\r\n", 2);
    conn->output.len += size;
    cv_conn_output_commit_part(conn, size);
    return 0;
}

/* True when the answer's head is on its way: there is nothing interim about what follows. */
static bool
has_sent_head(const cv_conn_t *conn)
{
    return conn->response_started && !conn->response.head_open;
}

int
cv_conn_interim(cv_conn_t *conn, unsigned status, const cv_buffer_t *lines)
{
    if (!cv_conn_is_answering(conn)) {
        return CV_CONN_EGONE;
    }
    if (conn->response.minor == 0 || has_sent_head(conn)) {
        return 0;
    }
    int error = insert(conn, cv_status_line(status), lines);
    if (error < 0) {
        return error;
    }
    if (conn->queued > conn->env->write_high) {
        conn->above_high = true;
    }
    cv_conn_flush(conn);
    return 0;
}

void
cv_conn_want_body(cv_conn_t *conn)
{
    static const cv_buffer_t no_lines = CV_BUFFER_INIT;
    if (!cv_conn_is_answering(conn) || !conn->expects_continue) {
        return;
    }
    conn->expects_continue = false; /* from now on it is the client's turn */
    if (has_sent_head(conn)) {
        cv_conn_arm(conn); /* which told it that the connection closes, whether or not the body comes */
    } else if (cv_conn_interim(conn, 100, &no_lines) < 0) {
        cv_conn_close(conn, true);
    }
}
