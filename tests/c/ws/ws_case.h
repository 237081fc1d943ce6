/* SPDX-License-Identifier: MIT
 *
 * For the tests of the WebSocket parser: bytes are put together, and what comes of them is checked whole, byte by byte,
 * and cut in two at every byte.
 */
#ifndef CUVEE_TESTS_WS_CASE_H
#define CUVEE_TESTS_WS_CASE_H

#include "cv_test.h"
#include "ws/ws_log.h"

enum { TEXT = 0x81,
       TEXT_OPEN = 0x01,
       BINARY = 0x82,
       BINARY_OPEN = 0x02,
       GOES_ON = 0x00,
       ENDS = 0x80,
       CLOSE = 0x88,
       PING = 0x89,
       PONG = 0x8a,
       RSV1 = 0x40 };

static const ws_setup_t PLAIN = {.max_size = 1 << 20};
static const ws_setup_t SMALL = {.max_size = 10};
static const ws_setup_t DEFLATE = {.max_size = 1 << 20, .deflate = true};
static const ws_setup_t CONTEXT = {.max_size = 1 << 20, .deflate = true, .context_bits = 15};
static const ws_setup_t SMALL_DEFLATE = {.max_size = 10, .deflate = true};

static cv_buffer_t wire;

static inline void
frame(unsigned first, const char *text)
{
    ws_put_frame(&wire, first, text, strlen(text));
}

static inline void
raw(const char *bytes, size_t len)
{
    CHECK_EQ(cv_buffer_append(&wire, bytes, len), 0);
}

static inline void
check_log(const ws_setup_t *setup, const uint8_t *sizes, size_t count, const char *expected)
{
    cv_buffer_t log = ws_log(wire.data, wire.len, setup, sizes, count);
    CHECK_BYTES(log.data, log.len, expected);
    cv_buffer_deinit(&log);
}

/* Checks what came of the wire, however it is cut, and empties it. */
static inline void
check(const ws_setup_t *setup, const char *expected)
{
    check_log(setup, NULL, 0, expected);
    check_log(setup, (const uint8_t[]){0}, 1, expected);
    for (size_t cut = 1; cut < wire.len && cut <= 255; cut++) {
        check_log(setup, (const uint8_t[]){(uint8_t)(cut - 1), 255}, 2, expected);
    }
    cv_buffer_deinit(&wire);
}

static inline void
error_text(int error, char out[32])
{
    snprintf(out, 32, "error %d\n", error - CV_WS_EUNMASKED);
}

static inline void
check_error(const ws_setup_t *setup, int error)
{
    char text[32];
    error_text(error, text);
    check(setup, text);
}

#endif
