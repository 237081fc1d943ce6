/* SPDX-License-Identifier: MIT
 *
 * What the WebSocket parser makes of bytes, as text: two runs are compared by it. And frames as clients write them.
 *
 * Owns:    nothing; whoever asks for a log frees it.
 * Errors:  none; without memory the program ends.
 */
#ifndef CUVEE_TESTS_WS_LOG_H
#define CUVEE_TESTS_WS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ws/ws_parser.h"

typedef struct {
    uint64_t max_size;
    bool deflate;
    uint8_t context_bits; /* 0: the client keeps no context */
} ws_setup_t;

/* One line an event: "text 5 Hello", "close 1000 3 bye"; then "between frames" or "amid a message" or "error N" with
 * N counted from -3100. The pieces are as long as `sizes` says, over and over; without any the bytes come whole. */
cv_buffer_t ws_log(const char *data, size_t len, const ws_setup_t *setup, const uint8_t *sizes, size_t count);

/* Appends a masked frame: `first` has FIN, the reserved bits and the opcode. */
void ws_put_frame(cv_buffer_t *out, unsigned first, const void *data, size_t len);

/* Appends a message or fragment that is compressed, as far as DEFLATE without compression goes: RFC 7692 section
 * 7.2.3.3. Only the last one of a message has the byte at its end. */
void ws_put_stored(cv_buffer_t *out, unsigned first, const void *data, size_t len);

#endif
