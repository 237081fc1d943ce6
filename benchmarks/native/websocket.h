/* SPDX-License-Identifier: MIT
 *
 * One WebSocket connection of a load client: it sends frames that were masked before, and compares what comes back.
 *
 * Owns:    a batch its bytes; a connection its descriptor.
 * Borrows: the batch whose answers a connection waits for.
 * Thread:  there is one.
 * Errors:  what breaks the protocol, and a message that is not the expected one, end the program (client.h). That the
 *          server ends a connection is told: in some loads it may.
 */
#ifndef CUVEE_BENCHMARKS_WEBSOCKET_H
#define CUVEE_BENCHMARKS_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEBSOCKET_CONTROL_MOST = 125, /* RFC 6455 section 5.5 */
    WEBSOCKET_HEAD_MOST = 14,     /* section 5.2: with a length of 64 bits, and a masking key */
};

/* Messages that are sent at once. */
typedef struct {
    unsigned char *frames;   /* masked, one behind the other */
    unsigned char *payloads; /* the same as plain bytes: what has to come back */
    size_t frames_len;
    size_t depth;            /* how many messages these are */
    size_t size;             /* bytes of each payload */
    bool text;
} websocket_batch_t;

typedef struct {
    int fd;
    int epoll;
    bool open;                          /* the handshake is over, and nothing has ended it since */
    bool deflate;                       /* the server has agreed to compress */
    bool waits_for_room;                /* a send could not take everything */
    bool in_payload;
    unsigned char head[WEBSOCKET_HEAD_MOST];
    size_t head_len;
    uint64_t payload_left;              /* of the frame at hand */
    unsigned char control[WEBSOCKET_CONTROL_MOST];
    size_t control_len;
    unsigned char pong[WEBSOCKET_CONTROL_MOST];
    size_t pong_len;
    bool owes_pong;                     /* `pong` waits for a batch that is only half sent */
    const websocket_batch_t *batch;     /* whose answers are awaited */
    size_t answered;                    /* messages of it that have come */
    size_t message_at;                  /* bytes of the message at hand that have come */
    size_t sent;                        /* bytes of the batch that are on their way */
    bool sends;                         /* it sends the batch itself */
    uint64_t pings;
} websocket_t;

/* Makes `depth` messages of `size` bytes; those of another `number` differ, as far as there is room for it. */
void websocket_batch_init(websocket_batch_t *batch, uint32_t number, size_t depth, size_t size, bool text);

/* Connects and asks for the upgrade; `offer` permessage-deflate. */
void websocket_open(websocket_t *socket, int epoll, int port, const char *path, bool offer);

/* Waits for the messages of a batch that somebody sends. */
void websocket_expect(websocket_t *socket, const websocket_batch_t *batch);

/* Sends a batch, and waits for its messages to come back. */
void websocket_send(websocket_t *socket, const websocket_batch_t *batch);

/* Goes on with what there was no room for. */
void websocket_flush(websocket_t *socket);

/* Reads what has come; returns how many messages ended in it, or -1 if the server ended the connection. */
int websocket_receive(websocket_t *socket);

/* Sends a close frame. */
void websocket_say_goodbye(websocket_t *socket);

#endif
