/* SPDX-License-Identifier: MIT
 *
 * The parsers that the connections of an env share: a connection has one from the first byte of a request to its last,
 * and none while it rests. Most requests arrive whole, so that one parser, which is always in the cache, does for all.
 */
#include <stdlib.h>

#include "conn/conn_private.h"
#include "conn/conn_request.h"

bool
cv_conn_take_parser(cv_conn_t *conn)
{
    cv_conn_env_t *env = conn->env;
    if (conn->parser != NULL) {
        return true;
    }
    if (env->spare_parser_count > 0) {
        conn->parser = env->spare_parsers[--env->spare_parser_count];
        conn->parser->owner = conn;
        return true;
    }
    conn->parser = malloc(sizeof(*conn->parser));
    if (conn->parser != NULL) {
        cv_h1_parser_init(conn->parser, &cv_conn_parser_events, &env->limits, &env->heads, conn);
    }
    return conn->parser != NULL;
}

void
cv_conn_rest_parser(cv_conn_t *conn)
{
    cv_conn_env_t *env = conn->env;
    if (conn->parser == NULL || !cv_h1_parser_is_resting(conn->parser)) {
        return;
    }
    if (env->spare_parser_count < CV_CONN_SPARE_PARSERS) {
        env->spare_parsers[env->spare_parser_count++] = conn->parser;
    } else {
        free(conn->parser);
    }
    conn->parser = NULL;
}

void
cv_conn_free_parser(cv_conn_t *conn)
{
    if (conn->parser != NULL) {
        cv_h1_parser_deinit(conn->parser);
        free(conn->parser);
        conn->parser = NULL;
    }
}
