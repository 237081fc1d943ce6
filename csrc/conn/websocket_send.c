/* SPDX-License-Identifier: MIT
 *
 * The way of a WebSocket's frames out: a head, and the payload behind it, copied or referenced as the pieces of an
 * answer are, or compressed.
 */
#include <errno.h>

#include "conn/websocket_private.h"

enum { COPY_MAX = 4096 }; /* as in conn_answer.c */

static void
note_queued(cv_conn_t *conn)
{
    if (conn->queued > conn->env->ws.send_high) {
        conn->above_high = true;
    }
    cv_conn_need_flush(conn);
}

/* Queues one frame. Its payload is referenced if it has an owner and is long; else the owner is not needed. */
static int
queue_frame(cv_conn_t *conn, cv_ws_opcode opcode, bool compressed, cv_segment_t *payload)
{
    bool refers = payload->owner != NULL && payload->len > COPY_MAX;
    size_t room = CV_WS_HEAD_MAX + (refers ? 0 : payload->len);
    int error = cv_conn_output_reserve(conn, room, refers);
    if (error < 0) {
        return error;
    }
    cv_buffer_t *output = &conn->output;
    output->len += cv_ws_frame_head(output->data + output->len, opcode, compressed, payload->len);
    if (!refers) {
        payload->owner = NULL;
        error = cv_buffer_append(output, payload->data, payload->len); /* room was reserved: it cannot fail */
    }
    cv_conn_output_commit(conn);
    if (refers) {
        cv_conn_output_refer(conn, payload);
    }
    note_queued(conn);
    return error;
}

int
cv_conn_ws_control(cv_conn_t *conn, cv_ws_opcode opcode, cv_span_t payload)
{
    cv_segment_t piece = {.data = payload.data, .len = payload.len};
    return queue_frame(conn, opcode, false, &piece);
}

void
cv_conn_ws_on_room(cv_conn_t *conn)
{
    cv_buffer_t *pong = &conn->websocket->pong;
    if (pong->cap == 0 || !cv_conn_ws_is_open(conn)) {
        return;
    }
    if (cv_conn_ws_control(conn, CV_WS_PONG, (cv_span_t){pong->data, pong->len}) < 0) {
        cv_conn_close(conn, true);
        return;
    }
    cv_buffer_deinit(pong);
    cv_conn_flush(conn);
}

/* Compresses into the env's buffer, with a deflater that keeps no context. */
static int
deflate_shared(cv_conn_t *conn, cv_span_t data)
{
    cv_conn_env_t *env = conn->env;
    unsigned bits = conn->websocket->terms.server_bits;
    cv_deflater_t *deflater = cv_deflaters_get(&env->deflaters, bits);
    env->deflated.len = 0;
    env->deflated_bits = 0;
    int error = deflater == NULL ? -ENOMEM : cv_deflater_run(deflater, data.data, data.len, false, &env->deflated);
    if (error == 0) {
        env->deflated_bits = (uint8_t)bits;
    }
    return error;
}

/* The message as it goes out, compressed, in the env's buffer. */
static int
deflate_message(cv_conn_t *conn, cv_span_t data, bool repeated)
{
    cv_conn_env_t *env = conn->env;
    cv_websocket_t *websocket = conn->websocket;
    if (websocket->deflater != NULL) {
        env->deflated.len = 0;
        env->deflated_bits = 0;
        return cv_deflater_run(websocket->deflater, data.data, data.len, true, &env->deflated);
    }
    if (repeated && env->deflated_bits == websocket->terms.server_bits) {
        return 0;
    }
    return deflate_shared(conn, data);
}

/* Without a context a message that does not shrink goes out as it is; with one the peer has to see it compressed. */
static int
send_deflated(cv_conn_t *conn, cv_ws_opcode opcode, cv_segment_t *payload, bool repeated)
{
    const cv_buffer_t *deflated = &conn->env->deflated;
    bool keeps_context = conn->websocket->deflater != NULL;
    int error = deflate_message(conn, (cv_span_t){payload->data, payload->len}, repeated);
    if (error == 0 && !keeps_context && deflated->len >= payload->len) {
        return queue_frame(conn, opcode, false, payload);
    }
    if (error == 0) {
        cv_segment_t piece = {.data = deflated->data, .len = deflated->len};
        payload->owner = NULL;
        error = queue_frame(conn, opcode, true, &piece);
    }
    if (error < 0 && keeps_context) {
        cv_conn_close(conn, true); /* the peer's context lacks this message: it could read none of the next */
    }
    return error;
}

int
cv_conn_ws_send(cv_conn_t *conn, cv_ws_opcode opcode, cv_span_t data, void *owner, bool repeated, bool *out_kept)
{
    *out_kept = false;
    if (!repeated) {
        conn->env->deflated_bits = 0; /* also where nothing is sent: others may be sent this as repeated */
    }
    if (!cv_conn_ws_is_open(conn)) {
        return CV_CONN_EGONE;
    }
    cv_websocket_t *websocket = conn->websocket;
    cv_segment_t payload = {.data = data.data, .len = data.len, .owner = owner};
    bool compress = websocket->terms.agreed && data.len >= conn->env->ws.deflate.threshold;
    int error = compress ? send_deflated(conn, opcode, &payload, repeated)
                         : queue_frame(conn, opcode, false, &payload);
    if (error == 0) {
        *out_kept = payload.owner != NULL;
        cv_conn_ws_note_message(conn);
    }
    return error;
}
