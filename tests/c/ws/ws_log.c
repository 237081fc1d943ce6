/* SPDX-License-Identifier: MIT */
#include "ws_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
put(cv_buffer_t *out, const void *data, size_t len)
{
    if (cv_buffer_append(out, data, len) != 0) {
        abort();
    }
}

static void
put_text(cv_buffer_t *out, const char *text)
{
    put(out, text, strlen(text));
}

static void
put_event(cv_buffer_t *log, const cv_ws_event_t *event)
{
    static const char *const names[] = {
        [CV_WS_TEXT] = "text",
        [CV_WS_BINARY] = "binary",
        [CV_WS_CLOSE] = "close",
        [CV_WS_PING] = "ping",
        [CV_WS_PONG] = "pong",
    };
    char head[64];
    put_text(log, names[event->opcode]);
    if (event->opcode == CV_WS_CLOSE) {
        snprintf(head, sizeof(head), " %u", event->code);
        put_text(log, head);
    }
    snprintf(head, sizeof(head), " %zu ", event->len);
    put_text(log, head);
    put(log, event->data, event->len);
    put_text(log, "\n");
}

/* Gives a piece, in memory of its own that ends with it. Returns the parser's last word. */
static int
feed_piece(cv_ws_parser_t *parser, const char *data, size_t len, cv_buffer_t *log)
{
    char *piece = malloc(len + (len == 0)); /* so that a sanitizer sees what is read behind it */
    if (piece == NULL) {
        abort();
    }
    memcpy(piece, data, len);
    size_t at = 0, used;
    int status = 1;
    while (status > 0) {
        cv_ws_event_t event;
        status = cv_ws_parser_feed(parser, piece + at, len - at, &used, &event);
        at += used;
        if (at > len || (status == 0 && at != len)) {
            abort();
        }
        if (status > 0) {
            put_event(log, &event);
        }
    }
    free(piece);
    return status;
}

cv_buffer_t
ws_log(const char *data, size_t len, const ws_setup_t *setup, const uint8_t *sizes, size_t count)
{
    cv_buffer_t log = CV_BUFFER_INIT;
    cv_ws_parser_rules_t rules = {.max_size = setup->max_size};
    cv_ws_parser_t parser;
    cv_inflaters_init(&rules.inflaters);
    cv_deflate_terms_t terms = {
        .agreed = setup->deflate,
        .client_context = setup->context_bits != 0,
        .client_bits = setup->context_bits,
    };
    cv_ws_parser_init(&parser, &rules, &terms);
    int status = 0;
    size_t at = 0;
    for (size_t i = 0; at < len && status == 0; i++) {
        size_t size = count == 0 ? len : (size_t)sizes[i % count] + 1;
        size = size < len - at ? size : len - at;
        status = feed_piece(&parser, data + at, size, &log);
        at += size;
    }
    char end[32] = "between frames\n";
    if (status < 0) {
        snprintf(end, sizeof(end), "error %d\n", status - CV_WS_EUNMASKED);
    } else if (!cv_ws_parser_is_resting(&parser)) {
        snprintf(end, sizeof(end), "amid a message\n");
    }
    put_text(&log, end);
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
    return log;
}

static void
put_head(cv_buffer_t *out, unsigned first, size_t len, const uint8_t key[4])
{
    uint8_t head[10] = {(uint8_t)first};
    unsigned more = 0;
    head[1] = (uint8_t)(0x80 | len);
    if (len > 125) {
        more = len <= UINT16_MAX ? 2 : 8;
        head[1] = more == 2 ? 0xfe : 0xff;
    }
    for (unsigned i = 0; i < more; i++) {
        head[2 + i] = (uint8_t)((uint64_t)len >> 8 * (more - 1 - i));
    }
    put(out, head, 2 + more);
    put(out, key, 4);
}

void
ws_put_frame(cv_buffer_t *out, unsigned first, const void *data, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    const char *bytes = data;
    put_head(out, first, len, key);
    for (size_t i = 0; i < len; i++) {
        char masked = (char)(bytes[i] ^ key[i % 4]);
        put(out, &masked, 1);
    }
}

void
ws_put_stored(cv_buffer_t *out, unsigned first, const void *data, size_t len)
{
    cv_buffer_t stored = CV_BUFFER_INIT;
    uint8_t head[5] = {0, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len, (uint8_t)(~len >> 8)};
    put(&stored, head, sizeof(head));
    put(&stored, data, len);
    put(&stored, "", (first & 0x80) != 0);
    ws_put_frame(out, first, stored.data, stored.len);
    cv_buffer_deinit(&stored);
}
