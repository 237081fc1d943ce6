/* SPDX-License-Identifier: MIT */
#include "http/h1_parser.h"

#include <string.h>

#include "http/h1_parser_private.h"
#include "http/h1_rules.h"

enum { BLANK_LINES_MAX = 4 }; /* RFC 9112 section 2.2 asks for one before a request line */

/* ---- feeding ---- */

/* Skips empty lines before a request line. Returns the first byte behind them. */
static const char *
skip_blank_lines(cv_h1_parser_t *parser, const char *at, const char *end)
{
    for (; at < end; at++) {
        if (parser->state == CV_H1_START_CR) {
            if (*at != '\n') {
                parser->error = CV_H1_ELINE_END;
                return at;
            }
            parser->state = CV_H1_START;
        } else if (*at == '\r' && parser->blank_lines < BLANK_LINES_MAX) {
            parser->blank_lines++;
            parser->state = CV_H1_START_CR;
        } else {
            if (*at == '\n' || *at == '\r') {
                parser->error = *at == '\n' ? CV_H1_ELINE_END : CV_H1_EMALFORMED;
            }
            return at;
        }
    }
    return at;
}

/* Looks for the end of a method that is not known, no further than a request line and a head may go. */
static int
scan_method(cv_h1_parser_t *parser, const char *from, const char *end)
{
    const char *base = parser->head->base;
    uint32_t most = parser->limits->line < parser->limits->head ? parser->limits->line : parser->limits->head;
    const char *last = (size_t)(end - base) > most ? base + most : end;
    for (const char *at = from; at < last; at++) {
        if (!cv_h1_is_token_byte(*at)) {
            return *at == ' ' && at != base ? CV_H1_EMETHOD : CV_H1_EMETHOD_SYNTAX;
        }
    }
    parser->head_fed = (uint32_t)(end - base);
    return last < end ? CV_H1_EMETHOD : CV_H1_MORE;
}

/* How many of `len` bytes llhttp may see before the limits are looked at. */
static size_t
allowed(const cv_h1_parser_t *parser, size_t len)
{
    if (parser->state == CV_H1_BODY) {
        return len;
    }
    uint32_t most = parser->limits->head;
    if (parser->state == CV_H1_REQUEST_LINE && parser->limits->line < most) {
        most = parser->limits->line + 1; /* one more tells a line of just that size from a longer one */
    }
    size_t room = most > parser->head_fed ? most - parser->head_fed : 0;
    return len < room ? len : room;
}

/* Gives llhttp `len` bytes. CV_H1_MORE, CV_H1_END with *out_used, or an error. */
static int
execute(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    llhttp_errno_t error = llhttp_execute(&parser->llhttp, data, len);
    if (error == HPE_OK) {
        *out_used = len;
        parser->head_fed += (uint32_t)len;
        return CV_H1_MORE;
    }
    if (parser->error != 0) {
        return parser->error;
    }
    if (error == HPE_PAUSED) {
        *out_used = (size_t)(llhttp_get_error_pos(&parser->llhttp) - data);
        return CV_H1_END;
    }
    if (error == HPE_INVALID_METHOD) {
        *out_used = len;
        parser->state = CV_H1_UNKNOWN_METHOD;
        return scan_method(parser, parser->head->base, data + len);
    }
    return cv_h1_error_of_llhttp(parser, error, data + len);
}

/* A request line goes to llhttp alone, so that the fields behind it need not. */
static int
take_request_line(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    const char *last = memchr(data, '\n', len);
    int rc = execute(parser, data, last == NULL ? len : (size_t)(last - data) + 1, out_used);
    if (rc == CV_H1_MORE && last != NULL) {
        if (parser->state == CV_H1_REQUEST_LINE) {
            return CV_H1_EVERSION_SYNTAX; /* none at all: HTTP/0.9 to llhttp, which waits for more */
        }
        parser->at_line = parser->state == CV_H1_FIELDS;
    }
    return rc;
}

