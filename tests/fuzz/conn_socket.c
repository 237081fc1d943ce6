/* SPDX-License-Identifier: MIT */
#include "conn_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "conn/websocket_private.h"
#include "conn_world.h"
#include "fuzz.h"

void
socket_on_handshake(peer_t *peer)
{
    peer->has_handshake = true;
}

void
socket_on_message(peer_t *peer, const cv_ws_event_t *message)
{
    const cv_conn_env_t *env = peer->conn->env;
    MUST(peer->is_socket && !peer->has_ended && !peer->has_closed);
    MUST(message->len <= env->ws.max_size && peer->queue_len < env->ws.max_queue && peer->queue_len < QUEUE_MAX);
    MUST(peer->unread <= env->read_high);
    char last = message->len > 0 ? message->data[message->len - 1] : 0; /* under ASan: all of it is there */
    (void)last;
    peer->queue[peer->queue_len++] = message->len;
    peer->unread += message->len;
}

void
socket_on_untaken(peer_t *peer, size_t len)
{
    if (!peer->has_closed) {
        MUST(peer->queue_len > 0);
        peer->queue_len--;
        peer->unread -= len;
    }
}

void
socket_on_end(peer_t *peer)
{
    MUST(peer->is_socket && !peer->has_ended);
    peer->has_ended = true;
}

/* No byte is left behind, nothing is kept without need, and somebody sees to it that it goes on. */
void
socket_check(const cv_conn_t *conn, const peer_t *peer)
{
    const cv_websocket_t *websocket = conn->websocket;
    bool drops = cv_conn_is_dropping(conn);
    MUST(conn->is_websocket && websocket->open && peer->is_socket);
    if (!websocket->close_sent) {
        MUST(websocket->waiting == peer->queue_len && conn->unread == peer->unread);
    } else if (!drops) {
        MUST(websocket->waiting == 0 && conn->unread == 0);
    }
    MUST(!cv_conn_ws_wants_frames(conn) || cv_conn_waiting(conn) == 0);
    MUST(drops || !cv_ws_parser_is_resting(&websocket->parser) || websocket->parser.message.cap == 0);
    MUST(conn->parser == NULL && (cv_conn_waiting(conn) > 0 || conn->input.cap == 0));
    MUST(websocket->pong.cap == 0 || conn->above_high || websocket->close_sent);
    MUST(!conn->above_high || conn->queued > 0);
    uint64_t due = cv_conn_ws_due(conn);
    if (conn->queued == 0 && due != 0) {
        MUST(cv_deadline_is_set(&conn->deadline) && conn->deadline.due <= due);
    }
}

/* ---- what the client hears ---- */

typedef struct {
    z_stream stream;
    bool begun;
} inflation_t;

static char inflated[1 << 16];

static size_t
inflate_payload(inflation_t *inflation, bool keeps_context, const char *data, size_t len)
{
    static const Bytef tail[] = {0, 0, 0xff, 0xff};
    z_stream *stream = &inflation->stream;
    if (!inflation->begun) {
        memset(stream, 0, sizeof(*stream));
        MUST(inflateInit2(stream, -15) == Z_OK);
        inflation->begun = true;
    } else if (!keeps_context) {
        inflateReset(stream);
    }
    stream->next_out = (Bytef *)inflated;
    stream->avail_out = sizeof(inflated);
    stream->next_in = (z_const Bytef *)data;
    stream->avail_in = (uInt)len;
    MUST(inflate(stream, Z_SYNC_FLUSH) >= 0 || len == 0);
    stream->next_in = (z_const Bytef *)tail;
    stream->avail_in = sizeof(tail);
    int status = inflate(stream, Z_SYNC_FLUSH);
    MUST((status == Z_OK || status == Z_BUF_ERROR) && stream->avail_in == 0);
    return sizeof(inflated) - stream->avail_out;
}

/* The size that a frame's head tells, which has to be written in the shortest way; false: the head is cut. */
static bool
read_size(const uint8_t *data, size_t len, size_t *out_head, size_t *out_size)
{
    if (len < 2) {
        return false;
    }
    MUST(data[1] < 0x80); /* a server's frames have no mask */
    unsigned more = data[1] == 126 ? 2 : data[1] == 127 ? 8 : 0;
    if (len < 2 + more) {
        return false;
    }
    uint64_t size = more == 0 ? data[1] : 0;
    for (unsigned i = 0; i < more; i++) {
        size = size << 8 | data[2 + i];
    }
    MUST(more == 0 || size > (more == 2 ? 125 : 0xffff));
    *out_head = 2 + more;
    *out_size = (size_t)size;
    return true;
}

static void
check_message(peer_t *peer, size_t number, const char *data, size_t len)
{
    MUST(number < peer->sent_count && peer->sent[number].len == len);
    MUST(memcmp(data, peer_payload(peer->sent[number].number), len) == 0);
}

