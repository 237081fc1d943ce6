/* SPDX-License-Identifier: MIT
 *
 * What the connections of one server share, and what is done to all of them at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/receive.h"
#include "conn/conn_private.h"
#include "conn/conn_rate.h"
#include "conn/websocket_private.h"

/* A request line of 16 KiB holds every URL that browsers and proxies send; a head of 64 KiB holds the cookies that
 * uvicorn lets through; 100 fields is four times what a browser behind three proxies sends. */
enum {
    LINE_LIMIT = 16384,
    HEAD_LIMIT = 65536,
    FIELDS_LIMIT = 100,
    READ_BUFFER_SIZE = 65536,
    READ_HIGH = 65536,
    WRITE_HIGH = 65536,
    WRITE_LOW = 16384,
    BODY_GRACE = 5000,
    BATCH = 64,
    DEFLATED_KEPT = 65536,
};

_Static_assert((int)CV_CONN_DISCONNECT < (int)CV_DEADLINE_KINDS, "each kind of deadline has a place for its duration");

static void on_due(cv_deadlines_t *deadlines, cv_deadline_t *deadline);

static void
configure_defaults(cv_conn_env_t *env)
{
    env->limits = (cv_h1_limits_t){.line = LINE_LIMIT, .head = HEAD_LIMIT, .fields = FIELDS_LIMIT};
    env->body_limit = UINT64_MAX;
    env->body_grace = BODY_GRACE;
    env->read_high = READ_HIGH;
    env->write_high = WRITE_HIGH;
    env->write_low = WRITE_LOW;
    env->batch = BATCH;
    env->date_header = true;
    cv_ws_settings_init(&env->ws);
    cv_deadlines_configure(&env->deadlines, CV_CONN_HEAD, 30000);
    cv_deadlines_configure(&env->deadlines, CV_CONN_KEEP_ALIVE, 5000);
    cv_deadlines_configure(&env->deadlines, CV_CONN_BODY, 60000);
    cv_deadlines_configure(&env->deadlines, CV_CONN_UNREAD_BODY, 5000);
    cv_deadlines_configure(&env->deadlines, CV_CONN_LINGER, 2000);
    cv_deadlines_configure(&env->deadlines, CV_CONN_WRITE, 60000);
    /* Longer than an answer and the next request are under way between any two places on earth. */
    cv_deadlines_configure(&env->deadlines, CV_CONN_DRAIN, 1000);
}

int
cv_conn_env_init(cv_conn_env_t *env, uv_loop_t *loop, const cv_conn_ops_t *ops)
{
    memset(env, 0, sizeof(*env));
    env->loop = loop;
    env->ops = ops;
    env->read_buffer_size = READ_BUFFER_SIZE;
    env->read_buffer = aligned_alloc(CV_RECEIVE_ALIGNMENT, env->read_buffer_size);
    if (env->read_buffer == NULL) {
        return -ENOMEM;
    }
    int status = cv_deadlines_init(&env->deadlines, loop, on_due);
    if (status < 0) {
        free(env->read_buffer);
        env->read_buffer = NULL;
        return status;
    }
    cv_h1_pool_init(&env->heads);
    cv_http_date_init(&env->date);
    cv_list_init(&env->conns);
    cv_list_init(&env->unflushed);
    cv_inflaters_init(&env->ws_rules.inflaters);
    cv_deflaters_init(&env->deflaters, env->ws.deflate.level);
    configure_defaults(env);
    return 0;
}

static void
end_deinit(cv_conn_env_t *env)
{
    while (env->spare_output_count > 0) {
        cv_buffer_deinit(&env->spare_output[--env->spare_output_count]);
    }
    while (env->spare_parser_count > 0) {
        free(env->spare_parsers[--env->spare_parser_count]);
    }
    cv_h1_pool_deinit(&env->heads);
    cv_inflaters_deinit(&env->ws_rules.inflaters);
    cv_deflaters_deinit(&env->deflaters);
    cv_buffer_deinit(&env->deflated);
    cv_default_fields_deinit(&env->default_fields);
    free(env->read_buffer);
    env->read_buffer = NULL;
    env->on_closed(env);
}

static void
on_deadlines_closed(cv_deadlines_t *deadlines)
{
    cv_conn_env_t *env = CV_CONTAINER_OF(deadlines, cv_conn_env_t, deadlines);
    env->timer_closed = true;
    if (env->unfreed == 0) {
        end_deinit(env);
    }
}

