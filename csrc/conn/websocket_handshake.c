/* SPDX-License-Identifier: MIT
 *
 * The handshake (RFC 6455 section 4.2): what a request must have to become a WebSocket, and the answer that makes it
 * one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "conn/websocket_private.h"
#include "http/field_names.h"

#define VERSION "13"

/* True for `word`, which is in lower case, whatever the case of the span. */
static bool
is_word(cv_span_t span, const char *word)
{
    size_t at = 0;
    while (at < span.len && word[at] != 0 && cv_ascii_lower(span.data[at]) == word[at]) {
        at++;
    }
    return at == span.len && word[at] == 0;
}

/* What the fields of a handshake say. */
typedef struct {
    cv_span_t key, version;
    unsigned keys, versions;
    bool asked; /* Upgrade names websocket */
} offer_t;

static offer_t
read_offer(const cv_h1_head_t *head)
{
    offer_t offer = {0};
    for (uint32_t i = 0; i < head->field_count; i++) {
        const cv_h1_field_t *field = &head->fields[i];
        cv_span_t value = cv_h1_span(head, field->value, field->value_len);
        cv_span_t protocol;
        if (field->id == CV_FIELD_SEC_WEBSOCKET_KEY) {
            offer.key = value;
            offer.keys++;
        } else if (field->id == CV_FIELD_SEC_WEBSOCKET_VERSION) {
            offer.version = value;
            offer.versions++;
        } else if (field->id == CV_FIELD_UPGRADE) {
            while (cv_ws_list_next(&value, &protocol)) {
                offer.asked |= is_word(protocol, "websocket");
            }
        }
    }
    return offer;
}

bool
cv_conn_ws_is_asked(const cv_conn_t *conn, const cv_h1_head_t *head)
{
    return conn->env->ws.enabled && head->upgrade && read_offer(head).asked;
}

/* The first extension that the client offers and that we have. */
static void
negotiate(cv_conn_t *conn, const cv_h1_head_t *head)
{
    const cv_deflate_rules_t *rules = &conn->env->ws.deflate;
    cv_deflate_terms_t *terms = &conn->websocket->terms;
    for (uint32_t i = 0; i < head->field_count && rules->enabled && !terms->agreed; i++) {
        const cv_h1_field_t *field = &head->fields[i];
        if (field->id == CV_FIELD_SEC_WEBSOCKET_EXTENSIONS) {
            terms->agreed = cv_deflate_negotiate(cv_h1_span(head, field->value, field->value_len), rules, terms);
        }
    }
}

/* The rule that a handshake breaks, with the status that it gets; or NULL. */
static const char *
find_fault(const cv_h1_head_t *head, const offer_t *offer, unsigned *out_status)
{
    cv_span_t method = cv_h1_span(head, head->method, head->method_len);
    *out_status = 400;
    if (method.len != 3 || memcmp(method.data, "GET", 3) != 0) {
        *out_status = 405;
        return "a WebSocket handshake's method must be GET";
    }
    if (head->has_body) {
        return "a WebSocket handshake has no body";
    }
    if (offer->versions != 1 || !is_word(offer->version, VERSION)) {
        *out_status = 426;
        return "Sec-WebSocket-Version must be " VERSION;
    }
    if (offer->keys != 1 || !cv_ws_key_is_valid(offer->key)) {
        return "Sec-WebSocket-Key must be the base64 of 16 bytes";
    }
    return NULL;
}

static int
refuse_full(cv_conn_t *conn)
{
    conn->env->limited[CV_LIMIT_WEBSOCKETS]++;
    conn->env->ops->on_refused(conn, 503, "more WebSockets than --limit-websockets");
    cv_conn_refuse_busy(conn);
    cv_conn_tell_gone(conn);
    cv_conn_flush(conn);
    return 0;
}

