/* SPDX-License-Identifier: MIT */
#include "ws/ws_parser_private.h"

#include <string.h>

/* RFC 6455 section 5.2. */
enum {
    FINAL = 0x80,
    COMPRESSED = 0x40, /* RSV1, RFC 7692 section 6 */
    RESERVED = 0x30,
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH = 0x7f,
    IN_TWO = 126,
    IN_EIGHT = 127,
    START = 2, /* bytes before the length that is longer, or the key */
    KEY = 4,
};

static bool
is_reserved(unsigned opcode)
{
    return (opcode > CV_WS_BINARY && opcode < CV_WS_CLOSE) || opcode > CV_WS_PONG;
}

static int
check_control(unsigned first, unsigned length)
{
    if ((first & FINAL) == 0) {
        return CV_WS_ECONTROL_PART;
    }
    if ((first & COMPRESSED) != 0) {
        return CV_WS_ERESERVED_BITS;
    }
    return length > CV_WS_CONTROL_MAX ? CV_WS_ECONTROL_LONG : 0;
}

/* RSV1 stands on the first frame of a message and on no other (RFC 7692 section 6). */
static int
check_data(const cv_ws_parser_t *parser, unsigned first)
{
    bool goes_on = (first & OPCODE) == CV_WS_CONTINUATION, is_open = parser->message_opcode != 0;
    if (goes_on != is_open) {
        return goes_on ? CV_WS_ECONTINUATION : CV_WS_EINTERRUPTED;
    }
    return (first & COMPRESSED) != 0 && (goes_on || !parser->deflate) ? CV_WS_ERESERVED_BITS : 0;
}

/* What the first two bytes tell. */
static int
check_start(const cv_ws_parser_t *parser, const uint8_t *bytes)
{
    unsigned first = bytes[0], opcode = first & OPCODE;
    if ((first & RESERVED) != 0) {
        return CV_WS_ERESERVED_BITS;
    }
    if (is_reserved(opcode)) {
        return CV_WS_EOPCODE;
    }
    if ((bytes[1] & MASKED) == 0) {
        return CV_WS_EUNMASKED;
    }
    return cv_ws_is_control(opcode) ? check_control(first, bytes[1] & LENGTH) : check_data(parser, first);
}

static uint64_t
big_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* A data frame begins, whose head is whole and in order: the limit is the only thing that is left to break. What a
 * compressed message comes to is seen when it is inflated. */
static int
begin_data(cv_ws_parser_t *parser, unsigned first, uint64_t length)
{
    uint64_t max_size = parser->rules->max_size;
    if (parser->message_opcode == 0) {
        parser->message_opcode = first & OPCODE;
        parser->compressed = (first & COMPRESSED) != 0;
    }
    return !parser->compressed && length > max_size - parser->message.len ? CV_WS_ESIZE : 0;
}

int
cv_ws_head_read(cv_ws_parser_t *parser, const uint8_t *bytes, size_t len)
{
    if (len < START) {
        return 0;
    }
    int error = check_start(parser, bytes);
    if (error != 0) {
        return error;
    }
    uint64_t length = bytes[1] & LENGTH;
    unsigned long_form = length == IN_EIGHT ? 8 : 2;
    unsigned more = length < IN_TWO ? 0 : long_form;
    if (len < START + more + KEY) {
        return 0;
    }
    if (more != 0) {
        uint64_t shortest = length == IN_TWO ? IN_TWO : UINT16_MAX + 1;
        length = big_endian(bytes + START, more);
        if (length < shortest || length > INT64_MAX) {
            return CV_WS_ELENGTH;
        }
    }
    memcpy(parser->key, bytes + START + more, KEY);
    parser->left = length;
    parser->at = 0;
    parser->opcode = bytes[0] & OPCODE;
    parser->final = (bytes[0] & FINAL) != 0;
    parser->in_payload = true;
    error = cv_ws_is_control(parser->opcode) ? 0 : begin_data(parser, bytes[0], length);
    return error != 0 ? error : (int)(START + more + KEY);
}
