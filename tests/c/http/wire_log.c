/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include "wire_log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

typedef struct {
    cv_buffer_t log;
    cv_buffer_t body;  /* pieces that came one after the other */
    bool keep_alive;   /* of the last head */
    bool in_body;      /* a head came, the end of its message did not */
} run_t;

static void
say(run_t *run, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(line) || cv_buffer_append(&run->log, line, (size_t)len) != 0) {
        abort();
    }
}

/* Visible ASCII as it is, anything else as \xNN; long runs are cut. */
static void
say_bytes(run_t *run, const char *data, size_t len)
{
    enum { SHOWN = 200 };
    for (size_t i = 0; i < len && i < SHOWN; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte < 0x20 || byte >= 0x7f || byte == '\\') {
            say(run, "\\x%02x", byte);
        } else {
            say(run, "%c", byte);
        }
    }
    if (len > SHOWN) {
        say(run, "... (%zu bytes)", len);
    }
}

static void
say_span(run_t *run, const char *label, cv_span_t span)
{
    say(run, "%s", label);
    say_bytes(run, span.data, span.len);
}

static void
end_body(run_t *run)
{
    if (run->body.len > 0) {
        say_span(run, "body ", (cv_span_t){run->body.data, run->body.len});
        say(run, "\n");
        run->body.len = 0;
    }
}

static int
on_head(void *owner, const cv_h1_head_t *head)
{
    run_t *run = owner;
    const char *end = memmem(head->base, head->size, "\r\n\r\n", 4); /* the first empty line ends a head */
    if (end == NULL || end + 4 != head->base + head->size) {
        say(run, "the size is wrong: ");
    }
    say_span(run, "head ", cv_h1_span(head, head->method, head->method_len));
    say_span(run, " ", cv_h1_span(head, head->target, head->target_len));
    say(run, " 1.%u %u bytes\n", head->minor, head->size);
    say_span(run, "path ", cv_h1_span(head, head->path, head->path_len));
    say(run, "\n");
    if (head->query_len > 0) {
        say_span(run, "query ", cv_h1_span(head, head->query, head->query_len));
        say(run, "\n");
    }
    for (uint32_t i = 0; i < head->field_count; i++) {
        const cv_h1_field_t *field = &head->fields[i];
        say_span(run, "field ", cv_h1_span(head, field->name, field->name_len));
        say_span(run, ": ", cv_h1_span(head, field->value, field->value_len));
        say(run, "\n");
    }
    say(run, "flags%s%s%s%s%s", head->keep_alive ? " keep-alive" : " close", head->is_head ? " head" : "",
        head->expect_continue ? " expects-continue" : "", head->upgrade ? " upgrade" : "",
        head->chunked ? " chunked" : "");
    if (head->has_body && !head->chunked) {
        say(run, " length=%llu", (unsigned long long)head->content_length);
    }
    say(run, "\n");
    run->keep_alive = head->keep_alive;
    run->in_body = true;
    return 0;
}

static int
on_body(void *owner, const char *data, size_t len)
{
    run_t *run = owner;
    return cv_buffer_append(&run->body, data, len);
}

static void
say_result(run_t *run, int rc)
{
    if (rc != CV_H1_MORE) {
        end_body(run);
        run->in_body = false;
    }
    if (rc == CV_H1_END) {
        say(run, "end\n");
    } else if (rc < 0) {
        say(run, "error %u %s\n", cv_h1_error_status(rc), cv_h1_error_rule(rc));
    }
}

/* Gives the parser data[*at, until) as a connection does: what belongs to a head that is not complete stays
 * in one piece, which may move between two reads. Returns false when nothing more is to be read. */
static bool
feed_piece(run_t *run, cv_h1_parser_t *parser, cv_buffer_t *kept, const char *data, size_t len)
{
    size_t old = kept->len;
    char *piece = malloc(old + len + 1); /* exact, so that a sanitizer sees the end; moves every time */
    if (piece == NULL) {
        abort();
    }
    if (old > 0) {
        memcpy(piece, kept->data, old);
    }
    memcpy(piece + old, data, len);
    piece = realloc(piece, old + len);
    kept->len = 0;
    cv_h1_parser_rebase(parser, piece);
    size_t at = old, end = old + len;
    int rc = CV_H1_MORE;
    bool goes_on = true;
    while (goes_on && (at < end)) {
        size_t used = 0;
        rc = cv_h1_parser_feed(parser, piece + at, end - at, &used);
        at += used;
        say_result(run, rc);
        goes_on = rc == CV_H1_MORE || (rc == CV_H1_END && run->keep_alive);
    }
    size_t in_head = cv_h1_parser_in_head(parser) ? cv_h1_parser_head_fed(parser) : 0;
    if (goes_on && cv_buffer_append(kept, piece + end - in_head, in_head) != 0) {
        abort();
    }
    free(piece);
    return goes_on;
}

cv_buffer_t
wire_log_pieces(const char *data, size_t len, wire_pieces_t *pieces, const cv_h1_limits_t *limits)
{
    static const cv_h1_events_t events = {on_head, on_body};
    run_t run = {CV_BUFFER_INIT, CV_BUFFER_INIT, false, false};
    cv_buffer_t kept = CV_BUFFER_INIT;
    cv_h1_pool_t pool;
    cv_h1_parser_t parser;
    cv_h1_pool_init(&pool);
    cv_h1_parser_init(&parser, &events, limits, &pool, &run);
    bool goes_on = true;
    for (size_t at = 0; goes_on && at < len;) {
        size_t piece = pieces->next(pieces);
        piece = piece < len - at ? piece : len - at;
        goes_on = feed_piece(&run, &parser, &kept, data + at, piece);
        at += piece;
    }
    if (goes_on) {
        end_body(&run);
        if (cv_h1_parser_in_head(&parser)) {
            say(&run, "incomplete head\n");
        } else if (run.in_body) {
            say(&run, "incomplete body\n");
        }
    }
    cv_h1_parser_deinit(&parser);
    cv_h1_pool_deinit(&pool);
    cv_buffer_deinit(&run.body);
    cv_buffer_deinit(&kept);
    return run.log;
}

typedef struct {
    wire_pieces_t base;
    size_t first, others;
} cut_t;

static size_t
next_of_cut(wire_pieces_t *pieces)
{
    cut_t *cut = CV_CONTAINER_OF(pieces, cut_t, base);
    size_t len = cut->first;
    cut->first = cut->others;
    return len;
}

cv_buffer_t
wire_log(const char *data, size_t len, size_t cut, const cv_h1_limits_t *limits)
{
    bool bytewise = cut == SIZE_MAX;
    cut_t pieces = {{next_of_cut}, bytewise ? 1 : cut == 0 ? len
                                                           : cut,
                    bytewise ? 1 : len};
    return wire_log_pieces(data, len, &pieces.base, limits);
}
