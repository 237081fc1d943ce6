/* SPDX-License-Identifier: MIT
 *
 * What an HTTP exchange does with the messages that it is sent: checks each against the order that the ASGI HTTP
 * specification asks for, and has it taken.
 */
#include "asgi/send.h"

static bool
is_offered(const CycleObject *cycle, cv_extension_t extension)
{
    bool known = extension != CV_EARLY_HINT || cycle->is_http_1_1;
    return known && (cycle->service->extensions.enabled & extension) != 0;
}

static int
expected(const char *due, PyObject *type)
{
    PyErr_Format(PyExc_RuntimeError, "Expected ASGI message '%s', but got '%S'.", due, type);
    return -1;
}

/* What may come before the head of the answer. */
static int
take_before_start(CycleObject *cycle, const cv_message_t *message)
{
    cv_service_t *service = cycle->service;
    const cv_names_t *names = &service->state->names;
    if (cv_message_is(message->type, names->http_response_start, &service->start_text)) {
        return cv_send_start(cycle, message);
    }
    if (cv_message_says(message->type, names->http_response_early_hint) && is_offered(cycle, CV_EARLY_HINT)) {
        return cv_send_early_hint(cycle, message);
    }
    return expected("http.response.start", message->type);
}

/* What may come between the head and the end of the body. */
static int
take_body_part(CycleObject *cycle, const cv_message_t *message, cv_opening_t *opening)
{
    cv_service_t *service = cycle->service;
    const cv_names_t *names = &service->state->names;
    PyObject *type = message->type;
    if (cv_message_is(type, names->http_response_body, &service->body_text)) {
        return cv_send_body(cycle, message);
    }
    if (cv_message_says(type, names->http_response_pathsend) && is_offered(cycle, CV_PATHSEND)) {
        return cv_send_path(cycle, opening);
    }
    if (cv_message_says(type, names->http_response_zerocopysend) && is_offered(cycle, CV_ZEROCOPYSEND)) {
        return cv_send_descriptor(cycle, message);
    }
    if (cv_message_says(type, names->http_response_early_hint) && is_offered(cycle, CV_EARLY_HINT)) {
        return cv_send_early_hint(cycle, message);
    }
    return expected("http.response.body", type);
}

/* The answer is complete, or its body is: only trailers that were announced may come. */
static int
take_after_body(CycleObject *cycle, const cv_message_t *message)
{
    if (cycle->trailers_due) {
        return cv_message_says(message->type, cycle->service->state->names.http_response_trailers)
            ? cv_send_trailers(cycle, message)
            : expected("http.response.trailers", message->type);
    }
    PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message '%S' sent, after response already completed.",
                 message->type);
    return -1;
}

/* True when nothing of the answer follows the message; -1 with an exception. */
static int
is_last(CycleObject *cycle, const cv_message_t *message)
{
    cv_service_t *service = cycle->service;
    const cv_names_t *names = &service->state->names;
    PyObject *type = message->type;
    bool is_file = cv_message_says(type, names->http_response_pathsend);
    int more = 1;
    if (cv_message_says(type, names->http_response_trailers)) {
        cv_message_extra_t extra;
        cv_message_read_extra(message, names, &extra);
        more = cv_send_more(extra.more_trailers);
    } else if (!cycle->trailers_due
               && (is_file || cv_message_is(type, names->http_response_body, &service->body_text)
                   || cv_message_says(type, names->http_response_zerocopysend))) {
        more = is_file ? 0 : cv_send_more(message->more_body);
    }
    return more < 0 ? -1 : !more;
}

/* Nobody reads the message. The last one ends the answer all the same: what the application does behind it is not done
 * for its client. */
static int
drop_message(CycleObject *cycle, const cv_message_t *message)
{
    int last = is_last(cycle, message);
    if (last > 0) {
        cv_cycle_complete(cycle);
    }
    return last < 0 ? -1 : (int)cv_step_to_nobody(&cycle->exchange);
}

int
cv_send_take(ExchangeObject *exchange, PyObject *dict, cv_opening_t *opening)
{
    CycleObject *cycle = (CycleObject *)exchange;
    cv_message_t message;
    cv_message_read(dict, &cycle->service->state->names, &message);
    if (message.type == NULL) {
        PyErr_SetString(PyExc_KeyError, "type");
        return -1;
    }
    if (cycle->disconnected) {
        return drop_message(cycle, &message);
    }
    if (cycle->complete || (cycle->trailers_due && cv_conn_awaits_trailers(cycle->conn))) {
        return take_after_body(cycle, &message);
    }
    return cycle->started ? take_body_part(cycle, &message, opening) : take_before_start(cycle, &message);
}