void
cv_conn_env_deinit(cv_conn_env_t *env, void (*on_closed)(cv_conn_env_t *env))
{
    env->on_closed = on_closed;
    cv_deadlines_close(&env->deadlines, on_deadlines_closed);
}

void
cv_conn_env_hold(cv_conn_env_t *env)
{
    env->unfreed++;
}

void
cv_conn_env_let_go(cv_conn_env_t *env)
{
    env->unfreed--;
    if (env->unfreed == 0 && env->timer_closed) {
        end_deinit(env);
    }
}

void
cv_conn_free(cv_conn_t *conn)
{
    cv_conn_env_t *env = conn->env;
    cv_conn_free_parser(conn);
    if (conn->is_websocket) {
        cv_conn_ws_free(conn);
    }
    cv_buffer_deinit(&conn->input);
    cv_buffer_deinit(&conn->output);
    free(conn->segments);
    free(conn);
    cv_conn_env_let_go(env);
}

/* Who sends a message to many does so in one turn. */
static void
forget_deflated(cv_conn_env_t *env)
{
    env->deflated_bits = 0;
    if (env->deflated.cap > DEFLATED_KEPT) {
        cv_buffer_deinit(&env->deflated);
    }
}

void
cv_conn_env_flush(cv_conn_env_t *env)
{
    env->handed_up = 0;
    /* A callback may queue output on any connection; a connection that waits for room is never put back here. */
    while (!cv_list_is_empty(&env->unflushed)) {
        cv_conn_flush(CV_CONTAINER_OF(env->unflushed.next, cv_conn_t, flush_node));
    }
    forget_deflated(env);
}

void
cv_conn_env_retire(cv_conn_env_t *env)
{
    if (!env->retiring) {
        env->retiring = true;
        env->retired = cv_deadlines_now();
    }
}

static void
end_drained(cv_conn_t *conn)
{
    if (cv_transport_has_input(&conn->transport)) {
        cv_deadline_set(&conn->env->deadlines, &conn->deadline, CV_CONN_HEAD);
    } else {
        cv_conn_close(conn, false);
    }
}

/* The time that an idle connection has counts from when it became idle, which its deadline tells. */
static void
drain_idle(cv_conn_t *conn)
{
    cv_deadlines_t *deadlines = &conn->env->deadlines;
    cv_deadline_t *deadline = &conn->deadline;
    if (conn->is_websocket) {
        cv_conn_ws_stop(conn);
        return;
    }
    if (conn->state > CV_CONN_IDLE || conn->queued > 0) {
        return;
    }
    if (!cv_deadline_is_set(deadline)) {
        cv_conn_arm(conn);
        return;
    }
    uint64_t due = deadline->due - deadlines->durations[deadline->kind] + deadlines->durations[CV_CONN_DRAIN];
    due = due < deadline->due ? due : deadline->due;
    if (due > cv_deadlines_now()) {
        cv_deadline_set_at(deadlines, deadline, CV_CONN_DRAIN, due);
    } else {
        end_drained(conn);
    }
}

void
cv_conn_env_drain(cv_conn_env_t *env)
{
    cv_conn_env_retire(env);
    env->draining = true;
    cv_list_t all;
    cv_list_take(&all, &env->conns);
    while (!cv_list_is_empty(&all)) {
        cv_conn_t *conn = CV_CONTAINER_OF(all.next, cv_conn_t, node);
        cv_list_remove(&conn->node);
        cv_list_append(&env->conns, &conn->node);
        drain_idle(conn);
    }
    cv_conn_env_flush(env);
}

void
cv_conn_drain(cv_conn_t *conn)
{
    conn->is_last = true;
    if (conn->is_websocket) {
        cv_conn_ws_stop(conn);
    }
    bool idle = conn->state <= CV_CONN_IDLE && cv_conn_waiting(conn) == 0
        && !cv_transport_has_input(&conn->transport);
    if (idle || conn->state == CV_CONN_DISCARD) {
        conn->close_after_write = true;
        cv_conn_need_flush(conn);
    }
    cv_conn_flush(conn);
}

void
cv_conn_env_abort(cv_conn_env_t *env)
{
    while (!cv_list_is_empty(&env->conns)) {
        cv_conn_abort(CV_CONTAINER_OF(env->conns.next, cv_conn_t, node));
    }
}

