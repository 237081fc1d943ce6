/* SPDX-License-Identifier: MIT */
#include "server/server_listener.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asgi/peer.h"
#include "asgi/report.h"
#include "base/clock.h"
#include "py/errors.h"

#define TELL_AGAIN 60000000000u /* ns between two log lines about a full server */

typedef struct {
    cv_listener_t listener;
    ServerObject *server; /* borrowed: it keeps itself alive while this is open */
    cv_list_t node;       /* in server->listeners, until close */
} server_listener_t;

static server_listener_t *
of_listener(cv_listener_t *listener)
{
    return CV_CONTAINER_OF(listener, server_listener_t, listener);
}

/* A server that is full all the time pauses with each connection that it accepts: the log hears of it now and then. */
static void
tell_full(ServerObject *server)
{
    cv_service_t *service = &server->service;
    uint64_t now = cv_clock_now();
    if (server->pause_told == 0 || now - server->pause_told >= TELL_AGAIN) {
        server->pause_told = now;
        cv_service_enter(service);
        cv_report_format(service, CV_LOG_WARNING,
                         "Accepting connections pauses: there are %u. (--limit-connections)",
                         service->env.conn_count);
    }
}

/* Connections that come now wait in the kernel. */
static void
pause_when_full(ServerObject *server)
{
    cv_conn_env_t *env = &server->service.env;
    if (env->conn_limit == 0 || env->conn_count < env->conn_limit || server->is_full) {
        return;
    }
    server->is_full = true;
    env->limited[CV_LIMIT_CONNECTIONS]++;
    for (cv_list_t *node = server->listeners.next; node != &server->listeners; node = node->next) {
        cv_listener_stop(&CV_CONTAINER_OF(node, server_listener_t, node)->listener);
    }
    tell_full(server);
}

void
cv_server_listeners_go_on(cv_service_t *service)
{
    ServerObject *server = CV_CONTAINER_OF(service, ServerObject, service);
    if (!server->is_full) {
        return;
    }
    server->is_full = false;
    for (cv_list_t *node = server->listeners.next; node != &server->listeners; node = node->next) {
        /* Cannot fail: the number is ours, and libuv knows its watcher. */
        (void)cv_listener_start(&CV_CONTAINER_OF(node, server_listener_t, node)->listener);
    }
}

static void
on_accept(cv_listener_t *listener, int fd, const struct sockaddr *address, socklen_t len)
{
    cv_service_t *service = &of_listener(listener)->server->service;
    if (service->driver->on_accepted != NULL) {
        service->driver->on_accepted(service, fd);
    }
    cv_peer_t *peer = cv_peer_new(address, len);
    if (peer == NULL) {
        close(fd);
        return;
    }
    cv_conn_t *conn = cv_conn_new(&service->env, fd, peer);
    if (conn == NULL) {
        cv_service_enter(service);
        cv_peer_free(peer);
        return;
    }
    if (service->proxy_protocol) {
        cv_conn_expect_preamble(conn, cv_peer_is_trusted(peer, fd, &service->trusted));
    }
    service->was_busy_conns = true;
    pause_when_full(of_listener(listener)->server);
}

static void
on_paused(cv_listener_t *listener, int error)
{
    cv_service_t *service = &of_listener(listener)->server->service;
    cv_service_enter(service);
    cv_report_format(service, CV_LOG_ERROR, "Accepting connections is paused: %s. It goes on when one is free.",
                     strerror(-error));
}

static void
on_resumed(cv_listener_t *listener)
{
    cv_service_t *service = &of_listener(listener)->server->service;
    cv_service_enter(service);
    cv_report(service, CV_LOG_WARNING, "Accepting connections goes on.", NULL);
}

static void
on_closed(cv_listener_t *listener)
{
    ServerObject *server = of_listener(listener)->server;
    free(of_listener(listener));
    cv_server_on_part_closed(server);
}

static const cv_listener_ops_t ops = {
    .on_accept = on_accept,
    .on_paused = on_paused,
    .on_resumed = on_resumed,
    .on_closed = on_closed,
};

int
cv_server_listener_open(ServerObject *server, int fd)
{
    server_listener_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->server = server;
    int error = cv_listener_open(&self->listener, server->service.env.loop, fd, &ops);
    if (error < 0) {
        free(self);
        return cv_error_set(error);
    }
    cv_list_append(&server->listeners, &self->node);
    server->open_parts++;
    error = server->is_full ? 0 : cv_listener_start(&self->listener);
    if (error < 0) {
        cv_list_remove(&self->node);
        cv_listener_close(&self->listener);
        return cv_error_set(error);
    }
    return 0;
}

void
cv_server_listener_accept_waiting(ServerObject *server, int fd)
{
    bool was_full = server->is_full;
    server->is_full = true; /* so that nothing pauses now */
    for (cv_list_t *node = server->listeners.next; node != &server->listeners; node = node->next) {
        cv_listener_t *listener = &CV_CONTAINER_OF(node, server_listener_t, node)->listener;
        if (listener->fd == fd) {
            cv_listener_accept_waiting(listener);
        }
    }
    server->is_full = was_full;
}

void
cv_server_listeners_close(ServerObject *server)
{
    while (!cv_list_is_empty(&server->listeners)) {
        server_listener_t *self = CV_CONTAINER_OF(server->listeners.next, server_listener_t, node);
        cv_list_remove(&self->node);
        cv_listener_close(&self->listener);
    }
}
