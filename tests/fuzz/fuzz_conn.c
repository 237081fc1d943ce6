/* SPDX-License-Identifier: MIT
 *
 * One connection under a script: the input says what the client sends, when it closes, and what the layer above does.
 *
 * With libFuzzer: compile with -fsanitize=fuzzer -DCUVEE_LIBFUZZER. Without it the program has a main of its own:
 *
 *     fuzz_conn FILE...                 runs each file once
 *     fuzz_conn -n COUNT [-s SEED]      runs COUNT scripts made from requests, cut, joined and broken at random
 *
 * What must hold: no sanitizer has a word to say; a request is handed up only when the one before it is answered;
 * nothing is told after on_gone, which comes once; every referenced piece is released; the loop closes clean.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/conn.h"

/* What a script's step may be; its byte is taken modulo STEPS. */
enum { SEND,
       TURN,
       RESPOND,
       BODY,
       BIG_BODY,
       FINAL,
       CONSUME,
       WANT_BODY,
       REFUSE,
       FAIL,
       CLOSE,
       ADVANCE,
       FLUSH,
       HEAR,
       FIN,
       HANG_UP,
       DRAIN,
       EXPIRE,
       CALLBACK,
       STEPS };

static uv_loop_t loop;
static cv_conn_env_t env;
static cv_conn_t *conn;
static int client;
static bool is_open, is_gone, env_closed;
static int callback_action; /* what the next callback does, 0 for nothing */
static int kept_count, release_count;
static size_t unread;
static char big[20000];

static void
answer(bool final, const char *data, size_t len)
{
    bool kept = false;
    if (is_gone) {
        return;
    }
    cv_conn_respond(conn, 200);
    int status = cv_conn_body(conn, data, len, final, &env, &kept);
    kept_count += kept;
    if (final || status < 0) {
        is_open = is_open && conn->state == CV_CONN_OPEN && !conn->response_complete;
    }
}

/* What a callback may do besides returning. */
static int
act(void)
{
    int action = callback_action;
    callback_action = 0;
    switch (action % 8) {
    case 1:
        return -1;
    case 2:
        cv_conn_close(conn, false);
        return 0;
    case 3:
        cv_conn_refuse(conn, 503, "no");
        return 0;
    case 4:
        answer(true, "ok", 2);
        return 0;
    case 5:
        answer(true, "ok", 2);
        cv_conn_env_flush(&env);
        return 0;
    case 6:
        cv_conn_fail(conn);
        return 0;
    case 7:
        answer(false, big, sizeof(big));
        cv_conn_flush(conn);
        return 0;
    default:
        return 0;
    }
}

static int
on_head(cv_conn_t *from, const cv_h1_head_t *head)
{
    assert(from == conn && !is_gone);
    assert(!is_open || conn->response_complete || !"two requests are open");
    assert(head->size > 0);
    is_open = true;
    unread = 0;
    return act();
}

static int
on_body(cv_conn_t *from, const char *data, size_t len)
{
    assert(from == conn && !is_gone && len > 0 && data != NULL && is_open);
    unread += len;
    return act();
}

static void
on_end(cv_conn_t *from)
{
    assert(from == conn && !is_gone && is_open);
    act();
}

static void
on_drain(cv_conn_t *from)
{
    assert(from == conn && !is_gone && is_open);
    act();
}

static void
on_gone(cv_conn_t *from)
{
    assert(from == conn && !is_gone);
    is_gone = true;
    is_open = false;
}

static void
on_refused(cv_conn_t *from, unsigned status, const char *rule)
{
    assert(from == conn && !is_gone && rule != NULL && (status == 0 || (status >= 400 && status < 600)));
}

static void
release(cv_conn_env_t *from, void *owner)
{
    assert(from == &env && owner == &env);
    release_count++;
}

static void
on_cut(cv_conn_t *from, const char *rule)
{
    assert(from == conn && !is_gone && rule != NULL);
}

static const cv_conn_ops_t ops = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .on_cut = on_cut,
    .release = release,
};

static void
on_env_closed(cv_conn_env_t *from)
{
    env_closed = from == &env;
}

static void
turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    cv_conn_env_flush(&env);
}

