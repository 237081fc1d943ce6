/* SPDX-License-Identifier: MIT
 *
 * The answer of the open request: the held head, then the pieces of the body behind it.
 */
#include <errno.h>
#include <time.h>

#include "conn/conn_private.h"
#include "conn/conn_request.h"

enum {
    COPY_MAX = 4096,     /* a larger body piece is referenced: copying it costs more than one iovec more */
    HEAD_ROOM = 512,     /* what a head mostly takes */
    FRAMING_ROOM = 64,   /* a chunk's size line and what follows the chunk */
};

int
cv_conn_respond(cv_conn_t *conn, unsigned status)
{
    if (!cv_conn_is_answering(conn)) {
        return CV_CONN_EGONE;
    }
    if (conn->response_started) {
        return -EALREADY;
    }
    int error = cv_conn_output_reserve(conn, HEAD_ROOM, false);
    if (error < 0) {
        return error;
    }
    cv_h1_response_t *response = &conn->response;
    cv_h1_response_t saved = *response;
    error = cv_h1_response_begin(response, &conn->output, status, response->minor, response->is_head,
                                 response->keep_alive);
    if (error < 0) {
        *response = saved;
        conn->output.len = conn->output_ready;
        return error;
    }
    if (conn->is_connect && status >= 200 && status < 300) {
        cv_h1_response_tunnel(response);
    }
    conn->response_started = true;
    return 0;
}

void
cv_conn_retract(cv_conn_t *conn)
{
    if (!cv_conn_is_answering(conn) || !conn->response.head_open) {
        return;
    }
    cv_h1_response_t *response = &conn->response;
    *response = (cv_h1_response_t){
        .minor = response->minor, .is_head = response->is_head, .keep_alive = conn->may_keep_alive};
    conn->output.len = conn->output_ready;
    conn->response_started = false;
}

int
cv_conn_field(cv_conn_t *conn, const char *name, size_t name_len, const char *value, size_t value_len)
{
    if (!cv_conn_is_answering(conn)) {
        return CV_CONN_EGONE;
    }
    if (!conn->response.head_open) {
        return -EINVAL;
    }
    return cv_h1_response_field(&conn->response, &conn->output, name, name_len, value, value_len);
}

/* A server that stops has no next request, but for one that came already. Who always has one waiting does not hold it
 * up, though. (While the parser runs nobody knows what is left: that answer is one of our own.) */
static bool
is_retired(const cv_conn_t *conn)
{
    const cv_conn_env_t *env = conn->env;
    if (!env->retiring || !conn->request_complete || conn->parsing) {
        return env->retiring;
    }
    bool in_time = cv_deadlines_now() < env->retired + env->deadlines.durations[CV_CONN_DRAIN];
    return !in_time || (cv_conn_waiting(conn) == 0 && !cv_transport_has_input(&conn->transport));
}

/* The answer that accepts a WebSocket's handshake: its connection field has been written, and says something else. */
static bool
switches_protocols(const cv_conn_t *conn)
{
    return conn->is_websocket && conn->response.status == 101;
}

/* A peer that sent its FIN has no next request. A client that waits for 100 Continue and
 * gets a final answer may or may not send the body: only the end of the connection says where the next request would
 * start (RFC 9110 section 10.1.1). */
static bool
may_keep_alive(const cv_conn_t *conn)
{
    bool last = is_retired(conn) || conn->is_last || conn->expects_continue
        || (conn->input_ended && cv_conn_waiting(conn) == 0);
    return conn->response.keep_alive && !last;
}

int
cv_conn_end_head(cv_conn_t *conn, size_t body_len, bool final)
{
    cv_conn_env_t *env = conn->env;
    const char *date = env->date_header ? cv_http_date_text(&env->date, (int64_t)time(NULL)) : NULL;
    conn->response.keep_alive = switches_protocols(conn) || may_keep_alive(conn);
    return cv_h1_response_end_head(&conn->response, &conn->output, date, &env->default_fields, body_len, final);
}

static int
copy_piece(cv_conn_t *conn, const cv_segment_t *piece, const char *after, size_t after_len)
{
    int error = cv_buffer_append(&conn->output, piece->data, piece->len);
    if (error == 0) {
        error = cv_buffer_append(&conn->output, after, after_len);
    }
    if (error == 0) {
        cv_conn_output_commit(conn);
    }
    return error;
}

static int
refer_piece(cv_conn_t *conn, const cv_segment_t *piece, const char *after, size_t after_len)
{
    cv_conn_output_commit(conn);
    cv_conn_output_refer(conn, piece);
    int error = cv_buffer_append(&conn->output, after, after_len); /* room was reserved: it cannot fail half-way */
    cv_conn_output_commit(conn);
    return error;
}

