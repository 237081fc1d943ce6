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
        return websocket->closed == 0 ? 0 : after(websocket->closed, settings->close_timeout);
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
    websocket->pinged = websocket->messaged = cv_deadlines_now();
    cv_conn_arm(conn);
}

void
cv_conn_ws_note_message(cv_conn_t *conn)
{
    if (conn->env->ws.idle_timeout != 0) {
        conn->websocket->messaged = cv_deadlines_now();
    }
}

void
cv_conn_ws_note_written(cv_conn_t *conn)
{
    cv_websocket_t *websocket = conn->websocket;
    if (websocket->close_sent && websocket->closed == 0) {
        websocket->closed = cv_deadlines_now();
        conn->unsent = cv_transport_unsent(&conn->transport);
    }
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

/* What has come and was not read yet is a sign of life, and so is a peer that waits for us to read. */
static bool
may_have_more(const cv_conn_t *conn)
{
    return !conn->transport.reading || cv_conn_waiting(conn) > 0 || cv_transport_has_input(&conn->transport);
}

/* Nothing was read since a ping, and its time is over. One that has left while we don't read is noticed by a later
 * ping, which it does not take. */
static void
end_ping(cv_conn_t *conn, uint64_t now)
{
    if (may_have_more(conn)) {
        conn->websocket->pinged = now;
        conn->websocket->awaits_life = false;
        return;
    }
    static const char reason[] = "keepalive ping timeout";
    conn->env->limited[CV_TIMEOUT_WS_PING]++;
    cv_conn_ws_tell_end(conn, CV_WS_ABNORMAL, (cv_span_t){reason, sizeof(reason) - 1});
    cv_conn_ws_fail(conn, CV_WS_INTERNAL_ERROR, reason, "no sign of life within --ws-ping-timeout");
}

static void
end_idle(cv_conn_t *conn, uint64_t now)
{
    if (may_have_more(conn)) {
        conn->websocket->messaged = now;
        return;
    }
    static const char text[] = "idle timeout";
    cv_span_t reason = {text, sizeof(text) - 1};
    conn->env->limited[CV_TIMEOUT_WS_IDLE]++;
    conn->env->ops->on_cut(conn, "no message within --ws-idle-timeout");
    if (cv_conn_ws_close(conn, CV_WS_GOING_AWAY, reason) == 0) {
        cv_conn_ws_tell_end(conn, CV_WS_GOING_AWAY, reason);
    }
}

/* The peer did not answer our close frame in time. While it takes what the kernel holds, it has not come to it. */
static void
end_close(cv_conn_t *conn, uint64_t now)
{
    int unsent = cv_transport_unsent(&conn->transport);
    if (unsent < conn->unsent) {
        conn->unsent = unsent;
        conn->websocket->closed = now;
        cv_conn_arm(conn);
        return;
    }
    conn->env->limited[CV_TIMEOUT_WS_CLOSE]++;
    cv_conn_close(conn, false);
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
        end_close(conn, now);
        return;
    }
    if (websocket->failure != 0) {
        cv_conn_ws_settle(conn);
    } else if (is_over(after(websocket->messaged, settings->idle_timeout), now)) {
        end_idle(conn, now);
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
