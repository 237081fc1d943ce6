/* SPDX-License-Identifier: MIT */
#include "conn_script.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/file_opening.h"
#include "fuzz_clock.h"
#include "fuzz_file.h"
#include "fuzz_memory.h"

enum { SLOTS = 64, /* an operation's byte is taken modulo this, so that a letter keeps its meaning */
       NESTED_MAX = 16 };

typedef struct {
    uint8_t operation, argument;
} step_t;

static world_t *world;
static peer_t *peer; /* whom the script's steps are about */
static fuzz_input_t script, wire;
static step_t nested[NESTED_MAX]; /* steps that the next callbacks take, one each */
static size_t nested_first, nested_count;

/* ---- operations of the client and of the world ---- */

static void
op_send(uint8_t argument)
{
    fuzz_input_t piece = fuzz_take(&wire, argument);
    peer_send(peer, (const char *)piece.at, piece.left);
}

static void
op_hear(uint8_t argument)
{
    peer_hear(peer, argument == 0 ? SIZE_MAX : argument * 64u);
}

static void
op_fin(uint8_t argument)
{
    (void)argument;
    if (peer->client >= 0) {
        peer->is_lossy |= !world->env.half_close;
        shutdown(peer->client, SHUT_WR);
    }
}

static void
op_hang_up(uint8_t argument)
{
    (void)argument;
    peer_hang_up(peer);
}

/* Another client, who comes in when he is first spoken of. */
static void
op_client(uint8_t argument)
{
    peer = &world->peers[argument % PEERS];
    if (peer->client < 0 && peer->conn == NULL && !peer->is_over) {
        world_connect(world, peer);
    }
}

static void
op_turn(uint8_t argument)
{
    (void)argument;
    world_turn(world);
}

static void
op_clock(uint8_t argument)
{
    fuzz_clock_pass(argument * argument * 4u);
}

/* Memory is there again with the next one. */
static void
op_memory(uint8_t argument)
{
    for (size_t i = 0; i < PEERS; i++) {
        world->peers[i].is_lossy = true;
    }
    fuzz_memory_restore();
    if (argument != 0) {
        fuzz_memory_fail(argument & 0x7f, argument >= 0x80);
    }
}

static void
op_drain(uint8_t argument)
{
    (void)argument;
    cv_conn_env_drain(&world->env);
}

static void
op_abort(uint8_t argument)
{
    (void)argument;
    for (size_t i = 0; i < PEERS; i++) {
        world->peers[i].is_lossy = true;
    }
    cv_conn_env_abort(&world->env);
}

static void
op_flush_all(uint8_t argument)
{
    (void)argument;
    cv_conn_env_flush(&world->env);
}

/* ---- operations of the layer above ---- */

static void
op_respond(uint8_t argument)
{
    static const unsigned statuses[] = {200, 204, 304, 205, 101, 103, 404, 599, 99, 1000, 999};
    size_t count = sizeof(statuses) / sizeof(statuses[0]);
    peer_respond(peer, argument < count ? statuses[argument] : 100u + argument * 2);
}

static void
op_field(uint8_t argument)
{
    static const char *const fields[][2] = {
        {"content-type", "text/plain"},
        {"Content-Length", "3"},
        {"content-length", "300"},
        {"content-length", "x"},
        {"transfer-encoding", "chunked"},
        {"connection", "close"},
        {"connection", "upgrade, close"},
        {"date", "now"},
        {"server", "mine"},
        {"x y", "z"},
        {"x", "a\r\nb: c"},
        {"connection", "keep-alive"},
        {"trailer", "x"},
    };
    size_t i = argument % (sizeof(fields) / sizeof(fields[0]));
    if (peer->conn != NULL) {
        cv_conn_field(peer->conn, fields[i][0], strlen(fields[i][0]), fields[i][1], strlen(fields[i][1]));
    }
}

