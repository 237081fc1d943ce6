/* SPDX-License-Identifier: MIT
 *
 * What the parts of the HTTP/1 parser share: h1_parser.c feeds llhttp, h1_callbacks.c hears from it, h1_fields.c spares
 * it plain field lines, h1_error.c says what its errors mean, h1_pool.c keeps spare heads.
 *
 * Thread:  loop thread.
 */
#ifndef CUVEE_HTTP_H1_PARSER_PRIVATE_H
#define CUVEE_HTTP_H1_PARSER_PRIVATE_H

#include "http/h1_parser.h"

/* What a message is at. */
enum {
    CV_H1_START = 0,      /* before the first byte of a request line */
    CV_H1_START_CR,       /* a CR came before a request line */
    CV_H1_REQUEST_LINE,   /* in it: a head is taken from the pool */
    CV_H1_UNKNOWN_METHOD, /* in a method that llhttp does not know: its end says which error it is */
    CV_H1_FIELDS,         /* behind the version */
    CV_H1_BODY,           /* behind the head: body, chunk framing, trailers */
    CV_H1_BROKEN,         /* `error` is for good */
};

/* What llhttp calls. A callback that stops the parse has set parser->error. */
extern const llhttp_settings_t cv_h1_callbacks;

/* Takes plain field lines off the front of `len` bytes that start a field line, and returns how many bytes they are.
 * The rest is llhttp's. */
size_t cv_h1_fields_take(cv_h1_parser_t *parser, const char *data, size_t len);

/* What an error that llhttp found itself is to us; `end` is where the bytes end that it was given. */
int cv_h1_error_of_llhttp(const cv_h1_parser_t *parser, llhttp_errno_t error, const char *end);

/* An empty head, or NULL without memory. */
cv_h1_head_t *cv_h1_pool_take(cv_h1_pool_t *pool);

/* Takes a head back, to keep or to free it. */
void cv_h1_pool_give(cv_h1_pool_t *pool, cv_h1_head_t *head);

#endif