/* Takes plain field lines, and gives the rest of the head to llhttp. */
static int
take_fields(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    size_t taken = cv_h1_fields_take(parser, data, len);
    parser->head_fed += (uint32_t)taken;
    parser->at_line = false;
    size_t used = 0;
    int rc = taken < len ? execute(parser, data + taken, len - taken, &used) : CV_H1_MORE;
    *out_used = taken + used;
    return rc;
}

/* Makes the parser ready for the next message. */
static void
start_over(cv_h1_parser_t *parser)
{
    llhttp_reset(&parser->llhttp);
    parser->state = CV_H1_START;
    parser->blank_lines = 0;
    parser->in_value = false;
    parser->at_line = false;
    parser->head_fed = 0;
    parser->extra_fields = 0;
    parser->extra_bytes = 0;
}

/* One step of feed: as feed, but may use fewer bytes and return CV_H1_MORE. */
static int
step(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    if (parser->state == CV_H1_START || parser->state == CV_H1_START_CR) {
        const char *first = skip_blank_lines(parser, data, data + len);
        *out_used = (size_t)(first - data);
        if (parser->error != 0 || *out_used == len) {
            return parser->error;
        }
        parser->head = cv_h1_pool_take(parser->pool);
        if (parser->head == NULL) {
            return CV_H1_ENOMEM;
        }
        parser->head->base = first;
        parser->state = CV_H1_REQUEST_LINE;
        return CV_H1_MORE;
    }
    if (parser->state == CV_H1_UNKNOWN_METHOD) {
        *out_used = len;
        return scan_method(parser, data, data + len);
    }
    size_t part = allowed(parser, len);
    if (part == 0) {
        return parser->state == CV_H1_REQUEST_LINE ? CV_H1_ETARGET_LONG : CV_H1_EHEAD_LARGE;
    }
    if (parser->state == CV_H1_REQUEST_LINE) {
        return take_request_line(parser, data, part, out_used);
    }
    return parser->at_line ? take_fields(parser, data, part, out_used) : execute(parser, data, part, out_used);
}

int
cv_h1_parser_feed(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    size_t used = 0;
    int rc = parser->error;
    while (rc == CV_H1_MORE && used < len) {
        size_t part = 0;
        rc = step(parser, data + used, len - used, &part);
        used += part;
    }
    *out_used = used;
    if (rc == CV_H1_END) {
        start_over(parser);
    } else if (rc < 0) {
        parser->error = rc;
        parser->state = CV_H1_BROKEN;
    }
    return rc;
}

/* ---- life ---- */

void
cv_h1_parser_init(cv_h1_parser_t *parser, const cv_h1_events_t *events,
                  const cv_h1_limits_t *limits, cv_h1_pool_t *pool, void *owner)
{
    memset(parser, 0, sizeof(*parser));
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &cv_h1_callbacks);
    parser->events = events;
    parser->limits = limits;
    parser->pool = pool;
    parser->owner = owner;
}

void
cv_h1_parser_deinit(cv_h1_parser_t *parser)
{
    if (parser->head != NULL) {
        cv_h1_pool_give(parser->pool, parser->head);
        parser->head = NULL;
    }
}

bool
cv_h1_parser_is_resting(const cv_h1_parser_t *parser)
{
    return parser->state == CV_H1_START && parser->blank_lines == 0;
}

bool
cv_h1_parser_in_head(const cv_h1_parser_t *parser)
{
    return parser->head != NULL;
}

size_t
cv_h1_parser_head_fed(const cv_h1_parser_t *parser)
{
    return parser->head != NULL ? parser->head_fed : 0;
}

uint64_t
cv_h1_parser_body_left(const cv_h1_parser_t *parser)
{
    bool is_counted = parser->state == CV_H1_BODY && (parser->llhttp.flags & F_CHUNKED) == 0;
    return is_counted ? parser->llhttp.content_length : 0;
}

void
cv_h1_parser_rebase(cv_h1_parser_t *parser, const char *base)
{
    if (parser->head != NULL) {
        parser->head->base = base;
    }
}
