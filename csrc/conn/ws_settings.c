/* SPDX-License-Identifier: MIT */
#include "conn/ws_settings.h"

/* uvicorn's, where it has such a limit: 16 MiB and 32 messages. A window of 12 bits finds nearly all that there is to
 * find in messages of a few KiB, with an eighth of the memory; shorter ones than the threshold hardly shrink. */
enum {
    MAX_SIZE = 16777216,
    MAX_QUEUE = 32,
    SEND_HIGH = 65536,
    PING_INTERVAL = 20000,
    PING_TIMEOUT = 20000,
    CLOSE_TIMEOUT = 10000,
    DEFLATE_WINDOW = 12,
    DEFLATE_LEVEL = 3,
    DEFLATE_THRESHOLD = 128,
};

void
cv_ws_settings_init(cv_ws_settings_t *settings)
{
    *settings = (cv_ws_settings_t){
        .max_size = MAX_SIZE,
        .max_queue = MAX_QUEUE,
        .limit = UINT32_MAX,
        .send_high = SEND_HIGH,
        .ping_interval = PING_INTERVAL,
        .ping_timeout = PING_TIMEOUT,
        .close_timeout = CLOSE_TIMEOUT,
        .deflate = {
            .enabled = true,
            .window = DEFLATE_WINDOW,
            .level = DEFLATE_LEVEL,
            .threshold = DEFLATE_THRESHOLD,
        },
    };
}
