/* SPDX-License-Identifier: MIT
 *
 * What limit_server says over WebSocket: every message again, to the one who sent it or to all.
 *
 * A frame is answered when it is there whole; what is kept of one that is not costs a copy. The clients of these
 * benchmarks all send the key of RFC 6455 section 1.3, whose answer is known.
 */
#include "limit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLOSE = 8,
    PING = 9,
    PONG = 10,
    HEAD_MOST = 10, /* of a frame without a key */
    KEY_LEN = 4,
    LENGTH_16 = 126,
};

struct limit_messages {
    cv_list_t hearers; /* linked if it wants to hear what others say */
    conn_t *conn;
    char *begun;       /* a frame that is not there whole */
    size_t begun_len;
};

static cv_list_t all = {&all, &all};

void
limit_messages_open(conn_t *conn)
{
    limit_messages_t *messages = calloc(1, sizeof(*messages));
    if (messages == NULL) {
        abort();
    }
    messages->conn = conn;
    cv_list_init(&messages->hearers);
    if (conn->route == ROUTE_BROADCAST) {
        cv_list_append(&all, &messages->hearers);
    }
    conn->messages = messages;
    limit_say(conn, LITERAL("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
}

void
limit_messages_close(conn_t *conn)
{
    if (conn->messages != NULL) {
        cv_list_remove(&conn->messages->hearers);
        free(conn->messages->begun);
        free(conn->messages);
        conn->messages = NULL;
    }
}

/* Eight bytes at a time: the key is repeated, and its place in the payload stays. */
static void
unmask(char *payload, size_t len, const char *key)
{
    char twice[2 * KEY_LEN];
    uint64_t mask;
    size_t at = 0;
    memcpy(twice, key, KEY_LEN);
    memcpy(twice + KEY_LEN, key, KEY_LEN);
    memcpy(&mask, twice, sizeof(mask));
    for (; at + sizeof(mask) <= len; at += sizeof(mask)) {
        uint64_t word;
        memcpy(&word, payload + at, sizeof(word));
        word ^= mask;
        memcpy(payload + at, &word, sizeof(word));
    }
    for (; at < len; at++) {
        payload[at] ^= twice[at % KEY_LEN];
    }
}

/* Says to all what stands in `head` and `payload`. One that does not read misses it. */
static void
say_to_all(const char *head, size_t head_len, const char *payload, size_t len)
{
    for (cv_list_t *link = all.next; link != &all; link = link->next) {
        conn_t *conn = CV_CONTAINER_OF(link, limit_messages_t, hearers)->conn;
        if (conn->unsent == NULL) {
            limit_say(conn, head, head_len);
            limit_say(conn, payload, len);
        }
    }
}

/* `head_len` bytes of the frame's head go back as they came, but for the bit that says that a key follows. */
static void
answer(conn_t *conn, char *head, size_t head_len, const char *payload, size_t len)
{
    int opcode = head[0] & 0x0f;
    head[1] &= 0x7f;
    if (opcode == PONG) {
        return;
    }
    if (opcode == PING) {
        head[0] = (char)(0x80 | PONG);
    }
    if (conn->route == ROUTE_BROADCAST && opcode < CLOSE) {
        limit_end_turn(); /* what one is told in a turn stands together */
        say_to_all(head, head_len, payload, len);
        return;
    }
    limit_say(conn, head, head_len);
    limit_say(conn, payload, len);
    conn->is_last = opcode == CLOSE;
}

/* Bytes of a frame's head before the key, which its second byte tells. */
static size_t
head_len_of(const char *data)
{
    int len = data[1] & 0x7f;
    if (len < LENGTH_16) {
        return 2;
    }
    return len == LENGTH_16 ? 4 : HEAD_MOST;
}

/* Returns the bytes of the frame at the front, 0 if it is not there whole. */
static size_t
take_frame(conn_t *conn, char *data, size_t left)
{
    if (left < 2) {
        return 0;
    }
    size_t len = data[1] & 0x7f;
    size_t head_len = head_len_of(data);
    if (left < head_len + KEY_LEN) {
        return 0;
    }
    if (head_len > 2) {
        len = 0;
        for (size_t i = 2; i < head_len; i++) {
            len = len << 8 | (unsigned char)data[i];
        }
    }
    if (left - head_len - KEY_LEN < len) {
        return 0;
    }
    char *payload = data + head_len + KEY_LEN;
    unmask(payload, len, data + head_len);
    answer(conn, data, head_len, payload, len);
    return head_len + KEY_LEN + len;
}

static size_t
take_frames(conn_t *conn, char *data, size_t len)
{
    size_t at = 0;
    for (size_t taken = 1; taken > 0 && !conn->is_last && conn->messages != NULL; at += taken) {
        taken = take_frame(conn, data + at, len - at);
    }
    return at;
}

void
limit_messages_take(conn_t *conn, char *data, size_t len)
{
    limit_messages_t *messages = conn->messages;
    char *begun = messages->begun;
    if (begun != NULL) {
        begun = realloc(begun, messages->begun_len + len);
        if (begun == NULL) {
            abort();
        }
        memcpy(begun + messages->begun_len, data, len);
        data = begun;
        len += messages->begun_len;
        messages->begun = NULL;
    }
    size_t taken = take_frames(conn, data, len);
    if (conn->messages != NULL && taken < len) {
        char *rest = malloc(len - taken);
        if (rest == NULL) {
            abort();
        }
        memcpy(rest, data + taken, len - taken);
        messages->begun = rest;
        messages->begun_len = len - taken;
    }
    free(begun);
}
