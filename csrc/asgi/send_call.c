/* SPDX-License-Identifier: MIT
 *
 * send(), whatever the kind of the exchange: the message is taken when send is called, unless earlier ones still wait
 * for the socket: messages are taken in the order of the calls, whichever tasks these are in.
 */
#include "asgi/channel.h"
#include "asgi/finished.h"
#include "asgi/step.h"
#include "asgi/wait.h"

/* Takes the message of `wait`, which is the first that was not taken yet. 1 when the awaitable is finished, 0 when it
 * waits, -1 with an exception set. */
static int
take_waiting(WaitObject *wait)
{
    ExchangeObject *exchange = wait->exchange;
    if (wait->opening != NULL && !cv_opening_is_done(wait->opening)) {
        return 0;
    }
    /* Taking may run code of the application's, which may end the awaitable meanwhile. */
    PyObject *dict = wait->message;
    wait->message = NULL;
    Py_INCREF(exchange);
    int took = exchange->kind->take(exchange, dict, wait->opening);
    int status = took < 0 ? -1 : 1;
    if (took == TOOK_FULL && cv_step_must_wait(exchange)) {
        status = 0;
    }
    if (took == TOOK_OPENING) {
        wait->message = Py_NewRef(dict);
        wait->opening = exchange->kind->open(exchange, dict);
        status = wait->opening == NULL ? -1 : 0;
    } else {
        cv_wait_leave_order(wait);
    }
    if (status == 0 && wait->exchange == NULL) {
        status = 1; /* it is ended: there is nothing to wait with */
    }
    Py_DECREF(exchange);
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
wait_with(ExchangeObject *exchange, PyObject *dict)
{
    PyObject *wait = cv_wait_new(exchange, attempt_send, &exchange->senders, dict);
    if (wait != NULL) {
        cv_list_append(&exchange->unsent, &((WaitObject *)wait)->order);
    }
    return wait;
}

PyObject *
cv_send_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    ExchangeObject *exchange = ((ChannelObject *)op)->exchange;
    cv_state_t *state = exchange->service->state;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "send() takes one argument, the message");
        return NULL;
    }
    if (!PyDict_Check(args[0])) {
        PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.100s", Py_TYPE(args[0])->tp_name);
        return NULL;
    }
    if (cv_step_must_wait(exchange) || !cv_list_is_empty(&exchange->unsent)) {
        return wait_with(exchange, args[0]);
    }
    switch (exchange->kind->take(exchange, args[0], NULL)) {
    case TOOK:
        return cv_finished(state);
    case TOOK_FULL:
        return cv_wait_new(exchange, attempt_send, &exchange->senders, NULL);
    case TOOK_LONG:
        return cv_pause_new(state);
    case TOOK_OPENING:
        return wait_with(exchange, args[0]);
    default:
        return NULL;
    }
}
