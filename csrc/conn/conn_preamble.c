/* SPDX-License-Identifier: MIT
 *
 * The PROXY preamble of a connection. It is collected in conn->input, since it mostly comes whole, and is over before
 * anything is parsed. Who breaks a rule gets no answer: what would read it is no client of HTTP.
 */
#include "conn/conn_private.h"

void
cv_conn_expect_preamble(cv_conn_t *conn, bool is_trusted)
{
    conn->state = CV_CONN_PREAMBLE;
    conn->bars_preamble = !is_trusted;
}

void
cv_conn_refuse_preamble(cv_conn_t *conn, const char *rule)
{
    conn->env->ops->on_cut(conn, rule);
    cv_conn_close(conn, false);
}

/* The first bytes of a peer that may not send a preamble. */
static bool
take_barred(cv_conn_t *conn, int status)
{
    if (status == CV_PREAMBLE_ENONE) {
        conn->state = CV_CONN_IDLE;
        return true;
    }
    if (status != CV_PREAMBLE_MORE) {
        cv_conn_refuse_preamble(conn, "PROXY preamble from a peer that is not trusted");
    }
    return false;
}

bool
cv_conn_take_preamble(cv_conn_t *conn)
{
    cv_preamble_t preamble;
    int status = cv_preamble_parse(&preamble, conn->input.data, conn->input.len);
    if (conn->bars_preamble) {
        return take_barred(conn, status);
    }
    if (status < 0) {
        cv_conn_refuse_preamble(conn, cv_preamble_error_rule(status));
        return false;
    }
    if (status == CV_PREAMBLE_MORE) {
        return false;
    }
    conn->state = CV_CONN_IDLE;
    conn->input_start = preamble.size;
    conn->env->ops->on_preamble(conn, &preamble);
    return conn->state == CV_CONN_IDLE; /* which code that runs meanwhile may have closed */
}
