/* SPDX-License-Identifier: MIT */
#include "conn/conn_rate.h"

/* Of the time and the clock, whichever it is, the other one. The low half of the clock is enough for that. */
static uint32_t
flip(const cv_conn_t *conn)
{
    return (uint32_t)cv_deadlines_now() - conn->body_clock;
}

void
cv_conn_rate_wait(cv_conn_t *conn, bool waits)
{
    if (waits != conn->body_waits) {
        conn->body_clock = flip(conn);
        conn->body_waits = waits;
    }
}

uint64_t
cv_conn_rate_left(const cv_conn_t *conn)
{
    const cv_conn_env_t *env = conn->env;
    uint64_t received = env->body_limit - conn->body_allowed;
    uint64_t paid = received / env->body_rate * 1000 + received % env->body_rate * 1000 / env->body_rate;
    uint64_t time = env->body_grace + paid;
    uint64_t waited = conn->body_waits ? flip(conn) : conn->body_clock;
    return waited < time ? time - waited : 0;
}
