/* SPDX-License-Identifier: MIT */
#include "asgi/step.h"

#include "base/clock.h"

enum {
    STEP_BYTES = 1 << 18,  /* most bytes that one step sends without giving the others a turn */
    STEP_TIME = 200000,    /* ns, likewise */
    STEP_UNTIMED = 65536,  /* bytes that are sent before the clock is looked at */
    STEP_HEARS = STEP_UNTIMED / 16, /* what hearing of the end counts for */
};

bool
cv_step_count(ExchangeObject *exchange, size_t len)
{
    uint64_t flushes = exchange->service->flushes;
    bool continues = flushes == exchange->step_flushes && exchange->step_start != 0;
    if (!continues) {
        exchange->step_flushes = flushes;
        exchange->step_start = cv_clock_now();
        exchange->step_sent = 0;
    }
    exchange->step_sent += len > STEP_BYTES ? STEP_BYTES : (uint32_t)len;
    return continues;
}

/* True when this step has sent so much, or for so long, that the others should have a turn. */
static bool
is_long(ExchangeObject *exchange)
{
    if (exchange->step_sent < STEP_BYTES
        && (exchange->step_sent < STEP_UNTIMED || cv_clock_now() - exchange->step_start < STEP_TIME)) {
        return false;
    }
    exchange->step_start = 0;
    return true;
}

bool
cv_step_flush(ExchangeObject *exchange)
{
    cv_service_t *service = exchange->service;
    if (exchange->conn->queued <= cv_conn_write_high(exchange->conn)) {
        return false;
    }
    cv_conn_flush(exchange->conn);
    cv_service_wake(service);
    return true;
}

took_t
cv_step_took(ExchangeObject *exchange)
{
    if (exchange->conn == NULL) {
        return TOOK; /* the write found the client gone */
    }
    if (exchange->conn->queued > cv_conn_write_high(exchange->conn)) {
        return TOOK_FULL;
    }
    return is_long(exchange) ? TOOK_LONG : TOOK;
}

took_t
cv_step_to_nobody(ExchangeObject *exchange)
{
    cv_step_count(exchange, STEP_UNTIMED);
    return is_long(exchange) ? TOOK_LONG : TOOK;
}

bool
cv_step_hears_end(ExchangeObject *exchange)
{
    cv_step_count(exchange, STEP_HEARS);
    return is_long(exchange);
}
