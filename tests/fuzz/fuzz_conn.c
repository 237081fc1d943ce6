/* SPDX-License-Identifier: MIT
 *
 * The connection under a script (conn_script.h), with the options of an env.
 *
 * An input is two bytes of options, two for the length of the script, the script, and then the bytes that clients send.
 * With CUTS among the options nothing but the cuts of the script counts: an application that answers everything at once
 * is told the same, and the client hears the same, as when all bytes come in one piece.
 *
 * What must hold, besides what conn_world.c and conn_peer.c check: the sanitizers have nothing to say, all memory and
 * every descriptor is given back.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "conn_script.h"
#include "fuzz.h"
#include "fuzz_memory.h"

enum { LONGEST = 8192 };

enum { HALF_CLOSE = 1 << 0, /* the options */
       READ_LOW = 1 << 1,
       WRITE_LOW = 1 << 2,
       READ_PIECES = 1 << 3,
       SMALL_LIMITS = 1 << 4,
       OWN_FIELDS = 1 << 5,
       SCRIPT_ANSWERS = 1 << 6,
       CUTS = 1 << 7,
       BODY_LIMIT = 1 << 8,
       BODY_RATE = 1 << 9,
       REQUEST_LIMIT = 1 << 10,
       CONN_LIMIT = 1 << 11,
       BATCHES = 1 << 12,
       NO_TIME = 1 << 13,
       BODY_ROOM = 1 << 14,
       PREAMBLES = 1 << 15 };

static world_t world;

static void
set_options(cv_conn_env_t *env, unsigned options)
{
    env->half_close = (options & HALF_CLOSE) != 0;
    env->read_high = (options & READ_LOW) != 0 ? 16 : env->read_high;
    env->write_high = (options & WRITE_LOW) != 0 ? 100 : env->write_high;
    env->write_low = (options & WRITE_LOW) != 0 ? 10 : env->write_low;
    env->read_buffer_size = (options & READ_PIECES) != 0 ? 7 : env->read_buffer_size;
    env->date_header = (options & OWN_FIELDS) != 0;
    if ((options & OWN_FIELDS) != 0) {
        MUST(cv_default_fields_add(&env->default_fields, "server", 6, "fuzz", 4) == 0);
    }
    env->body_limit = (options & BODY_LIMIT) != 0 ? 8 : env->body_limit;
    env->body_rate = (options & BODY_RATE) != 0 ? 10 : 0;
    env->request_limit = (options & REQUEST_LIMIT) != 0 ? 2 : 0;
    env->conn_limit = (options & CONN_LIMIT) != 0 ? 2 : 0;
    env->batch = (options & BATCHES) != 0 ? 1 : env->batch;
    if ((options & SMALL_LIMITS) != 0) {
        env->limits = (cv_h1_limits_t){.line = 40, .head = 128, .fields = 3};
    }
    if ((options & NO_TIME) != 0) {
        cv_deadlines_configure(&env->deadlines, CV_CONN_WRITE, 1);
        cv_deadlines_configure(&env->deadlines, CV_CONN_BODY, 1);
    }
}

static void
run_script(unsigned options, fuzz_input_t script, fuzz_input_t wire)
{
    world_open(&world);
    set_options(&world.env, options);
    world.answers = (options & SCRIPT_ANSWERS) == 0;
    world.gives_room = (options & BODY_ROOM) != 0;
    world.has_preambles = (options & PREAMBLES) != 0;
    script_run(&world, script, wire);
    world_close(&world);
}

/* Turns until nothing more comes of what was sent, with an application that takes every body. */
static void
take_all(peer_t *peer)
{
    uint64_t before, after;
    do {
        before = world.env.bytes_in + peer->heard_len;
        world_turn(&world);
        world_check(&world);
        if (peer->conn != NULL) {
            cv_conn_consumed(peer->conn, peer->unread);
            peer->unread = 0;
        }
        peer_hear(peer, SIZE_MAX);
        after = world.env.bytes_in + peer->heard_len;
    } while (after != before);
}

/* What an application that answers all at once was told, and what the client heard. */
static cv_buffer_t
log_of(unsigned options, fuzz_input_t bytes, fuzz_input_t cuts)
{
    cv_buffer_t log = CV_BUFFER_INIT;
    world_open(&world);
    set_options(&world.env, options);
    world.answers = true;
    world.has_preambles = (options & PREAMBLES) != 0;
    world.told = &log;
    peer_t *peer = &world.peers[0];
    world_connect(&world, peer);
    while (bytes.left > 0) {
        size_t len = cuts.left > 0 ? fuzz_byte(&cuts) % 64u + 1 : bytes.left;
        fuzz_input_t piece = fuzz_take(&bytes, len);
        peer_send(peer, (const char *)piece.at, piece.left);
        take_all(peer);
    }
    world.told = NULL;
    MUST(cv_buffer_append(&log, "\nheard\n", 7) == 0);
    MUST(cv_buffer_append(&log, peer->heard, peer->heard_len) == 0);
    world_close(&world);
    return log;
}

/* Whether 100 Continue is sent, and the connection kept, depends on what is there when an answer begins: an input that
 * asks for it is not compared. */
static void
compare_cuts(unsigned options, fuzz_input_t script, fuzz_input_t wire)
{
    unsigned compared = SMALL_LIMITS | WRITE_LOW | BODY_LIMIT | REQUEST_LIMIT | OWN_FIELDS | BATCHES | PREAMBLES;
    unsigned kept = options & compared;
    cv_buffer_t whole = log_of(kept, wire, (fuzz_input_t){NULL, 0});
    bool expects = world.has_expectation;
    cv_buffer_t cut = log_of(kept | (options & (READ_PIECES | READ_LOW)), wire, script);
    if (!expects && (whole.len != cut.len || memcmp(whole.data, cut.data, whole.len) != 0)) {
        fprintf(stderr, "whole:%.*s\n\ncut:%.*s\n", (int)whole.len, whole.data, (int)cut.len, cut.data);
        abort();
    }
    cv_buffer_deinit(&whole);
    cv_buffer_deinit(&cut);
}

/* The open descriptors, as far as one run may come. */
static int
count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 100; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    script_check();
    peer_prepare();
    world_open(&world); /* the first loop opens descriptors that stay */
    world_close(&world);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LONGEST) {
        return 0;
    }
    fuzz_input_t input = {data, size};
    unsigned options = fuzz_word(&input);
    fuzz_input_t script = fuzz_take(&input, fuzz_word(&input));
    long blocks = fuzz_memory_blocks();
    int descriptors = count_descriptors();
    if ((options & CUTS) != 0) {
        compare_cuts(options, script, input);
    } else {
        run_script(options, script, input);
    }
    MUST(fuzz_memory_blocks() == blocks && count_descriptors() == descriptors);
    return 0;
}
