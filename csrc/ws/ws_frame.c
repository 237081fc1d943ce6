/* SPDX-License-Identifier: MIT */
#include "ws/ws_frame.h"

#include <string.h>

enum {
    FINAL = 0x80,
    COMPRESSED = 0x40, /* RSV1, RFC 7692 section 6 */
    SHORT_MAX = 125,   /* bytes of a payload whose length stands in the second byte */
    IN_TWO = 126,
    IN_EIGHT = 127,
};

static size_t
put_length(char *out, uint64_t len, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (char)(len >> 8 * (bytes - 1 - i));
    }
    return bytes;
}

size_t
cv_ws_frame_head(char out[CV_WS_HEAD_MAX], cv_ws_opcode opcode, bool compressed, uint64_t len)
{
    out[0] = (char)(FINAL | (compressed ? COMPRESSED : 0) | opcode);
    if (len <= SHORT_MAX) {
        out[1] = (char)len;
        return 2;
    }
    if (len <= UINT16_MAX) {
        out[1] = IN_TWO;
        return 2 + put_length(out + 2, len, 2);
    }
    out[1] = IN_EIGHT;
    return 2 + put_length(out + 2, len, 8);
}

/* True for a byte inside a character of UTF-8. */
static bool
is_inside(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t
cv_ws_close_payload(char out[CV_WS_CONTROL_MAX], unsigned code, cv_span_t reason)
{
    if (code == CV_WS_NO_STATUS) {
        return 0;
    }
    size_t len = reason.len;
    if (len > CV_WS_REASON_MAX) {
        len = CV_WS_REASON_MAX;
        while (len > 0 && is_inside(reason.data[len])) {
            len--;
        }
    }
    put_length(out, code, 2);
    if (len > 0) {
        memcpy(out + 2, reason.data, len);
    }
    return 2 + len;
}

/* 1012 to 1014 are in IANA's registry and came after the RFC; 1004 means nothing, and 1005, 1006 and 1015 are never
 * sent. 1016 to 2999 are for later versions of the protocol. */
bool
cv_ws_code_is_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