void
socket_check_heard(peer_t *peer, const char *data, size_t len)
{
    inflation_t inflation = {.begun = false};
    size_t at = 0, messages = 0, head, size;
    bool closed = false;
    while (at < len && read_size((const uint8_t *)data + at, len - at, &head, &size)) {
        unsigned first = (uint8_t)data[at], opcode = first & 15;
        bool is_control = opcode >= CV_WS_CLOSE;
        MUST(!closed && (first & 0xb0) == 0x80);
        MUST(opcode == CV_WS_TEXT || opcode == CV_WS_BINARY || (is_control && opcode <= CV_WS_PONG));
        MUST(!is_control || (size <= CV_WS_CONTROL_MAX && first < 0xc0));
        if (size > len - at - head) {
            break;
        }
        const char *payload = data + at + head;
        if (!is_control && (first & 0x40) != 0) {
            MUST(peer->deflates);
            size_t whole = inflate_payload(&inflation, peer->keeps_context, payload, size);
            check_message(peer, messages++, inflated, whole);
        } else if (!is_control) {
            check_message(peer, messages++, payload, size);
        }
        closed = opcode == CV_WS_CLOSE;
        MUST(!closed || size == 0 || size >= 2);
        MUST(!closed || messages == peer->sent_count);
        at += head + size;
    }
    if (inflation.begun) {
        inflateEnd(&inflation.stream);
    }
    MUST(at == len || peer->is_cut || peer->is_lossy || peer->heard_end);
}

/* ---- the layer above ---- */

void
socket_accept(peer_t *peer, bool has_field)
{
    cv_conn_t *conn = peer->conn;
    if (conn == NULL || !conn->is_websocket || !peer_is_answering(peer) || cv_conn_ws_respond(conn) < 0) {
        return;
    }
    if (has_field) {
        cv_conn_ws_field(conn, (cv_span_t){"connection", 10}, (cv_span_t){"close", 5});
        cv_conn_ws_field(conn, (cv_span_t){"x-a", 3}, (cv_span_t){"b", 1});
    }
    peer->is_socket = true; /* messages may come before it returns */
    peer->deflates = conn->websocket->terms.agreed;
    peer->keeps_context = conn->websocket->terms.server_context;
    peer_exchange(peer)->status = 101;
    if (cv_conn_ws_open(conn) < 0 && peer_is_answering(peer)) {
        peer->is_socket = false;
        peer_exchange(peer)->status = 0;
        cv_conn_retract(conn);
    }
}

/* The bytes of the last message that was given to anybody, once more; or others. */
void
socket_send(world_t *world, peer_t *peer, size_t len, bool owned, bool repeated)
{
    if (peer->conn == NULL || !peer->is_socket || peer->sent_count == SENT_MAX) {
        return;
    }
    if (!repeated || world->sent.len > world->budget) {
        repeated = false;
        world->sent.number++;
        world->sent.len = len < world->budget ? len : world->budget;
    }
    len = world->sent.len;
    const char *data = peer_payload(world->sent.number);
    char *owner = owned ? malloc(len + 1) : NULL;
    if (owner != NULL) {
        memcpy(owner, data, len);
    }
    cv_span_t span = {owner != NULL ? owner : data, len};
    size_t place = peer->sent_count;
    peer->sent[peer->sent_count++] = world->sent;
    bool kept, was_open = cv_conn_ws_is_open(peer->conn);
    int error = cv_conn_ws_send(peer->conn, CV_WS_BINARY, span, owner, repeated, &kept);
    MUST(error == 0 ? was_open : error == CV_CONN_EGONE || error == -ENOMEM);
    MUST(!kept || error == 0);
    world->kept += kept;
    if (!kept) {
        free(owner);
    }
    if (error < 0) {
        peer->sent_count = place;
    } else {
        world->budget -= len;
    }
}

void
socket_close(peer_t *peer, unsigned code)
{
    if (peer->conn == NULL || !peer->is_socket) {
        return;
    }
    bool was_open = cv_conn_ws_is_open(peer->conn);
    peer->has_closed |= was_open;
    peer->queue_len = was_open ? 0 : peer->queue_len;
    peer->unread = was_open ? 0 : peer->unread;
    int error = cv_conn_ws_close(peer->conn, code, (cv_span_t){"end", 3});
    MUST(error == 0 ? was_open : error == -ENOMEM || !was_open);
}

void
socket_consume(peer_t *peer, unsigned count)
{
    size_t len = 0;
    count = count < peer->queue_len ? count : peer->queue_len;
    for (unsigned i = 0; i < count; i++) {
        len += peer->queue[i];
    }
    if (count > 0) {
        memmove(peer->queue, peer->queue + count, (peer->queue_len - count) * sizeof(*peer->queue));
        peer->queue_len -= count;
        peer->unread -= len;
    }
    if (peer->conn != NULL && peer->is_socket) {
        cv_conn_ws_consumed(peer->conn, count, len);
    }
}

void
socket_settle(peer_t *peer)
{
    if (peer->conn != NULL && peer->is_socket) {
        cv_conn_ws_settle(peer->conn);
    }
}

void
socket_finish(peer_t *peer)
{
    while (peer->queue_len > 0) {
        socket_consume(peer, QUEUE_MAX);
    }
    socket_settle(peer);
    socket_close(peer, CV_WS_NORMAL);
}

void
socket_say(peer_t *peer, unsigned first, const char *data, size_t len)
{
    static const char key[] = {0x37, 0x7a, 0x21, 0x3d};
    char bytes[6 + CV_WS_CONTROL_MAX] = {(char)first, (char)(0x80 | len), key[0], key[1], key[2], key[3]};
    MUST(len <= CV_WS_CONTROL_MAX);
    for (size_t i = 0; i < len; i++) {
        bytes[6 + i] = (char)(data[i] ^ key[i % 4]);
    }
    peer_send(peer, bytes, 6 + len);
}