static void
hear(void)
{
    static char bytes[65536];
    while (client >= 0 && recv(client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
}

static void
hang_up(void)
{
    if (client >= 0) {
        close(client);
        client = -1;
    }
}

/* The memory of a closed connection goes with the turn after: no call may name it then. */
static bool
is_usable(void)
{
    return env.unfreed > 0;
}

static void
expire(void)
{
    if (is_usable() && cv_deadline_is_set(&conn->deadline)) {
        cv_deadline_clear(&conn->deadline);
        env.deadlines.on_due(&env.deadlines, &conn->deadline);
    }
}

/* Steps that call the connection. */
static void
call_step(int step, uint8_t argument)
{
    switch (step) {
    case RESPOND:
        cv_conn_respond(conn, argument == 0 ? 99 : 100 + argument * 3u);
        break;
    case BODY:
        answer(false, big, argument);
        break;
    case BIG_BODY:
        answer(false, big, 4000u + argument * 60u);
        break;
    case FINAL:
        answer(true, big, argument);
        break;
    case CONSUME:
        cv_conn_consumed(conn, unread);
        unread = 0;
        break;
    case WANT_BODY:
        cv_conn_want_body(conn);
        break;
    case REFUSE:
        cv_conn_refuse(conn, 400 + argument, argument % 2 ? "text" : NULL);
        break;
    case FAIL:
        cv_conn_fail(conn);
        break;
    case CLOSE:
        cv_conn_close(conn, argument % 2);
        break;
    case ADVANCE:
        cv_conn_advance(conn);
        break;
    default:
        cv_conn_flush(conn);
        break;
    }
}

static void
take_step(int step, uint8_t argument)
{
    switch (step) {
    case TURN:
        turn();
        break;
    case HEAR:
        hear();
        break;
    case FIN:
        if (client >= 0) {
            shutdown(client, SHUT_WR);
        }
        break;
    case HANG_UP:
        hang_up();
        break;
    case DRAIN:
        cv_conn_env_drain(&env);
        break;
    case EXPIRE:
        expire();
        break;
    case CALLBACK:
        callback_action = argument;
        break;
    default:
        if (is_usable()) {
            call_step(step, argument);
        }
        break;
    }
}

static void
set_up(uint8_t options)
{
    int pair[2];
    is_open = is_gone = env_closed = false;
    callback_action = kept_count = release_count = 0;
    unread = 0;
    uv_loop_init(&loop);
    int status = cv_conn_env_init(&env, &loop, &ops);
    assert(status == 0);
    env.half_close = options & 1;
    env.read_high = options & 2 ? 16 : 65536;
    env.write_high = options & 4 ? 100 : 65536;
    env.write_low = options & 4 ? 10 : 16384;
    env.read_buffer_size = options & 8 ? 7 : env.read_buffer_size;
    env.limits.head = options & 16 ? 128 : env.limits.head;
    status = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    assert(status == 0);
    int size = 4096;
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    client = pair[0];
    conn = cv_conn_new(&env, pair[1], NULL);
    assert(conn != NULL);
}

static void
tear_down(void)
{
    hang_up();
    cv_conn_env_abort(&env);
    assert(is_gone && env.conn_count == 0 && kept_count == release_count);
    cv_conn_env_deinit(&env, on_env_closed);
    while (!env_closed) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    int status = uv_loop_close(&loop);
    assert(status == 0 && env.unfreed == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A script: one byte of options, then steps of two bytes, step and argument; SEND is followed by its bytes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    set_up(data[0]);
    for (size_t at = 1; at + 2 <= size;) {
        int step = data[at] % STEPS;
        uint8_t argument = data[at + 1];
        at += 2;
        if (step != SEND) {
            take_step(step, argument);
            continue;
        }
        size_t len = argument < size - at ? argument : size - at;
        if (client >= 0 && len > 0) {
            (void)!send(client, data + at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        at += len;
    }
    tear_down();
    return 0;
}

#ifndef CUVEE_LIBFUZZER

static uint64_t random_state;

static uint32_t
random_below(uint32_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % bound;
}

static const char *const requests[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /x?y HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n01234567890123456789",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: v\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nbehind",
    "BAD\r\n\r\n",
    "\r\n\r\n",
    "GET / HTTP/1.1\r\n",
};

/* Sends one request in pieces, with other steps between them. */
static size_t
append_request(uint8_t *script, size_t at)
{
    const char *text = requests[random_below(sizeof(requests) / sizeof(requests[0]))];
    size_t len = strlen(text);
    while (len > 0) {
        size_t piece = 1 + random_below((uint32_t)(len < 200 ? len : 200));
        script[at++] = SEND;
        script[at++] = (uint8_t)piece;
        memcpy(script + at, text, piece);
        if (random_below(40) == 0) {
            script[at + random_below((uint32_t)piece)] = (uint8_t)random_below(256);
        }
        at += piece;
        text += piece;
        len -= piece;
        if (random_below(2)) {
            script[at++] = TURN;
            script[at++] = 0;
        }
    }
    return at;
}

/* Mostly steps that go on; those that end the connection are rare, or nothing would be seen behind them. */
static uint8_t
random_step(void)
{
    static const uint8_t common[] = {TURN, TURN, TURN, BODY, BIG_BODY, FINAL, FINAL, FINAL, CONSUME, WANT_BODY, ADVANCE,
                                     FLUSH, HEAR, CALLBACK, CALLBACK};
    static const uint8_t rare[] = {RESPOND, REFUSE, FAIL, CLOSE, FIN, HANG_UP, DRAIN, EXPIRE};
    return random_below(12) ? common[random_below(sizeof(common))] : rare[random_below(sizeof(rare))];
}

static void
run_random(void)
{
    uint8_t script[16384];
    size_t at = 0;
    script[at++] = (uint8_t)random_below(256);
    while (at < sizeof(script) - 4096 && random_below(20)) {
        at = append_request(script, at);
        for (uint32_t i = random_below(6); i > 0; i--) {
            script[at++] = random_step();
            script[at++] = (uint8_t)random_below(256);
        }
    }
    LLVMFuzzerTestOneInput(script, at);
}

static int
run_file(const char *path)
{
    static uint8_t script[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t len = fread(script, 1, sizeof(script), file);
    fclose(file);
    LLVMFuzzerTestOneInput(script, len);
    return 0;
}

int
main(int argc, char **argv)
{
    long count = 0;
    int status = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) {
            count = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) {
            random_state = strtoull(argv[++i], NULL, 10);
        } else {
            status |= run_file(argv[i]);
        }
    }
    for (long i = 0; i < count; i++) {
        uint64_t seed = random_state;
        fprintf(stderr, "\rscript from seed %llu", (unsigned long long)seed);
        run_random();
    }
    fprintf(stderr, "\n%ld scripts\n", count);
    return status;
}

#endif
