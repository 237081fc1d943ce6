/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/conn_private.h"
#include "conn_world.h"
#include "fuzz.h"
#include "fuzz_file.h"

enum { ALPHABET = 26 };

static char pattern[FILE_MAX + ALPHABET];

void
peer_prepare(void)
{
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (char)('a' + i % ALPHABET);
    }
    fuzz_file_fill(pattern, sizeof(pattern));
}

/* The byte that a body has at `at`. */
static char
body_byte(size_t exchange, size_t at)
{
    return (char)('a' + (exchange * 7 + at) % ALPHABET);
}

static const char *
body_at(size_t exchange, size_t at)
{
    return pattern + (exchange * 7 + at) % ALPHABET;
}

exchange_t *
peer_exchange(peer_t *peer)
{
    return peer->exchange_count > 0 ? &peer->exchanges[peer->exchange_count - 1] : NULL;
}

bool
peer_is_answering(const peer_t *peer)
{
    return peer->conn != NULL && cv_conn_is_answering(peer->conn);
}

bool
peer_is_head_held(const peer_t *peer)
{
    return !peer->conn->response_started || peer->conn->response.head_open;
}

/* ---- the layer above ---- */

void
peer_respond(peer_t *peer, unsigned status)
{
    if (peer->conn == NULL) {
        return;
    }
    int error = cv_conn_respond(peer->conn, status);
    MUST(error <= 0 && (error != CV_H1_WSTATUS || status < 100 || status > 999));
    if (error == 0) {
        peer_exchange(peer)->status = status;
    }
}

/* What a piece of a body that was given means for the answer. */
static void
note_piece(world_t *world, peer_t *peer, size_t len, bool final, int error, bool was_answering)
{
    MUST(error <= 0 && (was_answering || error == CV_CONN_EGONE || error == -ENOMEM));
    if (error == 0 || error == CV_H1_WLONG || error == CV_H1_WSHORT) {
        exchange_t *exchange = peer_exchange(peer);
        bool is_open = peer->conn != NULL && cv_conn_awaits_trailers(peer->conn);
        world->budget -= len;
        exchange->given += len;
        exchange->is_complete = error == 0 && final && !is_open;
        peer->is_over |= error < 0;
    }
}

void
peer_body(world_t *world, peer_t *peer, size_t len, bool final, bool owned)
{
    if (peer->conn == NULL) {
        return;
    }
    size_t number = peer->exchange_count == 0 ? 0 : peer->exchange_count - 1;
    exchange_t *exchange = peer_exchange(peer);
    bool kept, was_answering = peer_is_answering(peer);
    len = len < world->budget ? len : world->budget;
    const char *data = body_at(number, exchange == NULL ? 0 : exchange->given);
    char *owner = owned ? malloc(len + 1) : NULL;
    if (owner != NULL) {
        memcpy(owner, data, len);
    }
    int error = cv_conn_body(peer->conn, owner != NULL ? owner : data, len, final, owner, &kept);
    world->kept += kept;
    if (!kept) {
        free(owner);
    }
    note_piece(world, peer, len, final, error, was_answering);
}

/* The file has the same bytes as the pattern; one that is asked for more than it has cuts the connection. */
void
peer_file(world_t *world, peer_t *peer, size_t len, bool final)
{
    if (peer->conn == NULL) {
        return;
    }
    exchange_t *exchange = peer_exchange(peer);
    bool was_answering = peer_is_answering(peer);
    size_t given = exchange == NULL ? 0 : exchange->given;
    size_t offset = (size_t)(body_at(peer->exchange_count == 0 ? 0 : peer->exchange_count - 1, given) - pattern);
    len = len < world->budget ? len : world->budget;
    peer->is_lossy |= offset + len > sizeof(pattern);
    int error = cv_conn_file(peer->conn, fuzz_file_dup(), offset, len, final);
    note_piece(world, peer, len, final, error, was_answering);
}

/* A line of a trailer section or an interim response, if it may be one. */
static cv_buffer_t
field_line(const char *name, bool is_trailer)
{
    cv_buffer_t lines = CV_BUFFER_INIT;
    int error = cv_h1_field_line(&lines, name, strlen(name), "later", 5, is_trailer);
    MUST((error == 0) == (lines.len > 0));
    return lines;
}

