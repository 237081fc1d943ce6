/* SPDX-License-Identifier: MIT
 *
 * The parser: whatever the bytes are, they come to the same log whole, byte by byte and in any pieces, and the last
 * request to the same as without those before it; what a head says lies within the head and the limits, and what is
 * refused for its length is too long; a path decodes to no more than itself.
 *
 * An input is a byte that chooses the limits, a byte that says how many pieces follow, a byte for the length of each
 * (they begin anew behind the last one), and then what the parser is given.
 */
#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "base/ascii.h"
#include "base/list.h"
#include "fuzz.h"
#include "fuzz_memory.h"
#include "http/field_names.h"
#include "http/target.h"
#include "http/wire_log.h"

enum { PIECES_MAX = 15 };

static const cv_h1_limits_t LIMITS[] = {
    {8190, 65536, 100},
    {20, 60, 2},
    {60, 20, 0},
    {1, 1, 256},
    {200, 300, CV_H1_FIELDS_CEILING},
};

typedef struct {
    wire_pieces_t base;
    const uint8_t *sizes;
    size_t count, next;
} sizes_t;

static size_t
next_size(wire_pieces_t *pieces)
{
    sizes_t *sizes = CV_CONTAINER_OF(pieces, sizes_t, base);
    return (size_t)sizes->sizes[sizes->next++ % sizes->count] + 1;
}

static void
check_same(const cv_buffer_t *whole, const char *how, cv_buffer_t log)
{
    if (log.len != whole->len || (log.len > 0 && memcmp(log.data, whole->data, log.len) != 0)) {
        fprintf(stderr, "whole:\n%.*s%s:\n%.*s", (int)whole->len, whole->data, how, (int)log.len, log.data);
        abort();
    }
    cv_buffer_deinit(&log);
}

/* The last request is the same without those before it. */
static void
check_end(const cv_buffer_t *whole, cv_buffer_t alone)
{
    bool is_end = alone.len <= whole->len
        && (alone.len == 0 || memcmp(whole->data + whole->len - alone.len, alone.data, alone.len) == 0);
    if (!is_end) {
        fprintf(stderr, "whole:\n%.*sits last request alone:\n%.*s", (int)whole->len, whole->data, (int)alone.len,
                alone.data);
        abort();
    }
    cv_buffer_deinit(&alone);
}

static void
check_field(const cv_h1_head_t *head, const cv_h1_field_t *field)
{
    MUST(field->name_len > 0 && field->name + field->name_len < head->size);
    MUST(field->value + field->value_len < head->size);
    if (field->id != CV_FIELD_UNKNOWN) {
        cv_span_t name = cv_field_name(field->id);
        MUST(name.len == field->name_len);
        for (size_t i = 0; i < name.len; i++) {
            MUST(name.data[i] == cv_ascii_lower(head->base[field->name + i]));
        }
    }
}

static void
check_path(const char *path, size_t len)
{
    char *decoded = malloc(len + 1); /* exact but for the one byte, so that a sanitizer sees what is behind it */
    MUST(decoded != NULL);
    decoded[len] = 'x';
    size_t decoded_len = cv_target_decode(path, len, decoded);
    MUST(decoded_len <= len && decoded[len] == 'x');
    if (cv_target_is_plain(path, len)) {
        MUST(decoded_len == len && memcmp(path, decoded, len) == 0);
    }
    free(decoded);
}

/* The limits, and whether the last head lets another one follow. */
typedef struct {
    const cv_h1_limits_t *limits;
    bool keep_alive;
    uint64_t body_left; /* of a body whose length was said */
    bool is_counted;
} heard_t;

static int
on_head(void *owner, const cv_h1_head_t *head)
{
    heard_t *heard = owner;
    uint32_t target_end = head->target + head->target_len;
    MUST(head->size <= heard->limits->head && target_end + strlen(" HTTP/1.1") <= heard->limits->line);
    MUST(head->field_count <= heard->limits->fields && head->minor <= 1);
    MUST(head->method == 0 && head->method_len + 1 == head->target && target_end < head->size);
    MUST(head->path >= head->target && head->path + head->path_len <= target_end);
    MUST(head->query >= head->path + head->path_len || head->query_len == 0);
    MUST(head->query + head->query_len <= target_end || head->query_len == 0);
    MUST(!head->chunked || (head->has_body && head->minor == 1));
    MUST(head->chunked || head->has_body == (head->content_length != 0));
    MUST(memmem(head->base, head->size, "\r\n\r\n", 4) == head->base + head->size - 4);
    for (uint32_t i = 0; i < head->field_count; i++) {
        check_field(head, &head->fields[i]);
    }
    check_path(head->base + head->path, head->path_len);
    heard->keep_alive = head->keep_alive;
    heard->is_counted = !head->chunked;
    heard->body_left = head->content_length;
    return 0;
}