/* A field made of what the client would have sent. */
static void
op_wild_field(uint8_t argument)
{
    fuzz_input_t name = fuzz_take(&wire, argument & 15), value = fuzz_take(&wire, argument >> 4);
    if (peer->conn != NULL) {
        cv_conn_field(peer->conn, (const char *)name.at, name.left, (const char *)value.at, value.left);
    }
}

static void
op_piece(uint8_t argument)
{
    peer_body(world, peer, argument, false, (argument & 1) != 0);
}

static void
op_big_piece(uint8_t argument)
{
    peer_body(world, peer, 4000 + argument * 60u, false, (argument & 1) != 0);
}

static void
op_end(uint8_t argument)
{
    peer_body(world, peer, argument < 0x80 ? argument : argument * 64u, true, (argument & 1) != 0);
}

static void
op_answer(uint8_t argument)
{
    peer_respond(peer, 200);
    op_end(argument);
}

static void
op_retract(uint8_t argument)
{
    (void)argument;
    peer_retract(peer);
}

static void
op_refuse(uint8_t argument)
{
    peer_refuse(peer, 400 + argument, argument % 2 != 0 ? "text" : NULL, false);
}

static void
op_busy(uint8_t argument)
{
    (void)argument;
    peer_refuse(peer, 503, NULL, true);
}

static void
op_fail(uint8_t argument)
{
    (void)argument;
    peer_fail(peer);
}

static void
op_close(uint8_t argument)
{
    peer_close(peer, argument % 2 != 0);
}

static void
op_consume(uint8_t argument)
{
    if (peer->conn != NULL) {
        size_t len = argument == 0 ? peer->unread : argument;
        peer->unread -= len < peer->unread ? len : peer->unread;
        cv_conn_consumed(peer->conn, len);
    }
}

static void
op_want_body(uint8_t argument)
{
    (void)argument;
    if (peer->conn != NULL) {
        cv_conn_want_body(peer->conn);
    }
}

static void
op_flush(uint8_t argument)
{
    (void)argument;
    if (peer->conn != NULL) {
        cv_conn_flush(peer->conn);
    }
}

static void
op_advance(uint8_t argument)
{
    (void)argument;
    if (peer->conn != NULL) {
        cv_conn_advance(peer->conn);
    }
}

static void
op_deadline(uint8_t argument)
{
    (void)argument;
    cv_deadline_set(&world->env.deadlines, &world->request, CV_CONN_REQUEST);
}

static void
op_file(uint8_t argument)
{
    peer_file(world, peer, argument * 600u, (argument & 1) != 0);
}

/* More than the file has. */
static void
op_short_file(uint8_t argument)
{
    peer_file(world, peer, FILE_MAX + argument * 79u, (argument & 1) != 0);
}

static bool is_opening;

static void
on_opened(cv_file_opening_t *opening)
{
    uint64_t size = 0;
    is_opening = false;
    if (opening->fd >= 0) {
        MUST(cv_conn_file_size(opening->fd, &size) == 0 && size == opening->size && size > FILE_MAX);
        close(opening->fd);
    }
}

/* A thread opens what is to be sent: the file, a folder, nothing. */
static void
op_open(uint8_t argument)
{
    static cv_file_opening_t opening;
    const char *const paths[] = {fuzz_file_path(), "/", "/none"};
    if (!is_opening) {
        is_opening = cv_file_opening_start(&opening, &world->env, paths[argument % 3], on_opened) == 0;
    }
}

static void
op_cached(uint8_t argument)
{
    fuzz_file_set_cached(argument % 2 != 0);
}

static void
op_work(uint8_t argument)
{
    (void)argument;
    fuzz_file_work();
}

static void
op_want_trailers(uint8_t argument)
{
    (void)argument;
    if (peer->conn != NULL) {
        cv_conn_want_trailers(peer->conn);
    }
}

static const char *const LATE_NAMES[] = {"x-late", "Content-Length", "x y", "trailer", "etag"};