/* Nothing of a request came in time. Bytes that came just now and were not read yet still count. */
static void
end_idle(cv_conn_t *conn, cv_limit_t limit)
{
    if (cv_transport_has_input(&conn->transport)) {
        cv_deadline_set(&conn->env->deadlines, &conn->deadline, CV_CONN_HEAD);
        return;
    }
    conn->env->limited[limit]++;
    if (conn->state == CV_CONN_PREAMBLE && !conn->bars_preamble && cv_conn_waiting(conn) > 0) {
        cv_conn_refuse_preamble(conn, "PROXY preamble not complete within --timeout-head");
    } else {
        cv_conn_close(conn, false);
    }
}

/* The loop may have been held up and looks at the time first: what is there by now is read before the end. No more than
 * that, or who sends and sends would go on for ever. */
static bool
reads_first(cv_conn_t *conn)
{
    return cv_transport_has_input(&conn->transport) && cv_deadline_prolong(&conn->env->deadlines, &conn->deadline);
}

static void
end_head(cv_conn_t *conn)
{
    if (reads_first(conn)) {
        return;
    }
    conn->env->limited[CV_TIMEOUT_HEAD]++;
    cv_conn_refuse_input(conn, 408, "head not complete within --timeout-head");
}

static void
end_body(cv_conn_t *conn)
{
    if (!cv_conn_is_answering(conn)) {
        return; /* answered since: the flush to come sets what bounds the connection now */
    }
    if (cv_transport_has_input(&conn->transport)) {
        cv_conn_arm(conn);
    } else if (conn->env->body_rate != 0 && cv_conn_rate_left(conn) == 0) {
        conn->env->limited[CV_LIMIT_BODY_RATE]++;
        cv_conn_refuse_input(conn, 408, "body slower than --limit-body-rate");
    } else {
        conn->env->limited[CV_TIMEOUT_BODY]++;
        cv_conn_refuse_input(conn, 408, "nothing of a body came within --timeout-body");
    }
}

/* Counts, and tells above unless that knows the end already. */
static void
tell_cut(cv_conn_t *conn, cv_limit_t limit, const char *rule)
{
    conn->env->limited[limit]++;
    if (!conn->gone) {
        conn->env->ops->on_cut(conn, rule);
    }
}

static void
end_unread_body(cv_conn_t *conn)
{
    if (reads_first(conn)) {
        return;
    }
    tell_cut(conn, CV_TIMEOUT_UNREAD_BODY, "rest of a body not there within --timeout-unread-body");
    cv_conn_linger(conn);
}

/* The kernel takes more from us only when a good part of what it holds is gone: a slow peer is no stall. */
static void
end_write(cv_conn_t *conn)
{
    int unsent = cv_transport_unsent(&conn->transport);
    if (unsent < conn->unsent) {
        conn->unsent = unsent;
        cv_conn_arm(conn);
        return;
    }
    tell_cut(conn, CV_TIMEOUT_WRITE, "nothing of an answer was taken within --timeout-write");
    cv_conn_close(conn, true);
}

static void
on_due(cv_deadlines_t *deadlines, cv_deadline_t *deadline)
{
    if (deadline->kind >= CV_CONN_REQUEST) {
        cv_conn_env_t *env = CV_CONTAINER_OF(deadlines, cv_conn_env_t, deadlines);
        env->ops->on_due(env, deadline);
        return;
    }
    cv_conn_t *conn = CV_CONTAINER_OF(deadline, cv_conn_t, deadline);
    switch (deadline->kind) {
    case CV_CONN_HEAD:
    case CV_CONN_KEEP_ALIVE:
        if (conn->state == CV_CONN_READ_HEAD) {
            end_head(conn);
        } else {
            end_idle(conn, conn->fresh ? CV_TIMEOUT_HEAD : CV_TIMEOUT_KEEP_ALIVE);
        }
        break;
    case CV_CONN_BODY:
        end_body(conn);
        break;
    case CV_CONN_UNREAD_BODY:
        end_unread_body(conn);
        break;
    case CV_CONN_WRITE:
        end_write(conn);
        break;
    case CV_CONN_DRAIN:
        end_drained(conn);
        break;
    case CV_CONN_WS:
    case CV_CONN_WS_CLOSE:
        cv_conn_ws_on_due(conn);
        break;
    default:
        conn->env->limited[CV_TIMEOUT_LINGER]++;
        cv_conn_close(conn, false);
        break;
    }
}
