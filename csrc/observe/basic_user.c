/* SPDX-License-Identifier: MIT */
#include "observe/basic_user.h"

#include <stdbool.h>
#include <stdint.h>
#include <strings.h>

static int
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+') {
        return 62;
    }
    return c == '/' ? 63 : -1;
}

static bool
is_basic(cv_span_t value)
{
    static const char SCHEME[] = "basic ";
    return value.len >= sizeof(SCHEME) - 1 && strncasecmp(value.data, SCHEME, sizeof(SCHEME) - 1) == 0;
}

cv_span_t
cv_basic_user(cv_span_t value, char room[CV_BASIC_USER_MAX])
{
    cv_span_t user = {room, 0};
    uint32_t bits = 0;
    int held = 0;
    for (size_t at = is_basic(value) ? 6 : value.len; at < value.len; at++) {
        int six = base64_value(value.data[at]);
        if (six < 0) {
            break;
        }
        bits = bits << 6 | (uint32_t)six;
        held += 6;
        if (held < 8) {
            continue;
        }
        held -= 8;
        char byte = (char)(bits >> held & 0xff);
        if (byte == ':') {
            return user; /* the password, which is nobody's business, begins */
        }
        if (user.len == CV_BASIC_USER_MAX) {
            break;
        }
        room[user.len++] = byte;
    }
    return (cv_span_t){room, 0};
}
