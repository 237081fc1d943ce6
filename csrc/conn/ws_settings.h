/* SPDX-License-Identifier: MIT
 *
 * What the WebSockets of one server may do, and what bounds them.
 *
 * Owns:    nothing.
 * Thread:  set once, before the first connection.
 */
#ifndef CUVEE_CONN_WS_SETTINGS_H
#define CUVEE_CONN_WS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws/deflate_offer.h"

typedef struct {
    bool enabled;               /* else a handshake is an ordinary request */
    uint64_t max_size;          /* most bytes of a message; UINT64_MAX: any */
    uint32_t max_queue;         /* messages that wait for the application; UINT32_MAX: any */
    uint32_t limit;             /* open WebSockets; UINT32_MAX: any */
    size_t send_high;           /* queued output above which a send waits */
    uint32_t ping_interval;     /* milliseconds, as all that follow; 0: off */
    uint32_t ping_timeout;
    uint32_t idle_timeout;
    uint32_t close_timeout;
    cv_deflate_rules_t deflate;
} cv_ws_settings_t;

#endif
