/* SPDX-License-Identifier: MIT */
#include "ws/ws_handshake.h"

#include <stdint.h>
#include <string.h>

#include "ws/sha1.h"

enum {
    KEY_LEN = 24,    /* 22 digits for 16 bytes, and two pads */
    KEY_DIGITS = 22,
};

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 section 1.3 */
static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"; /* RFC 4648 */

static bool
is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The last digit has four bits that mean nothing: whatever they are, 16 bytes come out. */
bool
cv_ws_key_is_valid(cv_span_t key)
{
    if (key.len != KEY_LEN || key.data[KEY_LEN - 2] != '=' || key.data[KEY_LEN - 1] != '=') {
        return false;
    }
    for (size_t i = 0; i < KEY_DIGITS; i++) {
        if (!is_letter_or_digit(key.data[i]) && key.data[i] != '+' && key.data[i] != '/') {
            return false;
        }
    }
    return true;
}

/* 20 bytes are six times three, and two: 27 digits and a pad. */
static void
write_base64(const uint8_t bytes[CV_SHA1_SIZE], char out[CV_WS_ACCEPT_LEN])
{
    for (size_t from = 0; from < CV_SHA1_SIZE; from += 3, out += 4) {
        uint32_t last = from + 2 < CV_SHA1_SIZE ? bytes[from + 2] : 0;
        uint32_t three = (uint32_t)bytes[from] << 16 | (uint32_t)bytes[from + 1] << 8 | last;
        out[0] = DIGITS[three >> 18];
        out[1] = DIGITS[three >> 12 & 63];
        out[2] = DIGITS[three >> 6 & 63];
        out[3] = from + 2 < CV_SHA1_SIZE ? DIGITS[three & 63] : '=';
    }
}

void
cv_ws_accept(cv_span_t key, char out[CV_WS_ACCEPT_LEN])
{
    char text[KEY_LEN + sizeof(GUID) - 1];
    uint8_t hash[CV_SHA1_SIZE];
    memcpy(text, key.data, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
    cv_sha1(text, sizeof(text), hash);
    write_base64(hash, out);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The comma that ends the first element, or the list's end: one inside a quoted string (RFC 9110 section 5.6.4) does
 * not, and a quote that stays open quotes the rest. */
static size_t
element_end(cv_span_t list)
{
    bool quoted = false;
    size_t at = 0;
    for (; at < list.len && (quoted || list.data[at] != ','); at++) {
        if (list.data[at] == '"') {
            quoted = !quoted;
        } else if (quoted && list.data[at] == '\\' && at + 1 < list.len) {
            at++;
        }
    }
    return at;
}

static cv_span_t
trimmed(cv_span_t text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

bool
cv_ws_list_next(cv_span_t *list, cv_span_t *out)
{
    while (list->len > 0) {
        size_t end = element_end(*list);
        size_t used = end < list->len ? end + 1 : end;
        *out = trimmed((cv_span_t){list->data, end});
        list->data += used;
        list->len -= used;
        if (out->len > 0) {
            return true;
        }
    }
    return false;
}

bool
cv_ws_is_token(cv_span_t name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!is_letter_or_digit(c) && memchr(marks, c, sizeof(marks) - 1) == NULL) {
            return false;
        }
    }
    return name.len > 0;
}
