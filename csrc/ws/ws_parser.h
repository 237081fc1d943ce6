/* SPDX-License-Identifier: MIT
 *
 * Parses what a WebSocket client sends (RFC 6455 section 5, RFC 7692): bytes in, whole messages and control frames out.
 *
 * A message that came whole, in one frame and uncompressed, is unmasked where it lies and handed out from there; any
 * other is put together in memory of the parser's own, which it has only while a message is under way. Rules are
 * checked as early as they can be broken: a frame's head when it is there, UTF-8 and sizes as the bytes arrive.
 *
 * Owns:    the message under way; an inflater while a compressed message is under way, or for good with a kept context.
 * Borrows: the rules and the pool of inflaters, for its whole life; bytes only during a call.
 * Thread:  loop thread; no socket, no clock.
 * Errors:  -ENOMEM or a cv_ws_error, each final: a parser that failed must not be fed again.
 */
#ifndef CUVEE_WS_WS_PARSER_H
#define CUVEE_WS_WS_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ws/deflate_offer.h"
#include "ws/inflater.h"
#include "ws/utf8.h"
#include "ws/ws_frame.h"

typedef enum {
    CV_WS_EUNMASKED = -3100, /* a client's frame has no mask */
    CV_WS_ERESERVED_BITS,    /* a reserved bit is set, or RSV1 where no compressed message begins */
    CV_WS_EOPCODE,           /* a reserved opcode */
    CV_WS_ECONTROL_LONG,     /* a control frame of more than 125 bytes */
    CV_WS_ECONTROL_PART,     /* a control frame that is fragmented */
    CV_WS_ELENGTH,           /* a length that is not written in the shortest way, or has its top bit set */
    CV_WS_ECONTINUATION,     /* a continuation of nothing */
    CV_WS_EINTERRUPTED,      /* a new message inside a fragmented one */
    CV_WS_ECLOSE,            /* a close frame of one byte, or with a code that nobody may send */
    CV_WS_EUTF8,             /* text, or a close frame's reason, that is not UTF-8 */
    CV_WS_EDEFLATE,          /* a compressed message that is not DEFLATE */
    CV_WS_ESIZE,             /* a message of more than max_size bytes */
} cv_ws_error;

typedef struct {
    uint64_t max_size;         /* most bytes of a message, inflated; UINT64_MAX: any */
    cv_inflaters_t inflaters;  /* shared by all connections */
} cv_ws_parser_rules_t;

/* A whole message or control frame. */
typedef struct {
    cv_ws_opcode opcode; /* TEXT, BINARY, CLOSE, PING or PONG */
    const char *data;    /* borrowed until the next call, may be NULL; a CLOSE's reason, without its code */
    size_t len;
    unsigned code;       /* CLOSE: its code, or CV_WS_NO_STATUS */
} cv_ws_event_t;

typedef struct {
    cv_ws_parser_rules_t *rules;
    cv_inflater_t *inflater;  /* NULL: none needed now */
    cv_buffer_t message;      /* what came of the message under way, or of a control frame that came in pieces */
    uint64_t left;            /* payload bytes of the frame under way that are still to come */
    uint64_t at;              /* those that came: where its mask goes on */
    uint8_t key[4];
    uint8_t head[14];         /* of a frame, while it is incomplete */
    uint8_t head_len;
    uint8_t opcode;           /* of the frame under way */
    uint8_t message_opcode;   /* of the message under way; 0: none */
    cv_utf8_t utf8;           /* of the text under way; complete between two messages */
    bool deflate;             /* permessage-deflate was agreed on */
    uint8_t context_bits;     /* ... and the client keeps a context of so large a window; 0: none */
    bool compressed;          /* the message under way is */
    bool in_payload;          /* the frame's head is complete */
    bool final;               /* the frame under way is its message's last */
} cv_ws_parser_t;

/* `terms` are read here only. */
void cv_ws_parser_init(cv_ws_parser_t *parser, cv_ws_parser_rules_t *rules, const cv_deflate_terms_t *terms);
void cv_ws_parser_deinit(cv_ws_parser_t *parser);

/* Takes bytes, which it may change, up to the end of the next message or control frame. *out_used says how many.
 * Returns 1 with *out set, 0 when all bytes were taken and nothing is complete, or negative. A call without bytes
 * returns 0, and gives back the memory of the message that was handed out last, as every call does. */
int cv_ws_parser_feed(cv_ws_parser_t *parser, char *data, size_t len, size_t *out_used, cv_ws_event_t *out);

/* True between two messages, with no byte of a frame taken. */
bool cv_ws_parser_is_resting(const cv_ws_parser_t *parser);

/* The status code that ends the connection for an error, and the rule that was broken: a constant text. */
unsigned cv_ws_error_code(int error);
const char *cv_ws_error_rule(int error);

#endif
