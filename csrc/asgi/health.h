/* SPDX-License-Identifier: MIT
 *
 * Answers requests for the health path, which no application hears of: 200 while the server serves, 503 once it stops.
 *
 * Thread:  loop thread. [poll]: entered without the GIL.
 */
#ifndef CUVEE_ASGI_HEALTH_H
#define CUVEE_ASGI_HEALTH_H

#include "asgi/service.h"

/* Answers the request that begins, if it is a GET or HEAD of the service's health path. */
bool cv_health_answer(cv_service_t *service, cv_conn_t *conn, const cv_h1_head_t *head);

#endif
