/* SPDX-License-Identifier: MIT
 *
 * send(): checks each message against the order that the ASGI HTTP specification asks for, and has it taken. That
 * happens when send is called, unless earlier ones still wait for the socket: messages are taken in the order of the
 * calls, whichever tasks these are in.
 */
#include "asgi/send.h"

#include "asgi/channel.h"
#include "asgi/finished.h"
#include "asgi/wait.h"

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

/* Takes one message: a took_t, or -1 with an exception set. */
static int
take_message(CycleObject *cycle, const cv_message_t *message, cv_opening_t *opening)
{
    if (message->type == NULL) {
        PyErr_SetString(PyExc_KeyError, "type");
        return -1;
    }
    if (cycle->disconnected) {
        return drop_message(cycle, message);
    }
    if (cycle->complete || (cycle->trailers_due && cv_conn_awaits_trailers(cycle->conn))) {
        return take_after_body(cycle, message);
    }
    return cycle->started ? take_body_part(cycle, message, opening) : take_before_start(cycle, message);
}

/* Takes the message of `wait`, which is the first that was not taken yet. 1 when the awaitable is finished, 0 when it
 * waits, -1 with an exception set. */
static int
take_waiting(WaitObject *wait)
{
    CycleObject *cycle = (CycleObject *)wait->exchange;
    if (wait->opening != NULL && !cv_opening_is_done(wait->opening)) {
        return 0;
    }
    /* Taking may run code of the application's, which may end the awaitable meanwhile. */
    PyObject *dict = wait->message;
    wait->message = NULL;
    Py_INCREF(cycle);
    cv_message_t message;
    cv_message_read(dict, &cycle->service->state->names, &message);
    int took = take_message(cycle, &message, wait->opening);
    int status = took < 0 ? -1 : 1;
    if (took == TOOK_FULL && cv_step_must_wait(&cycle->exchange)) {
        status = 0;
    }
    if (took == TOOK_OPENING) {
        wait->message = Py_NewRef(dict);
        wait->opening = cv_send_open_path(cycle, &message);
        status = wait->opening == NULL ? -1 : 0;
    } else {
        cv_wait_leave_order(wait);
    }
    if (status == 0 && wait->exchange == NULL) {
        status = 1; /* it is ended: there is nothing to wait with */
    }
    Py_DECREF(cycle);
    Py_DECREF(dict);
    return status;
}

/* First waits until the socket has taken enough and every earlier message was taken, then takes the message if there
 * is one, and waits again if it is too much once more. */
static int
attempt_send(WaitObject *wait, PyObject **result)
{
    if (cv_step_must_wait(wait->exchange) || (wait->message != NULL && !cv_wait_is_first(wait))) {
        return 0;
    }
    int status = wait->message == NULL ? 1 : take_waiting(wait);
    if (status > 0) {
        *result = Py_NewRef(Py_None);
    }
    return status;
}

/* An awaitable that takes the message later, behind those that wait already. */
static PyObject *
wait_with(CycleObject *cycle, PyObject *dict)
{
    PyObject *wait = cv_wait_new(&cycle->exchange, attempt_send, &cycle->senders, dict);
    if (wait != NULL) {
        cv_list_append(&cycle->unsent, &((WaitObject *)wait)->order);
    }
    return wait;
}

PyObject *
cv_send_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    CycleObject *cycle = (CycleObject *)((ChannelObject *)op)->exchange;
    cv_state_t *state = cycle->service->state;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "send() takes one argument, the message");
        return NULL;
    }
    if (!PyDict_Check(args[0])) {
        PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.100s", Py_TYPE(args[0])->tp_name);
        return NULL;
    }
    if (cv_step_must_wait(&cycle->exchange) || !cv_list_is_empty(&cycle->unsent)) {
        return wait_with(cycle, args[0]);
    }
    cv_message_t message;
    cv_message_read(args[0], &state->names, &message);
    switch (take_message(cycle, &message, NULL)) {
    case TOOK:
        return cv_finished(state);
    case TOOK_FULL:
        return cv_wait_new(&cycle->exchange, attempt_send, &cycle->senders, NULL);
    case TOOK_LONG:
        return cv_pause_new(state);
    case TOOK_OPENING:
        return wait_with(cycle, args[0]);
    default:
        return NULL;
    }
}
