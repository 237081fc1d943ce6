/* SPDX-License-Identifier: MIT
 *
 * One listening socket of a server: hands accepted connections to the service.
 *
 * Owns:    itself, from open until libuv lets go of it after close.
 * Thread:  loop thread.
 */
#ifndef CUVEE_SERVER_SERVER_LISTENER_H
#define CUVEE_SERVER_SERVER_LISTENER_H

#include "server/server.h"

/* Accepts from `fd`, which stays the caller's. -1 with OSError or MemoryError set. */
int cv_server_listener_open(ServerObject *server, int fd);

/* There are fewer connections than their limit again: goes on accepting. */
void cv_server_listeners_go_on(cv_service_t *service);

/* Accepts the connections that wait now for the listener of `fd`, more than conn_limit if there are more: before it
 * closes. */
void cv_server_listener_accept_waiting(ServerObject *server, int fd);

/* Closes every listener of the server. */
void cv_server_listeners_close(ServerObject *server);

#endif
