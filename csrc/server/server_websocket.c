/* SPDX-License-Identifier: MIT */
#include "server/server_websocket.h"

#include <stddef.h>

#include "server/server_numbers.h"

#define IN_SETTINGS(field) offsetof(cv_ws_settings_t, field)
#define MOST_SECONDS 4294967.0 /* as milliseconds they are a uint32_t */

static const cv_number_t settings_there_are[] = {
    {"ws_max_size", CV_NUMBER_UINT64, IN_SETTINGS(max_size), 0, CV_NUMBER_MOST_OF_ALL},
    {"ws_max_queue", CV_NUMBER_UINT32, IN_SETTINGS(max_queue), 0, CV_NUMBER_MOST_THINGS},
    {"ws_ping_interval", CV_NUMBER_SECONDS32, IN_SETTINGS(ping_interval), 0, MOST_SECONDS},
    {"ws_ping_timeout", CV_NUMBER_SECONDS32, IN_SETTINGS(ping_timeout), 0, MOST_SECONDS},
    {"ws_per_message_deflate", CV_NUMBER_FLAG, IN_SETTINGS(deflate.enabled), 0, 1},
    {"ws_deflate_level", CV_NUMBER_UINT8, IN_SETTINGS(deflate.level), 1, 9},
    {"ws_deflate_window", CV_NUMBER_UINT8, IN_SETTINGS(deflate.window), 9, 15},
    {"ws_deflate_threshold", CV_NUMBER_UINT32, IN_SETTINGS(deflate.threshold), 0, CV_NUMBER_MOST_BYTES},
    {"ws_deflate_context", CV_NUMBER_FLAG, IN_SETTINGS(deflate.context), 0, 1},
    {"ws_send_queue", CV_NUMBER_SIZE, IN_SETTINGS(send_high), 1, CV_NUMBER_MOST_BYTES},
    {"ws_idle_timeout", CV_NUMBER_SECONDS32, IN_SETTINGS(idle_timeout), 0, MOST_SECONDS},
    {"ws_close_timeout", CV_NUMBER_SECONDS32, IN_SETTINGS(close_timeout), 0, MOST_SECONDS},
    {"limit_websockets", CV_NUMBER_UINT32, IN_SETTINGS(limit), 0, CV_NUMBER_MOST_THINGS},
};

enum { COUNT = sizeof settings_there_are / sizeof settings_there_are[0] };

/* The options say 0 where there is no limit. */
static void
lift_limits(cv_ws_settings_t *settings)
{
    if (settings->max_size == 0) {
        settings->max_size = UINT64_MAX;
    }
    if (settings->max_queue == 0) {
        settings->max_queue = UINT32_MAX;
    }
    if (settings->limit == 0) {
        settings->limit = UINT32_MAX;
    }
}

int
cv_server_websocket_set(cv_ws_settings_t *settings, PyObject *websocket)
{
    if (websocket == Py_None) {
        return 0;
    }
    if (cv_numbers_take(settings, settings_there_are, COUNT, websocket, "setting of WebSocket") < 0) {
        return -1;
    }
    lift_limits(settings);
    settings->enabled = true;
    return 0;
}
