/* SPDX-License-Identifier: MIT
 *
 * A real loop with up to three real connections, and a layer above that hears what they tell.
 */
#ifndef CUVEE_TESTS_FUZZ_CONN_WORLD_H
#define CUVEE_TESTS_FUZZ_CONN_WORLD_H

#include "conn_peer.h"

enum { PEERS = 3 };

struct world {
    uv_loop_t loop;
    cv_conn_env_t env;
    peer_t peers[PEERS];
    bool answers;         /* a complete request is answered at once */
    bool gives_room;      /* on_body_room gives memory */
    bool has_preambles;   /* the first peer sends a PROXY preamble first, the others may not */
    bool has_expectation; /* a client asked for 100 Continue */
    size_t budget;        /* body bytes that may still be sent */
    long kept, released;  /* pieces that the connection referred to, and let go */
    int verdict;          /* what the callback that runs will return */
    cv_deadline_t request;
    cv_buffer_t *told;    /* where what is told is written down as text, or NULL */
    size_t told_head;     /* how much of it there was before the body that is being told; 0: none is */
    /* what the layer above does when it is told something, if anything */
    void (*act)(world_t *world, peer_t *peer);
    bool env_closed;
};

/* A loop and an env, with every option at its default, and no connection. */
void world_open(world_t *world);

/* Opens a connection for a peer that has none yet. */
void world_connect(world_t *world, peer_t *peer);

/* One turn of the loop, and the flush behind it. */
void world_turn(world_t *world);

/* What has to hold whenever the loop's thread is nowhere in conn/. */
void world_check(world_t *world);

/* Lets every open answer end and every client read; then the clock ends what is left. Closes all and checks what the
 * clients heard. */
void world_close(world_t *world);

#endif
