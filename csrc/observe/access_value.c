/* SPDX-License-Identifier: MIT */
#include "observe/access_value.h"

#include <string.h>

static bool
is_plain(unsigned char byte)
{
    return byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
}

static char *
put_hex(char *at, unsigned char byte)
{
    static const char DIGITS[] = "0123456789ABCDEF";
    *at++ = DIGITS[byte >> 4];
    *at++ = DIGITS[byte & 15];
    return at;
}

static char *
put_escaped(char *at, unsigned char byte, bool json)
{
    *at++ = '\\';
    if (!json) {
        *at++ = 'x';
        return put_hex(at, byte);
    }
    if (byte == '"' || byte == '\\') {
        *at++ = (char)byte;
        return at;
    }
    memcpy(at, "u00", 3);
    return put_hex(at + 3, byte);
}

char *
cv_access_value_put(char *at, cv_span_t value, bool json)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        if (is_plain(byte)) {
            *at++ = (char)byte;
        } else {
            at = put_escaped(at, byte, json);
        }
    }
    return at;
}

char *
cv_access_number_put(char *at, uint64_t number, unsigned decimals)
{
    char digits[CV_ACCESS_NUMBER_MAX];
    char *first = digits + sizeof(digits);
    for (unsigned place = 0; number != 0 || place <= decimals; place++) {
        if (place == decimals && decimals != 0) {
            *--first = '.';
        }
        *--first = (char)('0' + number % 10);
        number /= 10;
    }
    size_t len = (size_t)(digits + sizeof(digits) - first);
    memcpy(at, first, len);
    return at + len;
}
