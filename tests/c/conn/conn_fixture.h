/* SPDX-License-Identifier: MIT
 *
 * A real connection on a real loop, a client's socket at its other end, and a layer above that writes down what it is
 * told: "head GET /; body abc; end; drain; release; refused 400; gone; ".
 *
 * A turn reads what came and writes what is queued, as a server's does. A Unix socket pair has no delay, so that after
 * a turn everything that was sent before it has had its effect.
 */
#ifndef CUVEE_TESTS_CONN_FIXTURE_H
#define CUVEE_TESTS_CONN_FIXTURE_H

#include "conn/conn.h"

typedef struct fixture fixture_t;

struct fixture {
    uv_loop_t loop;
    cv_conn_env_t env;
    cv_conn_t *conn;           /* the one that was opened last; dangling once it is freed */
    int client;                /* -1 once closed */
    char told[65536];          /* what the layer above was told, as text */
    size_t told_len;
    bool in_body;              /* the last thing told was body bytes */
    char heard[1 << 21];       /* what the client received, up to the last call of hear */
    size_t heard_len;
    bool heard_end;            /* ... and then FIN */
    bool heard_reset;          /* ... and then RST */
    unsigned releases;
    bool env_closed;
    /* what the layer above does when it is told, NULL for nothing */
    int (*do_head)(fixture_t *f, cv_conn_t *conn);
    int (*do_body)(fixture_t *f, cv_conn_t *conn, size_t len);
    void (*do_end)(fixture_t *f, cv_conn_t *conn);
    int (*do_websocket)(fixture_t *f, cv_conn_t *conn);
    int (*do_message)(fixture_t *f, cv_conn_t *conn, size_t len);
    void (*do_ws_end)(fixture_t *f, cv_conn_t *conn);
    void (*do_drain)(fixture_t *f, cv_conn_t *conn);
    void (*do_gone)(fixture_t *f, cv_conn_t *conn);
    void (*do_batch)(fixture_t *f);
};

/* A fixture with one open connection; no date or server field, so that answers are known byte by byte. */
fixture_t *fixture_new(void);

/* The same over TCP on the loopback interface: turns may come before the bytes do. */
fixture_t *fixture_new_tcp(void);

/* Opens one more connection; the client's end of the one before stays with the caller. */
void fixture_connect(fixture_t *f);

/* Closes everything and frees `f`. Returns 0 when the loop closed with no handle left on it and every connection's
 * memory was given back. */
int fixture_end(fixture_t *f);

void turn(fixture_t *f);

/* A turn that waits for something to happen. */
void turn_waiting(fixture_t *f);

/* Sends from the client; what does not fit into the socket is a failure of the test. */
void say(fixture_t *f, const char *text);
void say_bytes(fixture_t *f, const char *data, size_t len);

/* Receives all that is there and returns the text of it (valid until the next call). */
const char *hear(fixture_t *f);

/* Sends FIN and goes on receiving. */
void half_close(fixture_t *f);

/* Closes the client's end. */
void hang_up(fixture_t *f);

/* Closes the client's end of a TCP connection with RST. */
void reset(fixture_t *f);

/* What was told since the last call. */
const char *told(fixture_t *f);

/* Answers the open request with 200 and `body` in one piece. Returns what cv_conn_body returned. */
int answer(fixture_t *f, const char *body);

/* A do_end that answers "ok". */
void answer_ok(fixture_t *f, cv_conn_t *conn);

/* One piece of a body, copied. */
int body(fixture_t *f, const char *data, size_t len, bool final);

/* With cv_test.h: all that was told, or all that the client received, since the last look. */
#define CHECK_TOLD(f, text)                      \
    do {                                         \
        const char *cv_told = told(f);           \
        CHECK_BYTES(cv_told, strlen(cv_told), text); \
    } while (0)

#define CHECK_HEARD(f, text)                     \
    do {                                         \
        hear(f);                                 \
        CHECK_BYTES((f)->heard, (f)->heard_len, text); \
    } while (0)

#endif
