/* SPDX-License-Identifier: MIT
 *
 * Runs bytes through the HTTP/1 parser and writes down, one event a line, what came out.
 * Used by the wire corpus and by the parser's own tests.
 */
#ifndef CUVEE_TESTS_HTTP_WIRE_LOG_H
#define CUVEE_TESTS_HTTP_WIRE_LOG_H

#include "base/buffer.h"
#include "http/h1_parser.h"

/* How bytes are cut: `next` gives the length of each piece, which is not 0. */
typedef struct wire_pieces wire_pieces_t;
struct wire_pieces {
    size_t (*next)(wire_pieces_t *pieces);
};

/* Feeds `data` in pieces, each from memory of its own that is just as long. Returns the log, to be deinited by the
 * caller. Stops after a request that is not to be kept alive, as a connection does. */
cv_buffer_t wire_log_pieces(const char *data, size_t len, wire_pieces_t *pieces, const cv_h1_limits_t *limits);

/* The same in two pieces, cut at `cut` (0: in one piece), or byte by byte when `cut` is SIZE_MAX. */
cv_buffer_t wire_log(const char *data, size_t len, size_t cut, const cv_h1_limits_t *limits);

#endif
