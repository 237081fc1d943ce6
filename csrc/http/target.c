/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include "base/ascii.h"

/* The value of a hexadecimal digit, or -1. */
static int
hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char low = cv_ascii_lower(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

bool
cv_target_is_plain(const char *path, size_t len)
{
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        uint64_t word = cv_ascii_load8(path + at);
        if ((word & CV_ASCII_HIGH) != 0 || cv_ascii_below_or_equal8(word, 0, '%') != 0) {
            return false;
        }
    }
    for (; at < len; at++) {
        if ((unsigned char)path[at] >= 0x80 || path[at] == '%') {
            return false;
        }
    }
    return true;
}

size_t
cv_target_decode(const char *path, size_t len, char *out)
{
    size_t written = 0;
    for (size_t at = 0; at < len; at++) {
        char c = path[at];
        if (c == '%' && len - at > 2) {
            int high = hex_value(path[at + 1]), low = hex_value(path[at + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high << 4 | low);
                at += 2;
            }
        }
        out[written++] = c;
    }
    return written;
}