static int
on_body(void *owner, const char *data, size_t len)
{
    heard_t *heard = owner;
    MUST(len > 0 && data != NULL && (!heard->is_counted || len <= heard->body_left));
    heard->body_left -= heard->is_counted ? len : 0;
    return 0;
}

/* What is refused as too long is that: `data` begins the request. */
static void
check_refusal(int error, const char *data, size_t len, const cv_h1_limits_t *limits)
{
    while (len > 1 && memcmp(data, "\r\n", 2) == 0) {
        data += 2;
        len -= 2;
    }
    const char *line_end = memmem(data, len, "\r\n", 2), *head_end = memmem(data, len, "\r\n\r\n", 4);
    if (error == CV_H1_ETARGET_LONG) {
        size_t line = line_end == NULL ? len : (size_t)(line_end - data);
        bool has_version = line > 9 && memcmp(data + line - 9, " HTTP/1.", 8) == 0; /* it is wrong anyway without one */
        MUST(!has_version || line > limits->line || line + 2 > limits->head);
    } else if (error == CV_H1_EHEAD_LARGE) {
        MUST((head_end == NULL ? len : (size_t)(head_end - data) + 4) > limits->head);
    }
}

/* Returns where the last request starts. */
static size_t
check_events(const char *data, size_t len, const cv_h1_limits_t *limits)
{
    static const cv_h1_events_t events = {on_head, on_body};
    heard_t heard = {.limits = limits, .keep_alive = true};
    cv_h1_pool_t pool;
    cv_h1_parser_t parser;
    cv_h1_pool_init(&pool);
    cv_h1_parser_init(&parser, &events, limits, &pool, &heard);
    size_t at = 0, start = 0;
    int status = CV_H1_END;
    while (at < len && status == CV_H1_END && heard.keep_alive) {
        size_t used = 0;
        start = at;
        status = cv_h1_parser_feed(&parser, data + at, len - at, &used);
        MUST(used <= len - at && (status != CV_H1_END || used > 0));
        at += used;
        if (status == CV_H1_END) {
            MUST(cv_h1_parser_is_resting(&parser) && (!heard.is_counted || heard.body_left == 0));
        } else if (status == CV_H1_MORE) {
            MUST(at == len && cv_h1_parser_head_fed(&parser) <= limits->head);
        } else {
            MUST(cv_h1_error_status(status) >= 400 && cv_h1_error_status(status) < 600);
            check_refusal(status, data + start, len - start, limits);
            MUST(cv_h1_error_rule(status)[0] != '\0');
            MUST(cv_h1_parser_feed(&parser, "G", 1, &used) == status && used == 0);
        }
    }
    cv_h1_parser_deinit(&parser);
    cv_h1_pool_deinit(&pool);
    return start;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    const cv_h1_limits_t *limits = &LIMITS[fuzz_byte(&input) % (sizeof(LIMITS) / sizeof(LIMITS[0]))];
    fuzz_input_t sizes = fuzz_take(&input, fuzz_byte(&input) % (PIECES_MAX + 1));
    const char *bytes = (const char *)input.at;
    size_t len = input.left;
    if (len == 0) {
        return 0;
    }
    long blocks = fuzz_memory_blocks();
    size_t start = check_events(bytes, len, limits);
    cv_buffer_t whole = wire_log(bytes, len, 0, limits);
    check_end(&whole, wire_log(bytes + start, len - start, 0, limits));
    check_same(&whole, "byte by byte", wire_log(bytes, len, SIZE_MAX, limits));
    if (sizes.left > 0) {
        sizes_t pieces = {{next_size}, sizes.at, sizes.left, 0};
        check_same(&whole, "in pieces", wire_log_pieces(bytes, len, &pieces.base, limits));
    }
    cv_buffer_deinit(&whole);
    MUST(fuzz_memory_blocks() == blocks);
    return 0;
}
