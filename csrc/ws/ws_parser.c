/* SPDX-License-Identifier: MIT */
#include "ws/ws_parser_private.h"

#include <string.h>

void
cv_ws_parser_init(cv_ws_parser_t *parser, cv_ws_parser_rules_t *rules, const cv_deflate_terms_t *terms)
{
    *parser = (cv_ws_parser_t){.rules = rules, .deflate = terms->agreed};
    if (terms->agreed && terms->client_context) {
        parser->context_bits = terms->client_bits;
    }
    cv_buffer_init(&parser->message);
}

void
cv_ws_parser_deinit(cv_ws_parser_t *parser)
{
    cv_ws_inflater_drop(parser);
    cv_buffer_deinit(&parser->message);
}

/* The head of a frame that was begun in an earlier call. Returns as cv_ws_head_read; *out_used is how many of these
 * bytes belong to it. */
static int
complete_head(cv_ws_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    size_t had = parser->head_len, room = sizeof(parser->head) - had;
    size_t count = len < room ? len : room;
    memcpy(parser->head + had, data, count);
    int size = cv_ws_head_read(parser, parser->head, had + count);
    parser->head_len = size == 0 ? (uint8_t)(had + count) : 0;
    *out_used = size > 0 ? (size_t)size - had : count;
    return size;
}

/* As cv_ws_head_read; a head that does not end here is kept. */
static int
take_head(cv_ws_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    if (parser->head_len > 0) {
        return complete_head(parser, data, len, out_used);
    }
    int size = cv_ws_head_read(parser, (const uint8_t *)data, len);
    if (size == 0) {
        memcpy(parser->head, data, len);
        parser->head_len = (uint8_t)len;
    }
    *out_used = size > 0 ? (size_t)size : len;
    return size;
}

/* Takes a head if one is due, and what there is of its payload: none of an empty one. Returns as cv_ws_parser_feed. */
static int
take_part(cv_ws_parser_t *parser, char *data, size_t len, size_t *out_used, cv_ws_event_t *out)
{
    size_t head = 0, payload = 0;
    if (!parser->in_payload) {
        int size = take_head(parser, data, len, &head);
        if (size <= 0) {
            *out_used = head;
            return size;
        }
    }
    int status = 0;
    if (head < len || parser->left == 0) {
        status = cv_ws_payload_take(parser, data + head, len - head, &payload, out);
    }
    *out_used = head + payload;
    return status;
}

int
cv_ws_parser_feed(cv_ws_parser_t *parser, char *data, size_t len, size_t *out_used, cv_ws_event_t *out)
{
    if (parser->message.cap != 0 && parser->message_opcode == 0 && !parser->in_payload) {
        cv_buffer_deinit(&parser->message); /* of the event before this call */
    }
    size_t at = 0;
    int status = 0;
    while (at < len && status == 0) {
        size_t used;
        status = take_part(parser, data + at, len - at, &used, out);
        at += used;
    }
    *out_used = at;
    return status;
}

bool
cv_ws_parser_is_resting(const cv_ws_parser_t *parser)
{
    return parser->message_opcode == 0 && !parser->in_payload && parser->head_len == 0;
}