static void
op_trailers(uint8_t argument)
{
    peer_trailers(peer, LATE_NAMES[argument / 2 % (sizeof(LATE_NAMES) / sizeof(LATE_NAMES[0]))], argument % 2 != 0);
}

static void
op_interim(uint8_t argument)
{
    peer_interim(peer, argument % 2 == 0 ? "link" : "x y");
}

/* What the callback returns. */
static void
op_verdict(uint8_t argument)
{
    (void)argument;
    world->verdict = -1;
}

static void
op_inside(uint8_t argument)
{
    (void)argument;
    if (nested_first + nested_count < NESTED_MAX && script.left >= 2) {
        step_t *step = &nested[nested_first + nested_count++];
        step->operation = fuzz_byte(&script);
        step->argument = fuzz_byte(&script);
    }
}

/* Every operation. A new one takes a letter that is free: no two are the same modulo SLOTS, and the corpus keeps its
 * meaning. */
static const struct {
    char letter;
    bool may_nest; /* inside a callback */
    void (*run)(uint8_t argument);
} OPERATIONS[] = {
    {'S', true, op_send},
    {'H', true, op_hear},
    {'F', true, op_fin},
    {'X', true, op_hang_up},
    {'C', false, op_client},
    {'T', false, op_turn},
    {'P', true, op_clock},
    {'I', false, op_inside},
    {'M', true, op_memory},
    {'D', true, op_drain},
    {'A', true, op_abort},
    {'L', true, op_flush_all},
    {'r', true, op_respond},
    {'f', true, op_field},
    {'g', true, op_wild_field},
    {'b', true, op_piece},
    {'B', true, op_big_piece},
    {'e', true, op_end},
    {'a', true, op_answer},
    {'t', true, op_retract},
    {'u', true, op_refuse},
    {'y', true, op_busy},
    {'x', true, op_fail},
    {'k', true, op_close},
    {'c', true, op_consume},
    {'w', true, op_want_body},
    {'l', true, op_flush},
    {'v', true, op_advance},
    {'q', true, op_deadline},
    {'n', true, op_verdict},
    {'p', true, op_file},
    {'s', true, op_short_file},
    {'o', true, op_cached},
    {'O', true, op_open},
    {'W', false, op_work},
    {'h', true, op_want_trailers},
    {'z', true, op_trailers},
    {'i', true, op_interim},
};

enum { OPERATIONS_COUNT = sizeof(OPERATIONS) / sizeof(OPERATIONS[0]) };

void
script_check(void)
{
    for (size_t i = 0; i < OPERATIONS_COUNT; i++) {
        for (size_t k = 0; k < i; k++) {
            MUST(OPERATIONS[i].letter % SLOTS != OPERATIONS[k].letter % SLOTS);
        }
    }
}

static void
take_step(step_t step, bool is_nested)
{
    for (size_t i = 0; i < OPERATIONS_COUNT; i++) {
        bool is_it = step.operation % SLOTS == OPERATIONS[i].letter % SLOTS;
        if (is_it && (OPERATIONS[i].may_nest || !is_nested)) {
            OPERATIONS[i].run(step.argument);
            return;
        }
    }
}

/* A callback takes the step that waits for one. */
static void
act(world_t *in, peer_t *about)
{
    (void)in;
    if (nested_count == 0) {
        return;
    }
    step_t step = nested[nested_first++];
    peer_t *before = peer;
    nested_first = --nested_count == 0 ? 0 : nested_first;
    peer = about != NULL ? about : peer;
    take_step(step, true);
    peer = before;
}

void
script_run(world_t *in, fuzz_input_t steps, fuzz_input_t bytes)
{
    world = in;
    script = steps;
    wire = bytes;
    nested_first = nested_count = 0;
    world->act = act;
    op_client(0);
    while (script.left >= 2) {
        step_t step = {fuzz_byte(&script), fuzz_byte(&script)};
        take_step(step, false);
        world_check(world);
    }
    op_memory(0);
}
