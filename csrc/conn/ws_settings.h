/* SPDX-License-Identifier: MIT
 *
 * What the WebSockets of one server keep to: whether there are any, their limits and times, and how they compress.
 *
 * Owns:    nothing.
 * Thread:  loop thread; set before the first connection.
 * Errors:  none.
 */
#ifndef CUVEE_CONN_WS_SETTINGS_H
#define CUVEE_CONN_WS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws/deflate_offer.h"

typedef struct {
    bool enabled;              /* a handshake is one; else it is an ordinary request */
    uint64_t max_size;         /* bytes of a message, inflated; UINT64_MAX: any */
    uint32_t max_queue;        /* messages that wait for the application; UINT32_MAX: any */
    uint32_t limit;            /* open WebSockets; UINT32_MAX: any */
    size_t send_high;          /* queued output above which a send waits */
    uint32_t ping_interval;    /* milliseconds, as all that follow; 0: no pings */
    uint32_t ping_timeout;     /* for the pong; 0: it may be late */
    uint32_t idle_timeout;     /* without a message in either direction; 0: any time */
    uint32_t close_timeout;    /* for the close frame of the peer; 0: it is not waited for */
    cv_deflate_rules_t deflate;
} cv_ws_settings_t;

/* Off, and the limits and times that stand where nobody says others. */
void cv_ws_settings_init(cv_ws_settings_t *settings);

#endif
