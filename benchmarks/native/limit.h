/* SPDX-License-Identifier: MIT
 *
 * What the parts of limit_server share: limit_server.c is connections and the turn, limit_answers.c is HTTP,
 * limit_messages.c is WebSocket.
 *
 * Owns:    a connection its unsent and held bytes; the turn its arena.
 * Thread:  there is one.
 * Errors:  out of memory ends the program.
 */
#ifndef CUVEE_BENCHMARKS_LIMIT_H
#define CUVEE_BENCHMARKS_LIMIT_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/list.h"

#define LITERAL(text) text, sizeof(text) - 1

#define CHUNK_OPEN "4000\r\n"
#define CHUNK_CLOSE "\r\n"
#define LAST_CHUNK "0\r\n\r\n"

enum {
    CHUNK = 16384,
    CHUNKS = 100,
    FRAMED_CHUNK = sizeof(CHUNK_OPEN) - 1 + CHUNK + sizeof(CHUNK_CLOSE) - 1,
    STREAM_SIZE = CHUNKS * FRAMED_CHUNK + sizeof(LAST_CHUNK) - 1,
};

typedef enum {
    ROUTE_HELLO,
    ROUTE_ECHO,
    ROUTE_UPLOAD,
    ROUTE_STREAM,
    ROUTE_MESSAGES,  /* a WebSocket whose messages come back */
    ROUTE_BROADCAST, /* a WebSocket whose messages go to all of its kind */
    ROUTE_WRONG_METHOD,
    ROUTE_NOT_FOUND,
    ROUTE_NO_CHUNKS, /* a stream for HTTP/1.0 */
} route_t;

typedef struct limit_messages limit_messages_t;

typedef struct {
    uv_poll_t poll;
    llhttp_t parser;
    int fd;
    int watched;
    cv_list_t in_turn; /* linked while the arena holds something for it */

    /* input */
    char name[8]; /* of a field, as far as that is of interest */
    char target[16];
    size_t name_len;
    size_t target_len;
    size_t head_len;
    bool in_value;
    bool expects;  /* 100-continue */
    bool chunked;  /* so the echo is */
    bool begun;    /* the answer is, before the request is read whole */
    bool is_last;  /* this request is the connection's last */
    route_t route;
    char *held;    /* what came behind a request whose answer is long */
    size_t held_len;
    limit_messages_t *messages; /* once it is a WebSocket */

    /* output, in this order */
    char *unsent;  /* what the kernel did not take of earlier answers, from unsent_at on */
    size_t unsent_at;
    size_t unsent_len;
    size_t answer_at; /* in the arena */
    size_t answer_len;
    size_t stream_left;
} conn_t;

/* Makes a parser that answers what it is fed. */
void limit_parser_init(conn_t *conn);

/* Says that a request cannot be parsed; false where an answer to it has begun, which can only be broken off. */
bool limit_refuse(conn_t *conn, llhttp_errno_t error);

/* Writes the fields that stand in every answer anew, where the second has changed. */
void limit_refresh_date(void);

/* Adds to what a connection is sent at the end of the turn. */
void limit_say(conn_t *conn, const char *bytes, size_t len);

/* Sends everything that was said. */
void limit_end_turn(void);

/* Makes a connection a WebSocket, and says so. */
void limit_messages_open(conn_t *conn);

/* Frees what a WebSocket has, if the connection is one. */
void limit_messages_close(conn_t *conn);

/* Answers the frames of a WebSocket; they are unmasked where they stand. */
void limit_messages_take(conn_t *conn, char *data, size_t len);

#endif
