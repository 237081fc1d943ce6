/* SPDX-License-Identifier: MIT
 *
 * The rules for a request's head that llhttp leaves out: request target, Host, body framing.
 *
 * Owns:    nothing.
 * Thread:  any.
 * Errors:  a negative cv_h1_error.
 */
#ifndef CUVEE_HTTP_H1_RULES_H
#define CUVEE_HTTP_H1_RULES_H

#include <stdbool.h>

#include "http/h1_head.h"

/* Checks head's target for the method (RFC 9112 section 3.2) and cuts path, query and authority out of it.
 * Returns 0 or CV_H1_ETARGET. */
int cv_h1_rules_target(cv_h1_head_t *head, bool is_connect, bool is_options);

/* Checks Host, Content-Length and Transfer-Encoding over the complete head, whose minor is set, and sets chunked,
 * keep_alive, upgrade and expect_continue. An absolute-form target's authority replaces Host's value (RFC 9112
 * section 3.2.2). Returns 0 or an error. */
int cv_h1_rules_fields(cv_h1_head_t *head);

/* True for a byte of a token (RFC 9110 section 5.6.2). */
bool cv_h1_is_token_byte(char c);

#endif