static void
drop_file(cv_segment_t *piece)
{
    if (piece->file != NULL) {
        cv_conn_file_release(piece->file);
        piece->file = NULL;
    }
}

/* Frames and queues one piece; 0, CV_H1_WLONG or CV_H1_WSHORT when it is queued, else nothing is. `piece` has no owner
 * and no file any more where they are not needed: what is queued was copied, or no body is sent. */
static int
queue_piece(cv_conn_t *conn, cv_segment_t *piece, bool final)
{
    bool refers = piece->file != NULL || (piece->owner != NULL && piece->len > COPY_MAX);
    bool head_open = conn->response.head_open;
    size_t head_room = head_open ? cv_conn_end_head_room(conn) : 0;
    int error = cv_conn_output_reserve(conn, head_room + FRAMING_ROOM + (refers ? 0 : piece->len), refers);
    if (error == 0 && head_open) {
        error = cv_conn_end_head(conn, piece->len, final);
    }
    if (error < 0) {
        return error;
    }
    size_t take = 0;
    size_t after_len = 0;
    const char *after = "";
    int framed = cv_h1_response_body(&conn->response, &conn->output, piece->len, final, &take, &after, &after_len);
    if (framed < 0 && framed != CV_H1_WLONG && framed != CV_H1_WSHORT) {
        return framed;
    }
    piece->len = take;
    if (refers && take > 0) {
        error = refer_piece(conn, piece, after, after_len);
    } else {
        piece->owner = NULL;
        drop_file(piece);
        error = copy_piece(conn, piece, after, after_len);
    }
    return error < 0 ? error : framed;
}

/* Queues a piece as cv_conn_body and cv_conn_file say. */
static int
add_piece(cv_conn_t *conn, cv_segment_t *piece, bool final)
{
    if (!cv_conn_is_answering(conn)) {
        return CV_CONN_EGONE;
    }
    if (!conn->response_started || conn->response.trailers_open) {
        return -EINVAL;
    }
    cv_h1_response_t saved = conn->response;
    size_t saved_len = conn->output.len - conn->output_start;
    int status = queue_piece(conn, piece, final);
    if (status < 0 && status != CV_H1_WLONG && status != CV_H1_WSHORT) {
        conn->response = saved;
        conn->output.len = conn->output_start + saved_len;
        return status;
    }
    if (conn->queued > conn->env->write_high) {
        conn->above_high = true;
    }
    if (status < 0) {
        conn->response.keep_alive = false;
    }
    if ((final && !conn->response.trailers_open) || status < 0) {
        cv_conn_end_response(conn);
    } else if (conn->queued > 0) {
        cv_conn_need_flush(conn);
    }
    return status;
}

int
cv_conn_body(cv_conn_t *conn, const char *data, size_t len, bool final, void *owner, bool *out_kept)
{
    cv_segment_t piece = {.data = data, .len = len, .owner = owner};
    int status = add_piece(conn, &piece, final);
    bool queued = status == 0 || status == CV_H1_WLONG || status == CV_H1_WSHORT;
    *out_kept = queued && piece.owner != NULL;
    return status;
}

int
cv_conn_file(cv_conn_t *conn, int fd, uint64_t offset, size_t len, bool final)
{
    cv_segment_t piece = {.len = len, .file = cv_conn_file_new(conn, fd, offset)};
    if (piece.file == NULL) {
        return -ENOMEM;
    }
    int status = add_piece(conn, &piece, final);
    if (status < 0 && status != CV_H1_WLONG && status != CV_H1_WSHORT) {
        drop_file(&piece);
    }
    return status;
}

void
cv_conn_want_trailers(cv_conn_t *conn)
{
    if (cv_conn_is_answering(conn) && conn->response.head_open && conn->takes_trailers) {
        cv_h1_response_trailers(&conn->response);
    }
}

bool
cv_conn_awaits_trailers(const cv_conn_t *conn)
{
    return conn->response.trailers_open && cv_conn_is_answering(conn);
}

int
cv_conn_trailers(cv_conn_t *conn, const cv_buffer_t *lines, bool final)
{
    if (!cv_conn_awaits_trailers(conn)) {
        return cv_conn_is_answering(conn) ? -EINVAL : CV_CONN_EGONE;
    }
    int error = cv_conn_output_reserve(conn, lines->len + FRAMING_ROOM, false);
    if (error < 0) {
        return error;
    }
    cv_segment_t piece = {.data = lines->data, .len = lines->len};
    error = copy_piece(conn, &piece, "\r\n", final ? 2 : 0);
    if (conn->queued > conn->env->write_high) {
        conn->above_high = true;
    }
    if (error == 0 && final) {
        conn->response.trailers_open = false;
        cv_conn_end_response(conn);
    } else if (error == 0) {
        cv_conn_need_flush(conn);
    }
    return error;
}
