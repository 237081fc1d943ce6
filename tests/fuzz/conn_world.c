/* SPDX-License-Identifier: MIT */
#include "conn_world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/conn_private.h"
#include "fuzz.h"
#include "fuzz_clock.h"
#include "fuzz_file.h"

enum { BODY_READ = 131072, /* the most that is read into memory of the layer above's own */
       OUTPUT_BUDGET = 1 << 18 };

static world_t *
world_of(cv_conn_env_t *env)
{
    return CV_CONTAINER_OF(env, world_t, env);
}

__attribute__((format(printf, 2, 3))) static void
tell(world_t *world, const char *format, ...)
{
    if (world->told == NULL) {
        return;
    }
    char line[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t shown = (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;
    MUST(len >= 0 && cv_buffer_append(world->told, line, shown) == 0);
}

/* Lets the script act, and returns what the callback is to return. */
static int
act(world_t *world, peer_t *peer)
{
    world->verdict = 0;
    if (world->act != NULL) {
        world->act(world, peer);
    }
    int verdict = world->verdict;
    world->verdict = 0;
    return verdict;
}

/* A callback failed: the connection answers 500, if it can still answer. */
static int
judged(peer_t *peer, int verdict)
{
    if (verdict < 0 && peer_is_answering(peer) && !cv_conn_is_dropping(peer->conn)) {
        exchange_t *exchange = peer_exchange(peer);
        if (peer_is_head_held(peer)) {
            exchange->status = 500;
            exchange->is_own = exchange->is_complete = true;
        }
    }
    return verdict;
}

static void
on_preamble(cv_conn_t *conn, const cv_preamble_t *preamble)
{
    peer_t *peer = conn->app;
    world_t *world = world_of(conn->env);
    MUST(peer->conn == conn && peer == &world->peers[0] && peer->exchange_count == 0);
    tell(world, "\npreamble %u %u", (unsigned)preamble->kind, preamble->port);
}

static int
on_head(cv_conn_t *conn, const cv_h1_head_t *head)
{
    peer_t *peer = conn->app;
    world_t *world = world_of(conn->env);
    MUST(peer->conn == conn && !peer->is_over);
    MUST(peer->exchange_count == 0 || peer_exchange(peer)->is_complete);
    MUST(peer->exchange_count < EXCHANGES_MAX);
    MUST(conn->queued <= conn->env->write_high); /* who does not read is not answered more */
    MUST(head->size <= conn->env->limits.head && head->field_count <= conn->env->limits.fields);
    exchange_t *exchange = &peer->exchanges[peer->exchange_count++];
    *exchange = (exchange_t){.to = {head->is_head, head->is_connect}};
    peer->unread = 0;
    world->has_expectation |= head->expect_continue;
    tell(world, "\nhead %.*s %.*s ", (int)head->method_len, head->base + head->method, (int)head->target_len,
         head->base + head->target);
    world->told_head = world->told != NULL ? world->told->len : 0;
    return judged(peer, act(world, peer));
}

static char *
on_body_room(cv_conn_t *conn, size_t len)
{
    peer_t *peer = conn->app;
    MUST(peer->conn == conn && len > 0 && len <= BODY_READ);
    if (!world_of(conn->env)->gives_room) {
        return NULL;
    }
    free(peer->room);
    peer->room = malloc(len);
    return peer->room;
}

static int
on_body(cv_conn_t *conn, const char *data, size_t len)
{
    peer_t *peer = conn->app;
    world_t *world = world_of(conn->env);
    MUST(peer->conn == conn && len > 0 && peer_is_answering(peer));
    char last = data[len - 1]; /* under ASan: all of it is there */
    (void)last;
    peer->unread += len;
    if (world->told != NULL) {
        MUST(cv_buffer_append(world->told, data, len) == 0);
    }
    return judged(peer, act(world, peer));
}

static void
on_end(cv_conn_t *conn)
{
    peer_t *peer = conn->app;
    world_t *world = world_of(conn->env);
    MUST(peer->conn == conn && peer_is_answering(peer) && conn->request_complete);
    tell(world, " end");
    world->told_head = 0;
    act(world, peer);
    if (world->answers) {
        peer_respond(peer, 200);
        peer_body(world, peer, 5 + peer->exchange_count % 3, true, false);
    }
}

static void
on_drain(cv_conn_t *conn)
{
    peer_t *peer = conn->app;
    MUST(peer->conn == conn && peer_is_answering(peer) && conn->queued <= conn->env->write_low);
    act(world_of(conn->env), peer);
}

static void
on_gone(cv_conn_t *conn)
{
    peer_t *peer = conn->app;
    MUST(peer->conn == conn);
    act(world_of(conn->env), peer);
    peer->conn = NULL;
    peer->is_over = true;
}

static void
on_refused(cv_conn_t *conn, unsigned status, const char *rule)
{
    peer_t *peer = conn->app;
    world_t *world = world_of(conn->env);
    MUST(peer->conn == conn && !peer->is_over && rule[0] != '\0');
    MUST(status == 0 || (status >= 400 && status < 600));
    if (world->told != NULL && world->told_head != 0) {
        world->told->len = world->told_head; /* how much of a body comes before its fault is found, the cuts decide */
    }
    tell(world, "\nrefused %u %s", status, rule);
    peer->is_over = true;
    if (status == 0) {
        return;
    }
    if (peer->exchange_count == 0 || peer_exchange(peer)->is_complete) {
        MUST(peer->exchange_count < EXCHANGES_MAX);
        peer->exchanges[peer->exchange_count++] = (exchange_t){.is_guess = true};
    }
    exchange_t *exchange = peer_exchange(peer);
    exchange->status = status;
    exchange->is_own = true;
    exchange->is_complete = !exchange->is_guess;
}

static void
on_cut(cv_conn_t *conn, const char *rule)
{
    peer_t *peer = conn->app;
    MUST(peer->conn == conn && rule[0] != '\0');
    peer->is_lossy = true;
}

static void
release(cv_conn_env_t *env, void *owner)
{
    world_t *world = world_of(env);
    world->released++;
    MUST(world->released <= world->kept + 1); /* one may be let go before it is known to be kept */
    free(owner);
    if (world->act != NULL) {
        world->act(world, NULL);
    }
}

static void
on_batch(cv_conn_env_t *env)
{
    cv_conn_env_flush(env);
}

static void
on_due(cv_conn_env_t *env, cv_deadline_t *deadline)
{
    world_t *world = world_of(env);
    MUST(deadline == &world->request);
    for (size_t i = 0; i < PEERS; i++) {
        peer_refuse(&world->peers[i], 504, NULL, false);
    }
}

static void
on_room(cv_conn_env_t *env)
{
    MUST(env->conn_count < env->conn_limit);
}

static const cv_conn_ops_t ops = {
    .on_preamble = on_preamble,
    .on_head = on_head,
    .on_body_room = on_body_room,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .on_cut = on_cut,
    .release = release,
    .on_batch = on_batch,
    .on_due = on_due,
    .on_room = on_room,
};

void
world_open(world_t *world)
{
    memset(world, 0, offsetof(world_t, peers));
    for (size_t i = 0; i < PEERS; i++) {
        peer_t *peer = &world->peers[i];
        peer->conn = NULL;
        peer->client = -1;
        peer->room = NULL;
        peer->exchange_count = peer->heard_len = peer->unread = 0;
        peer->is_lossy = peer->is_over = peer->heard_end = false;
    }
    memset(&world->answers, 0, sizeof(*world) - offsetof(world_t, answers));
    world->budget = OUTPUT_BUDGET;
    fuzz_clock_reset();
    fuzz_file_set_cached(true);
    MUST(uv_loop_init(&world->loop) == 0);
    MUST(cv_conn_env_init(&world->env, &world->loop, &ops) == 0);
    cv_deadline_init(&world->request);
    cv_deadlines_configure(&world->env.deadlines, CV_CONN_REQUEST, 7000);
}

void
world_connect(world_t *world, peer_t *peer)
{
    int pair[2], size = 4096;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    peer->client = pair[0];
    peer->conn = cv_conn_new(&world->env, pair[1], peer);
    if (world->has_preambles && peer->conn != NULL) {
        cv_conn_expect_preamble(peer->conn, peer == &world->peers[0]);
    }
}

void
world_turn(world_t *world)
{
    uv_run(&world->loop, UV_RUN_NOWAIT);
    cv_conn_env_flush(&world->env);
}

/* The queue's counters say what is in it. */
static void
check_queue(const cv_conn_t *conn)
{
    size_t total = 0, copied = 0;
    for (uint32_t i = 0; i < conn->segment_count; i++) {
        const cv_segment_t *segment = &conn->segments[conn->segment_first + i];
        MUST(segment->len > 0 && (segment->data == NULL) == (segment->owner == NULL));
        total += segment->len;
        copied += segment->data == NULL && segment->file == NULL ? segment->len : 0;
    }
    MUST(conn->segment_first + conn->segment_count <= conn->segment_cap);
    MUST(conn->output_start <= conn->output_ready && conn->output_ready <= conn->output.len);
    MUST(conn->output.len <= conn->output.cap);
    MUST(conn->queued == (conn->segment_count > 0 ? total : conn->output_ready - conn->output_start));
    MUST(conn->segment_count == 0 || copied == conn->output_ready - conn->output_start);
}

/* What a peer can make a connection keep has an end, and somebody sees to it that it goes on. */
static void
check_conn(const world_t *world, const cv_conn_t *conn)
{
    const cv_conn_env_t *env = &world->env;
    size_t kept = conn->state == CV_CONN_READ_HEAD ? env->limits.head
        : conn->state == CV_CONN_PREAMBLE          ? CV_PREAMBLE_V2_MOST
                                                   : env->read_high;
    size_t unread = env->read_high + env->read_buffer_size;
    MUST(conn->state != CV_CONN_CLOSED && conn->env == env && !conn->parsing);
    MUST(conn->input_start <= conn->input.len && cv_conn_waiting(conn) <= kept + env->read_buffer_size);
    MUST(conn->unread <= unread || (world->gives_room && conn->unread <= BODY_READ));
    MUST(conn->state < CV_CONN_LINGERING || conn->queued == 0);
    bool has_work = conn->queued > 0 && conn->state < CV_CONN_LINGERING;
    bool is_seen_to = conn->transport.writing || cv_list_is_linked(&conn->flush_node) || fuzz_file_waiting() > 0;
    MUST(!has_work || is_seen_to);
    check_queue(conn);
}

void
world_check(world_t *world)
{
    cv_conn_env_t *env = &world->env;
    unsigned count = 0;
    for (cv_list_t *node = env->conns.next; node != &env->conns; node = node->next, count++) {
        check_conn(world, CV_CONTAINER_OF(node, cv_conn_t, node));
    }
    MUST(count == env->conn_count && count <= env->unfreed && env->unfreed <= PEERS + fuzz_file_waiting());
    MUST(env->spare_output_count <= CV_CONN_SPARE_OUTPUT && env->spare_parser_count <= CV_CONN_SPARE_PARSERS);
    MUST(world->released <= world->kept);
    for (int i = 0; i < CV_LIMITS; i++) {
        MUST(env->limited[i] == 0 || cv_limit_name((cv_limit_t)i)[0] != '\0');
    }
}

/* Every open answer is completed, until there is none. */
static void
end_answers(world_t *world)
{
    bool goes_on = true;
    for (unsigned round = 0; goes_on; round++) {
        MUST(round < 100 * EXCHANGES_MAX);
        goes_on = false;
        for (size_t i = 0; i < PEERS; i++) {
            peer_t *peer = &world->peers[i];
            size_t heard = peer->heard_len;
            bool answering = peer_is_answering(peer);
            if (answering && cv_conn_awaits_trailers(peer->conn)) {
                peer_trailers(peer, "x", true);
            } else if (answering && peer->conn->request_complete) {
                peer_respond(peer, 200);
                peer_body(world, peer, 1, true, false);
            } else if (answering) {
                peer_fail(peer);
            }
            peer_hear(peer, SIZE_MAX);
            goes_on |= answering || peer->heard_len > heard;
        }
        goes_on |= fuzz_file_waiting() > 0;
        fuzz_file_work();
        world_turn(world);
        world_check(world);
    }
}

static void
on_env_closed(cv_conn_env_t *env)
{
    world_of(env)->env_closed = true;
}

void
world_close(world_t *world)
{
    world->act = NULL;
    world->budget += EXCHANGES_MAX * PEERS;
    for (int i = 0; i < 12 && world->env.conn_count > 0; i++) {
        end_answers(world);
        fuzz_clock_pass(61000);
    }
    world_turn(world);
    MUST(world->env.conn_count == 0); /* no connection stays when nothing comes */
    for (size_t i = 0; i < PEERS; i++) {
        peer_t *peer = &world->peers[i];
        MUST(peer->conn == NULL);
        peer_hear(peer, SIZE_MAX);
        peer_check_heard(peer);
        if (peer->client >= 0) {
            close(peer->client);
        }
        free(peer->room);
    }
    MUST(world->kept == world->released);
    cv_deadline_drop(&world->request);
    while (fuzz_file_waiting() > 0) {
        fuzz_file_work();
    }
    cv_conn_env_deinit(&world->env, on_env_closed);
    while (!world->env_closed) {
        uv_run(&world->loop, UV_RUN_NOWAIT);
    }
    MUST(world->env.unfreed == 0 && uv_loop_close(&world->loop) == 0);
}
