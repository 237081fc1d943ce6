/* SPDX-License-Identifier: MIT
 *
 * What a WebSocket does when its peer is silent: pings, and an end when no sign of life comes; an end for want of
 * messages, and for want of the peer's close frame. Messages only change a time: the deadline looks whether it is due.
 */
#include "conn/websocket_private.h"

/* The earlier of two times, of which 0 means never. */
static uint64_t
earlier(uint64_t one, uint64_t other)
{
    return one == 0 || (other != 0 && other < one) ? other : one;
}

/* `start` plus a time that 0 switches off. */
static uint64_t
after(uint64_t start, uint32_t time)
{
    return time == 0 ? 0 : start + time;
}

uint64_t
cv_conn_ws_due(const cv_conn_t *conn)
{
    const cv_websocket_t *websocket = conn->websocket;
    const cv_ws_settings_t *settings = &conn->env->ws;
    if (websocket->close_sent || websocket->failure != 0) {
        return after(websocket->closed, settings->close_timeout);
    }
    uint32_t wait = websocket->awaits_life ? settings->ping_timeout : settings->ping_interval;
    return earlier(after(websocket->pinged, wait), after(websocket->messaged, settings->idle_timeout));
}

/* The next ping may be due before the answer to this one was: then the deadline is set anew by who reads. */
void
cv_conn_ws_note_life(cv_conn_t *conn)
{
    if (!conn->websocket->awaits_life) {
        return;
    }
    conn->websocket->awaits_life = false;
    if (conn->deadline.kind == CV_CONN_WS && cv_conn_ws_due(conn) < conn->deadline.due) {
        cv_deadline_clear(&conn->deadline);
    }
}

void
cv_conn_ws_start_time(cv_conn_t *conn)
{
    cv_websocket_t *websocket = conn->websocket;
    websocket->pinged = websocket->messaged = uv_now(conn->env->loop);
    cv_conn_arm(conn);
}

/* The time to the next ping counts from this one, whenever its pong comes. While the peer does not take what is queued
 * there is another time that bounds it. */
static void
send_ping(cv_conn_t *conn, uint64_t now)
{
    cv_websocket_t *websocket = conn->websocket;
    uint32_t payload = (uint32_t)(now * 2654435761U); /* another one each time */
    websocket->pinged = now;
    if (conn->queued > conn->env->ws.send_high) {
        return;
    }
    websocket->awaits_life = conn->env->ws.ping_timeout != 0;
    if (cv_conn_ws_control(conn, CV_WS_PING, (cv_span_t){(const char *)&payload, sizeof(payload)}) < 0) {
        cv_conn_close(conn, true);
    }
}

/* Nothing was read since a ping, and its time is over. What has come and was not read yet is a sign of life, and so is
 * a peer that waits for us to read. */
static void
end_ping(cv_conn_t *conn, uint64_t now)
{
    cv_websocket_t *websocket = conn->websocket;
    if (!conn->transport.reading || cv_transport_has_input(&conn->transport)) {
        websocket->pinged = now;
        return;
    }
    static const char reason[] = "keepalive ping timeout";
    conn->env->limited[CV_TIMEOUT_WS_PING]++;
    cv_conn_ws_tell_end(conn, CV_WS_ABNORMAL, (cv_span_t){reason, sizeof(reason) - 1});
    cv_conn_ws_fail(conn, CV_WS_INTERNAL_ERROR, reason, "no sign of life within --ws-ping-timeout");
}

static void
end_idle(cv_conn_t *conn)
{
    static const char text[] = "idle timeout";
    cv_span_t reason = {text, sizeof(text) - 1};
    conn->env->limited[CV_TIMEOUT_WS_IDLE]++;
    conn->env->ops->on_cut(conn, "no message within --ws-idle-timeout");
    if (cv_conn_ws_close(conn, CV_WS_GOING_AWAY, reason) == 0) {
        cv_conn_ws_tell_end(conn, CV_WS_GOING_AWAY, reason);
    }
}

static bool
is_over(uint64_t due, uint64_t now)
{
    return due != 0 && due <= now;
}

void
cv_conn_ws_on_due(cv_conn_t *conn)
{
    const cv_ws_settings_t *settings = &conn->env->ws;
    cv_websocket_t *websocket = conn->websocket;
    uint64_t now = uv_now(conn->env->loop);
    if (conn->state != CV_CONN_WEBSOCKET) {
        return;
    }
    if (websocket->close_sent) {
        conn->env->limited[CV_TIMEOUT_WS_CLOSE]++;
        cv_conn_close(conn, false);
        return;
    }
    if (websocket->failure != 0) {
        cv_conn_ws_settle(conn);
    } else if (is_over(after(websocket->messaged, settings->idle_timeout), now)) {
        end_idle(conn);
    } else if (websocket->awaits_life && is_over(after(websocket->pinged, settings->ping_timeout), now)) {
        end_ping(conn, now);
    } else if (!websocket->awaits_life && is_over(after(websocket->pinged, settings->ping_interval), now)) {
        send_ping(conn, now);
    }
    if (conn->state == CV_CONN_WEBSOCKET) {
        cv_conn_flush(conn);
    }
    if (conn->state == CV_CONN_WEBSOCKET) {
        cv_conn_arm(conn);
    }
}
