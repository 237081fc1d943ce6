/* SPDX-License-Identifier: MIT */
#include "conn/conn_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where the test itself goes wrong. */
static void
give_up(const char *what)
{
    perror(what);
    abort();
}

static fixture_t *
fixture_of(cv_conn_env_t *env)
{
    return CV_CONTAINER_OF(env, fixture_t, env);
}

__attribute__((format(printf, 2, 3))) static void
note(fixture_t *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof(f->told) - f->told_len;
    int len = vsnprintf(f->told + f->told_len, room, format, args);
    va_end(args);
    f->in_body = false;
    if (len < 0 || (size_t)len >= room) {
        give_up("told too much");
    }
    f->told_len += (size_t)len;
}

static void
on_preamble(cv_conn_t *conn, const cv_preamble_t *preamble)
{
    note(fixture_of(conn->env), "preamble %u of %zu; ", (unsigned)preamble->kind, preamble->size);
}

static int
on_head(cv_conn_t *conn, const cv_h1_head_t *head)
{
    fixture_t *f = fixture_of(conn->env);
    note(f, "head %.*s %.*s; ", (int)head->method_len, head->base + head->method, (int)head->target_len,
         head->base + head->target);
    return f->do_head != NULL ? f->do_head(f, conn) : 0;
}

/* Pieces that follow each other are written down as one: how a body is cut is nobody's business. */
static int
on_body(cv_conn_t *conn, const char *data, size_t len)
{
    fixture_t *f = fixture_of(conn->env);
    if (f->in_body) {
        f->told_len -= 2;
        note(f, "%.*s; ", (int)(len < 64 ? len : 3), len < 64 ? data : "...");
    } else {
        note(f, "body %.*s; ", (int)(len < 64 ? len : 3), len < 64 ? data : "...");
    }
    f->in_body = true;
    return f->do_body != NULL ? f->do_body(f, conn, len) : 0;
}

static void
on_end(cv_conn_t *conn)
{
    fixture_t *f = fixture_of(conn->env);
    note(f, "end; ");
    if (f->do_end != NULL) {
        f->do_end(f, conn);
    }
}

static int
on_websocket(cv_conn_t *conn, const cv_h1_head_t *head)
{
    fixture_t *f = fixture_of(conn->env);
    note(f, "websocket %.*s; ", (int)head->target_len, head->base + head->target);
    return f->do_websocket != NULL ? f->do_websocket(f, conn) : 0;
}

static int
on_message(cv_conn_t *conn, const cv_ws_event_t *message)
{
    fixture_t *f = fixture_of(conn->env);
    note(f, message->opcode == CV_WS_TEXT ? "text " : "binary ");
    note(f, "%.*s; ", (int)(message->len < 64 ? message->len : 3), message->len < 64 ? message->data : "...");
    return f->do_message != NULL ? f->do_message(f, conn, message->len) : 0;
}

static void
on_ws_end(cv_conn_t *conn, unsigned code, cv_span_t reason)
{
    fixture_t *f = fixture_of(conn->env);
    note(f, "end %u %.*s; ", code, (int)reason.len, reason.data);
    if (f->do_ws_end != NULL) {
        f->do_ws_end(f, conn);
    }
}

static void
on_drain(cv_conn_t *conn)
{
    fixture_t *f = fixture_of(conn->env);
    note(f, "drain; ");
    if (f->do_drain != NULL) {
        f->do_drain(f, conn);
    }
}

static void
on_gone(cv_conn_t *conn)
{
    fixture_t *f = fixture_of(conn->env);
    note(f, "gone; ");
    conn->app = NULL;
    if (f->do_gone != NULL) {
        f->do_gone(f, conn);
    }
}

static void
on_closed(cv_conn_t *conn)
{
    note(fixture_of(conn->env), "closed; ");
}

static void
on_refused(cv_conn_t *conn, unsigned status, const char *rule)
{
    if (rule == NULL || rule[0] == '\0') {
        give_up("a refusal without a rule");
    }
    note(fixture_of(conn->env), "refused %u; ", status);
}

static void
on_cut(cv_conn_t *conn, const char *rule)
{
    if (rule == NULL || rule[0] == '\0') {
        give_up("a cut without a rule");
    }
    note(fixture_of(conn->env), "cut; ");
}

static void
release(cv_conn_env_t *env, void *owner)
{
    fixture_t *f = fixture_of(env);
    (void)owner;
    f->releases++;
    note(f, "release; ");
}

static void
on_batch(cv_conn_env_t *env)
{
    fixture_t *f = fixture_of(env);
    note(f, "batch; ");
    if (f->do_batch != NULL) {
        f->do_batch(f);
    }
}