void
peer_trailers(peer_t *peer, const char *name, bool final)
{
    if (peer->conn == NULL) {
        return;
    }
    cv_buffer_t lines = field_line(name, true);
    bool awaited = cv_conn_awaits_trailers(peer->conn);
    int error = cv_conn_trailers(peer->conn, &lines, final);
    MUST(error < 0 || awaited);
    if (error == 0 && final) {
        peer_exchange(peer)->is_complete = true;
    }
    cv_buffer_deinit(&lines);
}

void
peer_interim(peer_t *peer, const char *name)
{
    if (peer->conn == NULL) {
        return;
    }
    cv_buffer_t lines = field_line(name, false);
    int error = cv_conn_interim(peer->conn, INTERIM, &lines);
    MUST(error <= 0);
    cv_buffer_deinit(&lines);
}

void
peer_refuse(peer_t *peer, unsigned status, const char *text, bool busy)
{
    if (!peer_is_answering(peer)) {
        return;
    }
    bool held = peer_is_head_held(peer);
    exchange_t before = *peer_exchange(peer);
    if (held) {
        unsigned said = busy ? 503 : status;
        *peer_exchange(peer) =
            (exchange_t){.to = before.to, .status = said, .is_own = true, .is_complete = true};
    }
    peer->is_over = true;
    if (busy) {
        cv_conn_refuse_busy(peer->conn);
    } else {
        cv_conn_refuse(peer->conn, status, text);
    }
}

void
peer_retract(peer_t *peer)
{
    if (peer->conn == NULL) {
        return;
    }
    bool held = peer_is_answering(peer) && peer->conn->response.head_open;
    cv_conn_retract(peer->conn);
    if (held) {
        peer_exchange(peer)->status = 0;
    }
}

void
peer_fail(peer_t *peer)
{
    if (peer->conn != NULL) {
        peer->is_over |= peer_is_answering(peer);
        cv_conn_fail(peer->conn);
    }
}

void
peer_close(peer_t *peer, bool reset)
{
    if (peer->conn != NULL) {
        peer->is_lossy = true;
        cv_conn_close(peer->conn, reset);
    }
}

/* ---- the client ---- */

void
peer_send(peer_t *peer, const char *data, size_t len)
{
    if (peer->client >= 0 && len > 0) {
        (void)!send(peer->client, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

void
peer_hear(peer_t *peer, size_t most)
{
    while (peer->client >= 0 && most > 0 && !peer->heard_end) {
        size_t room = sizeof(peer->heard) - peer->heard_len;
        ssize_t count = recv(peer->client, peer->heard + peer->heard_len, most < room ? most : room, MSG_DONTWAIT);
        MUST(room > 0);
        if (count <= 0) {
            peer->heard_end = count == 0 || errno != EAGAIN;
            return;
        }
        peer->heard_len += (size_t)count;
        most -= (size_t)count;
    }
}

void
peer_hang_up(peer_t *peer)
{
    if (peer->client >= 0) {
        peer->is_lossy = true;
        close(peer->client);
        peer->client = -1;
    }
}

void
peer_check_heard(peer_t *peer)
{
    static answer_t answer;
    static char body[OUTPUT_MAX];
    size_t at = 0;
    for (size_t i = 0; i < peer->exchange_count; i++) {
        exchange_t *exchange = &peer->exchanges[i];
        do { /* a 1xx that is no answer leaves the connection open */
            at += answer_read(&answer, exchange->to, peer->heard + at, peer->heard_len - at, peer->heard_end, body,
                              sizeof(body));
        } while (answer.has_head && answer.status < 200 && answer.status != 101 && !answer.says_close);
        bool is_interim = answer.status < 200 && !answer.has_head; /* or nothing at all */
        MUST(is_interim || answer.status == exchange->status);
        MUST(exchange->is_own || answer.body_len <= exchange->given);
        for (size_t k = 0; !exchange->is_own && k < answer.body_len; k++) {
            MUST(answer.body[k] == body_byte(i, k));
        }
        MUST(answer.is_complete || exchange->is_guess || i + 1 == peer->exchange_count || peer->is_lossy);
        if (!answer.is_complete) {
            MUST(peer->is_lossy || !exchange->is_complete || exchange->is_guess);
            break;
        }
    }
    MUST(at == peer->heard_len);
}