int
cv_conn_ws_handshake(cv_conn_t *conn, const cv_h1_head_t *head)
{
    cv_conn_env_t *env = conn->env;
    offer_t offer = read_offer(head);
    unsigned status;
    const char *fault = find_fault(head, &offer, &status);
    if (fault != NULL) {
        cv_conn_refuse_input(conn, status, fault);
        return 0;
    }
    if (env->ws_count >= env->ws.limit) {
        return refuse_full(conn);
    }
    conn->websocket = calloc(1, sizeof(*conn->websocket));
    if (conn->websocket == NULL) {
        cv_conn_refuse_input(conn, cv_h1_error_status(CV_H1_ENOMEM), cv_h1_error_rule(CV_H1_ENOMEM));
        return 0;
    }
    conn->is_websocket = true;
    conn->is_last = true; /* what follows a handshake that is denied may be frames: it is no request */
    env->ws_count++;
    cv_ws_accept(offer.key, conn->websocket->accept);
    negotiate(conn, head);
    return env->ops->on_websocket(conn, head);
}

static int
append_text(cv_buffer_t *out, const char *text)
{
    return cv_buffer_append(out, text, strlen(text));
}

/* The fields that make the answer a handshake's. They are no application's, so the writer has not to look at them. */
static int
append_own_fields(cv_conn_t *conn)
{
    const cv_websocket_t *websocket = conn->websocket;
    cv_buffer_t *out = &conn->output;
    int error = append_text(out, "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ");
    if (error == 0) {
        error = cv_buffer_append(out, websocket->accept, CV_WS_ACCEPT_LEN);
    }
    if (error == 0 && websocket->terms.agreed) {
        char answer[CV_DEFLATE_ANSWER_MAX];
        size_t len = cv_deflate_answer(&websocket->terms, answer);
        error = append_text(out, "\r\nsec-websocket-extensions: ");
        error = error == 0 ? cv_buffer_append(out, answer, len) : error;
    }
    return error == 0 ? append_text(out, "\r\n") : error;
}

int
cv_conn_ws_respond(cv_conn_t *conn)
{
    int error = cv_conn_respond(conn, 101);
    if (error < 0) {
        return error;
    }
    error = append_own_fields(conn);
    if (error < 0) {
        cv_conn_retract(conn);
    }
    return error;
}

int
cv_conn_ws_field(cv_conn_t *conn, cv_span_t name, cv_span_t value)
{
    static const char *const own[] = {
        "upgrade",
        "connection",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "content-length",
        "transfer-encoding",
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (is_word(name, own[i])) {
            return 0;
        }
    }
    return cv_conn_field(conn, name.data, name.len, value.data, value.len);
}

/* Makes the parser, and what the agreed compression needs for good. */
static int
begin_frames(cv_conn_t *conn)
{
    cv_websocket_t *websocket = conn->websocket;
    const cv_deflate_terms_t *terms = &websocket->terms;
    cv_conn_env_t *env = conn->env;
    if (terms->agreed && terms->server_context) {
        websocket->deflater = cv_deflater_new(env->ws.deflate.level, terms->server_bits);
        if (websocket->deflater == NULL) {
            return -ENOMEM;
        }
    }
    env->ws_rules.max_size = env->ws.max_size;
    env->deflaters.level = env->ws.deflate.level;
    cv_ws_parser_init(&websocket->parser, &env->ws_rules, terms);
    websocket->open = true;
    return 0;
}

int
cv_conn_ws_open(cv_conn_t *conn)
{
    if (!cv_conn_is_answering(conn)) {
        return CV_CONN_EGONE;
    }
    if (!conn->response.head_open || conn->response.status != 101) {
        return -EINVAL;
    }
    int error = cv_conn_output_reserve(conn, cv_conn_end_head_room(conn), false);
    if (error == 0) {
        error = begin_frames(conn);
    }
    if (error == 0) {
        error = cv_conn_end_head(conn, 0, true);
    }
    if (error < 0) {
        return error;
    }
    cv_conn_output_commit(conn);
    conn->response_complete = true;
    conn->state = CV_CONN_WEBSOCKET;
    cv_conn_ws_start_time(conn);
    cv_conn_need_flush(conn);
    if (conn->env->draining) {
        cv_conn_ws_stop(conn);
    }
    cv_conn_ws_parse_waiting(conn);
    if (conn->input_ended && conn->state == CV_CONN_WEBSOCKET) {
        conn->input_ended = false; /* it is read again, behind the frames that came before it */
        cv_conn_watch(conn, conn->transport.writing);
    }
    return 0;
}
