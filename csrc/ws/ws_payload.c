/* SPDX-License-Identifier: MIT */
#include "ws/ws_parser_private.h"

#include <errno.h>
#include <string.h>

#include "ws/mask.h"

enum {
    CODE = 2,         /* bytes of a close frame's status code */
    ROOM_LEAST = 512, /* of a message that is put together */
};

/* Section 5.5.1: nothing, or a code, or a code and a reason in UTF-8. */
static int
read_close(cv_ws_event_t *event)
{
    cv_utf8_t utf8 = 0;
    event->code = CV_WS_NO_STATUS;
    if (event->len == 0) {
        return 1;
    }
    if (event->len < CODE) {
        return CV_WS_ECLOSE;
    }
    event->code = (unsigned)(uint8_t)event->data[0] << 8 | (uint8_t)event->data[1];
    event->data += CODE;
    event->len -= CODE;
    if (!cv_ws_code_is_valid(event->code)) {
        return CV_WS_ECLOSE;
    }
    return cv_utf8_feed(&utf8, event->data, event->len) && cv_utf8_is_complete(utf8) ? 1 : CV_WS_EUTF8;
}

static int
end_control(cv_ws_parser_t *parser, const char *data, size_t len, cv_ws_event_t *out)
{
    parser->in_payload = false;
    *out = (cv_ws_event_t){.opcode = (cv_ws_opcode)parser->opcode, .data = data, .len = len};
    return parser->opcode == CV_WS_CLOSE ? read_close(out) : 1;
}

/* Sees that the message has room for bytes that came: twice what it has, but not for more than the last frame brings.
 * What is only declared gets no memory. */
static int
make_room(cv_ws_parser_t *parser, size_t len)
{
    cv_buffer_t *message = &parser->message;
    if (len <= message->cap - message->len) {
        return 0;
    }
    size_t need = message->len + len, room = message->cap * 2;
    room = room < ROOM_LEAST ? ROOM_LEAST : room;
    room = room < need ? need : room;
    if (parser->final && room - message->len > parser->left) {
        room = message->len + (size_t)parser->left;
    }
    return cv_buffer_grow_to(message, room);
}

/* Unmasks bytes to the end of the message. */
static int
append_unmasked(cv_ws_parser_t *parser, const char *data, size_t len)
{
    cv_buffer_t *message = &parser->message;
    int rc = make_room(parser, len);
    if (rc == 0 && len > 0) {
        cv_ws_unmask(message->data + message->len, data, len, parser->key, parser->at);
        message->len += len;
    }
    return rc;
}

/* A control frame that comes in pieces is put together behind the message that it interrupts, if there is one. What it
 * left there stays until the next call. */
static int
take_control(cv_ws_parser_t *parser, char *data, size_t len, cv_ws_event_t *out)
{
    bool ends = len == parser->left;
    if (ends && parser->at == 0) {
        cv_ws_unmask(data, data, len, parser->key, 0);
        return end_control(parser, data, len, out);
    }
    int rc = append_unmasked(parser, data, len);
    parser->at += len;
    parser->left -= len;
    if (rc != 0 || !ends) {
        return rc;
    }
    parser->message.len -= parser->at;
    return end_control(parser, parser->message.data + parser->message.len, (size_t)parser->at, out);
}

/* Says that the message under way is complete, and ends it. Its bytes stay until the next call. */
static int
end_message(cv_ws_parser_t *parser, const char *data, size_t len, cv_ws_event_t *out)
{
    if (parser->message_opcode == CV_WS_TEXT && !cv_utf8_is_complete(parser->utf8)) {
        return CV_WS_EUTF8;
    }
    *out = (cv_ws_event_t){.opcode = (cv_ws_opcode)parser->message_opcode, .data = data, .len = len};
    parser->message.len = 0;
    parser->message_opcode = 0;
    return 1;
}

static int
check_text(cv_ws_parser_t *parser, const char *data, size_t len)
{
    bool good = parser->message_opcode != CV_WS_TEXT || cv_utf8_feed(&parser->utf8, data, len);
    return good ? 0 : CV_WS_EUTF8;
}