static const cv_conn_ops_t ops = {
    .on_preamble = on_preamble,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_websocket = on_websocket,
    .on_message = on_message,
    .on_ws_end = on_ws_end,
    .on_drain = on_drain,
    .on_closed = on_closed,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .on_cut = on_cut,
    .release = release,
    .on_batch = on_batch,
};

static fixture_t *
new_without_conn(void)
{
    fixture_t *f = calloc(1, sizeof(*f));
    if (f == NULL || uv_loop_init(&f->loop) < 0 || cv_conn_env_init(&f->env, &f->loop, &ops) < 0) {
        give_up("fixture");
    }
    f->env.date_header = false;
    f->client = -1;
    return f;
}

static void
take_pair(fixture_t *f, const int pair[2])
{
    for (int i = 0; i < 2; i++) {
        fcntl(pair[i], F_SETFL, fcntl(pair[i], F_GETFL) | O_NONBLOCK);
    }
    f->client = pair[0];
    f->heard_len = 0;
    f->heard_end = f->heard_reset = false;
    f->conn = cv_conn_new(&f->env, pair[1], f);
    if (f->conn == NULL) {
        give_up("cv_conn_new");
    }
}

void
fixture_connect(fixture_t *f)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        give_up("socketpair");
    }
    take_pair(f, pair);
}

fixture_t *
fixture_new(void)
{
    fixture_t *f = new_without_conn();
    fixture_connect(f);
    return f;
}

fixture_t *
fixture_new_tcp(void)
{
    fixture_t *f = new_without_conn();
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int pair[2] = {socket(AF_INET, SOCK_STREAM, 0), -1};
    if (bind(listener, (struct sockaddr *)&name, len) < 0 || listen(listener, 1) < 0
        || getsockname(listener, (struct sockaddr *)&name, &len) < 0
        || connect(pair[0], (struct sockaddr *)&name, len) < 0) {
        give_up("tcp pair");
    }
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
    take_pair(f, pair);
    return f;
}

static void
on_env_closed(cv_conn_env_t *env)
{
    fixture_of(env)->env_closed = true;
}

int
fixture_end(fixture_t *f)
{
    f->do_gone = NULL;
    hang_up(f);
    cv_conn_env_abort(&f->env);
    cv_conn_env_deinit(&f->env, on_env_closed);
    while (!f->env_closed) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    int left = f->env.unfreed != 0 || f->env.conn_count != 0;
    int status = uv_loop_close(&f->loop);
    free(f);
    return left ? -1 : status;
}

static void
run_turn(fixture_t *f, uv_run_mode mode)
{
    uv_run(&f->loop, mode);
    cv_conn_env_flush(&f->env);
}

/* Twice: one event may have been lost to a change of what is watched, and closed handles want a turn of their own. */
void
turn(fixture_t *f)
{
    run_turn(f, UV_RUN_NOWAIT);
    run_turn(f, UV_RUN_NOWAIT);
}

void
turn_waiting(fixture_t *f)
{
    cv_conn_env_flush(&f->env);
    run_turn(f, UV_RUN_ONCE);
}

void
say_bytes(fixture_t *f, const char *data, size_t len)
{
    if (send(f->client, data, len, MSG_NOSIGNAL) != (ssize_t)len) {
        give_up("say");
    }
}

void
say(fixture_t *f, const char *text)
{
    say_bytes(f, text, strlen(text));
}

const char *
hear(fixture_t *f)
{
    f->heard_len = 0;
    for (;;) {
        size_t room = sizeof(f->heard) - 1 - f->heard_len;
        ssize_t count = recv(f->client, f->heard + f->heard_len, room, 0);
        if (count <= 0) {
            f->heard_end = count == 0;
            f->heard_reset = count < 0 && errno == ECONNRESET;
            break;
        }
        f->heard_len += (size_t)count;
    }
    f->heard[f->heard_len] = '\0';
    return f->heard;
}

void
half_close(fixture_t *f)
{
    shutdown(f->client, SHUT_WR);
}

void
hang_up(fixture_t *f)
{
    if (f->client >= 0) {
        close(f->client);
        f->client = -1;
    }
}

void
reset(fixture_t *f)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(f->client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    hang_up(f);
}

const char *
told(fixture_t *f)
{
    static char text[sizeof(f->told)];
    memcpy(text, f->told, f->told_len);
    text[f->told_len] = '\0';
    f->told_len = 0;
    f->in_body = false;
    return text;
}

int
body(fixture_t *f, const char *data, size_t len, bool final)
{
    bool kept;
    return cv_conn_body(f->conn, data, len, final, NULL, &kept);
}

int
answer(fixture_t *f, const char *text)
{
    int status = cv_conn_respond(f->conn, 200);
    return status < 0 ? status : body(f, text, strlen(text), true);
}

void
answer_ok(fixture_t *f, cv_conn_t *conn)
{
    (void)conn;
    answer(f, "ok");
}
