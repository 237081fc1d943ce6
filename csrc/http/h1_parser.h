/* SPDX-License-Identifier: MIT
 *
 * Cuts the bytes of one HTTP/1 connection into heads, body spans and message ends:
 * llhttp in its strict mode, and behind it the rules that llhttp merges or leaves out.
 *
 * Owns:    the head under construction, while a head is incomplete (from its pool).
 * Borrows: the bytes given to parse. While cv_h1_parser_in_head() is true, the bytes from the
 *          start of the head on must stay in place, or be moved and followed by a rebase.
 * Thread:  loop thread; no GIL, no socket, no clock.
 * Errors:  a negative cv_h1_error, or what an event returned. Every later feed returns it again, until
 *          deinit and init.
 */
#ifndef CUVEE_HTTP_H1_PARSER_H
#define CUVEE_HTTP_H1_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

#include "http/h1_head.h"

/* What parse returns when it is not an error. */
enum {
    CV_H1_MORE = 0, /* every byte was used, the message goes on */
    CV_H1_END = 1,  /* a message is complete; *out_used says where the next one starts */
};

/* What is wrong with a request, one member a rule; all negative. */
typedef enum {
    CV_H1_EMALFORMED = -1000,  /* 400, anything without a member of its own */
    CV_H1_EMETHOD,             /* 501, a method token that is not ours (400 if no token at all) */
    CV_H1_EMETHOD_SYNTAX,      /* 400 */
    CV_H1_ETARGET,             /* 400 */
    CV_H1_ETARGET_LONG,        /* 414 */
    CV_H1_EVERSION,            /* 505, "HTTP/d.d" that is neither 1.0 nor 1.1 */
    CV_H1_EVERSION_SYNTAX,     /* 400 */
    CV_H1_EFIELD_NAME,         /* 400 */
    CV_H1_EFIELD_VALUE,        /* 400 */
    CV_H1_EFIELDS_MANY,        /* 431, too many fields */
    CV_H1_EHEAD_LARGE,         /* 431, head too large */
    CV_H1_EHOST,               /* 400, missing on HTTP/1.1, repeated, or not a host */
    CV_H1_ECONTENT_LENGTH,     /* 400, not a number, repeated, a list, or above 2^63 - 1 */
    CV_H1_ETRANSFER_ENCODING,  /* 400, with Content-Length, on HTTP/1.0, repeated, or chunked not last */
    CV_H1_ETRANSFER_CODING,    /* 501, a coding other than chunked */
    CV_H1_ECHUNK,              /* 400, anything in a chunked body, too large extensions and trailers included */
    CV_H1_ELINE_END,           /* 400, bare CR or LF, obs-fold */
    CV_H1_EHTTP2,              /* 505, the HTTP/2 preface where HTTP/2 is not spoken */
    CV_H1_EBODY_LARGE,         /* 413, found by whoever counts the body, not by the parser */
    CV_H1_ENOMEM,              /* no memory; closed without an answer */
} cv_h1_error;

/* The events come from inside feed, and must neither call feed nor free or deinit the parser. */
typedef struct {
    /* A head is complete. `head` is valid during the call. Returns 0, or negative to stop parsing
     * (parse then returns that number). */
    int (*on_head)(void *owner, const cv_h1_head_t *head);
    /* Body bytes, decoded from chunks, borrowed during the call. Returns as on_head. */
    int (*on_body)(void *owner, const char *data, size_t len);
} cv_h1_events_t;

typedef struct {
    uint32_t line;   /* most bytes of a request line, its CRLF not counted: above it 414 */
    uint32_t head;   /* most bytes of a whole head: 431; of a body's trailers and chunk extensions: 400 */
    uint32_t fields; /* most fields: 431; most trailer fields: 400; at most CV_H1_FIELDS_CEILING */
} cv_h1_limits_t;

/* Spare heads, shared by the parsers of one loop thread. */
typedef struct {
    cv_h1_head_t *spare[4];
    unsigned count;
} cv_h1_pool_t;

void cv_h1_pool_init(cv_h1_pool_t *pool);
void cv_h1_pool_deinit(cv_h1_pool_t *pool);

typedef struct {
    llhttp_t llhttp;
    const cv_h1_events_t *events;
    const cv_h1_limits_t *limits;
    cv_h1_pool_t *pool;
    void *owner;
    cv_h1_head_t *head;   /* NULL outside a head */
    int error;            /* what a callback of ours found, else 0 */
    /* private to the parser */
    uint8_t state;
    uint8_t blank_lines;    /* before the request line */
    bool in_value;          /* a field's colon was seen, its line's end was not */
    bool at_line;           /* the next byte starts a field line, and llhttp saw none of the fields */
    uint32_t head_fed;      /* bytes of the incomplete head */
    uint32_t extra_fields;  /* trailer fields of the message */
    uint32_t extra_bytes;   /* bytes of its trailer fields and chunk extensions */
} cv_h1_parser_t;

/* Borrows everything it is given for the parser's life. No memory is taken before the first byte. */
void cv_h1_parser_init(cv_h1_parser_t *parser, const cv_h1_events_t *events,
                       const cv_h1_limits_t *limits, cv_h1_pool_t *pool, void *owner);

/* Gives back the head under construction, if any. */
void cv_h1_parser_deinit(cv_h1_parser_t *parser);

/* Parses `len` bytes: CV_H1_MORE, CV_H1_END, or a negative error. *out_used is the number of bytes
 * that were used; after CV_H1_END the next message starts behind them, and the parser is ready for it
 * (whether the connection goes on is the caller's to decide: head->keep_alive).
 * In a head, `data` must continue the head's earlier bytes in the same piece of memory. */
int cv_h1_parser_feed(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used);

/* True while no byte of a message, nor of an empty line before it, was fed: the parser may then be given to another
 * owner (`owner` is his to set). */
bool cv_h1_parser_is_resting(const cv_h1_parser_t *parser);

/* True from the first byte of a head (leading CRLFs do not count) to its last. */
bool cv_h1_parser_in_head(const cv_h1_parser_t *parser);

/* The number of bytes of the incomplete head that were fed so far. */
size_t cv_h1_parser_head_fed(const cv_h1_parser_t *parser);

/* The bytes of the body still to come, where their number was said; else 0. */
uint64_t cv_h1_parser_body_left(const cv_h1_parser_t *parser);

/* The bytes of the incomplete head now start at `base`. */
void cv_h1_parser_rebase(cv_h1_parser_t *parser, const char *base);

/* The status code that answers an error; 0 for one that is answered by closing only, 500 for a number that
 * is no cv_h1_error. */
unsigned cv_h1_error_status(int error);

/* The rule that was broken, a constant for log lines ("request line longer than --limit-request-line"). */
const char *cv_h1_error_rule(int error);

#endif