static int
error_of_inflater(int rc)
{
    if (rc == CV_INFLATE_EDATA) {
        return CV_WS_EDEFLATE;
    }
    return rc == CV_INFLATE_ESIZE ? CV_WS_ESIZE : rc;
}

/* Inflates a piece of the message, or ends it when `data` is NULL. What came out before an error is looked at first, so
 * that the same rule is broken however the bytes were cut. */
static int
inflate_piece(cv_ws_parser_t *parser, const char *data, size_t len)
{
    cv_buffer_t *message = &parser->message;
    size_t before = message->len;
    uint64_t limit = parser->rules->max_size;
    int rc = data == NULL ? cv_inflater_end(parser->inflater, message, limit)
                          : cv_inflater_feed(parser->inflater, data, len, message, limit);
    int error = message->len > before ? check_text(parser, message->data + before, message->len - before) : 0;
    return error != 0 ? error : error_of_inflater(rc);
}

/* One of the pool's for a message, or one of its own for good. */
static bool
take_inflater(cv_ws_parser_t *parser)
{
    unsigned bits = parser->context_bits;
    parser->inflater = bits != 0 ? cv_inflater_new(bits) : cv_inflaters_take(&parser->rules->inflaters);
    return parser->inflater != NULL;
}

void
cv_ws_inflater_drop(cv_ws_parser_t *parser)
{
    if (parser->inflater == NULL) {
        return;
    }
    if (parser->context_bits != 0) {
        cv_inflater_free(parser->inflater);
    } else {
        cv_inflaters_give_back(&parser->rules->inflaters, parser->inflater);
    }
    parser->inflater = NULL;
}

static int
take_compressed(cv_ws_parser_t *parser, char *data, size_t len, bool ends)
{
    if (len == 0 && !ends) {
        return 0;
    }
    if (parser->inflater == NULL && !take_inflater(parser)) {
        return -ENOMEM;
    }
    cv_ws_unmask(data, data, len, parser->key, parser->at);
    int rc = len > 0 ? inflate_piece(parser, data, len) : 0;
    if (rc != 0 || !ends) {
        return rc;
    }
    rc = inflate_piece(parser, NULL, 0);
    if (parser->context_bits == 0) {
        cv_ws_inflater_drop(parser);
    }
    return rc;
}

static int
take_plain(cv_ws_parser_t *parser, const char *data, size_t len)
{
    size_t before = parser->message.len;
    int rc = append_unmasked(parser, data, len);
    return rc != 0 || len == 0 ? rc : check_text(parser, parser->message.data + before, len);
}

/* A message that is all there: it is handed out from where it lies. */
static int
take_whole(cv_ws_parser_t *parser, char *data, size_t len, cv_ws_event_t *out)
{
    cv_ws_unmask(data, data, len, parser->key, 0);
    parser->in_payload = false;
    int error = check_text(parser, data, len);
    return error != 0 ? error : end_message(parser, data, len, out);
}

static int
take_data(cv_ws_parser_t *parser, char *data, size_t len, cv_ws_event_t *out)
{
    bool frame_ends = len == parser->left, ends = frame_ends && parser->final;
    if (ends && parser->at == 0 && parser->opcode != CV_WS_CONTINUATION && !parser->compressed) {
        return take_whole(parser, data, len, out);
    }
    int rc = parser->compressed ? take_compressed(parser, data, len, ends) : take_plain(parser, data, len);
    parser->at += len;
    parser->left -= len;
    parser->in_payload = !frame_ends;
    return rc != 0 || !ends ? rc : end_message(parser, parser->message.data, parser->message.len, out);
}

int
cv_ws_payload_take(cv_ws_parser_t *parser, char *data, size_t len, size_t *out_used, cv_ws_event_t *out)
{
    size_t count = len < parser->left ? len : (size_t)parser->left;
    *out_used = count;
    return cv_ws_is_control(parser->opcode) ? take_control(parser, data, count, out)
                                            : take_data(parser, data, count, out);
}
