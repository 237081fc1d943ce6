/* SPDX-License-Identifier: MIT
 *
 * How a server lives on cuvee's own loop: as a participant of its turns.
 *
 * Thread:  loop thread.
 */
#ifndef CUVEE_SERVER_ON_CUVEE_LOOP_H
#define CUVEE_SERVER_ON_CUVEE_LOOP_H

#include "server/server.h"

/* Joins the loop. Cannot fail. */
void cv_server_join_loop(ServerObject *server);

/* Leaves it; the server's handles may still be closing there. */
void cv_server_leave_loop(ServerObject *server);

#endif
