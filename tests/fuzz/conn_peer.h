/* SPDX-License-Identifier: MIT
 *
 * One connection with a client's socket at its other end, and what the layer above answers on it, noted down so that
 * what the client hears can be held against it.
 *
 * A body that the layer above sends has known bytes: those at a place are the same in every run.
 */
#ifndef CUVEE_TESTS_FUZZ_CONN_PEER_H
#define CUVEE_TESTS_FUZZ_CONN_PEER_H

#include "answer.h"
#include "conn/conn.h"

enum { EXCHANGES_MAX = 512, /* requests of one connection: an input is too short for more */
       FILE_MAX = 160000,   /* bytes of the file: more than a socket takes at once */
       INTERIM = 103,       /* the interim response that the layer above sends */
       OUTPUT_MAX = 1 << 19 };

typedef struct world world_t;

/* One request, and its answer as far as the layer above gave it. */
typedef struct {
    answer_to_t to;
    unsigned status;      /* 0: no answer began */
    size_t given;         /* body bytes that were taken */
    bool is_own;          /* the connection's own answer: its body is a text */
    bool is_complete;     /* the client has to get it whole */
    bool is_guess;        /* refused before anybody knew what it asked: it may have been HEAD */
} exchange_t;

typedef struct {
    cv_conn_t *conn;      /* NULL once it is gone */
    int client;           /* -1 once closed, or not opened */
    exchange_t exchanges[EXCHANGES_MAX];
    size_t exchange_count;
    bool is_lossy;        /* something happened behind which answers may be cut */
    bool is_over;         /* refused or closed: no request may follow */
    size_t unread;        /* body bytes that were told and not consumed */
    char *room;           /* memory for a body that on_body_room gave */
    char heard[OUTPUT_MAX];
    size_t heard_len;
    bool heard_end;
} peer_t;

/* Makes the bytes of every body, and the file. Called once. */
void peer_prepare(void);

/* The exchange that came last, or NULL. */
exchange_t *peer_exchange(peer_t *peer);

/* True while the layer above may answer. */
bool peer_is_answering(const peer_t *peer);

/* True while the head of the answer can still be taken back. */
bool peer_is_head_held(const peer_t *peer);

/* What the client heard is what the layer above and the connection answered, in order; the last answer may be cut. */
void peer_check_heard(peer_t *peer);

/* The client. */
void peer_send(peer_t *peer, const char *data, size_t len);
void peer_hear(peer_t *peer, size_t most);
void peer_hang_up(peer_t *peer);

/* The layer above. All of these may be called at any time, and do nothing for a peer whose connection is gone. */
void peer_respond(peer_t *peer, unsigned status);
void peer_body(world_t *world, peer_t *peer, size_t len, bool final, bool owned);
void peer_file(world_t *world, peer_t *peer, size_t len, bool final);
void peer_trailers(peer_t *peer, const char *name, bool final);
void peer_interim(peer_t *peer, const char *name);
void peer_refuse(peer_t *peer, unsigned status, const char *text, bool busy);
void peer_retract(peer_t *peer);
void peer_fail(peer_t *peer);
void peer_close(peer_t *peer, bool reset);

#endif
