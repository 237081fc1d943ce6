/* SPDX-License-Identifier: MIT */
#include "server/on_cuvee_loop.h"

#include "loop/loop_core.h"

static ServerObject *
server_of(cv_service_t *service)
{
    return CV_CONTAINER_OF(service, ServerObject, service);
}

static void
enter(cv_service_t *service)
{
    cv_loop_enter(service->loop);
}

static void
on_accepted(cv_service_t *service, int fd)
{
    cv_loop_disown_fd(service->loop, fd);
}

static void
wake(cv_service_t *service)
{
    cv_loop_turn_set_pending(service->loop, &server_of(service)->turn);
}

static void
on_batch(cv_service_t *service)
{
    cv_loop_run_turn(service->loop);
}

static bool
is_busy(cv_service_t *service)
{
    return ((LoopCoreObject *)service->loop)->ready.count > 0;
}

static const cv_service_driver_t driver = {
    .enter = enter,
    .on_accepted = on_accepted,
    .wake = wake,
    .on_batch = on_batch,
    .is_busy = is_busy,
};

static int
run_turn(cv_loop_turn_t *turn)
{
    return cv_service_run(&CV_CONTAINER_OF(turn, ServerObject, turn)->service);
}

static int
flush_turn(cv_loop_turn_t *turn)
{
    ServerObject *server = CV_CONTAINER_OF(turn, ServerObject, turn);
    int status = cv_service_flush(&server->service);
    turn->pending = server->is_open && cv_service_has_work(&server->service);
    return status;
}

/* The loop is being closed under the server. */
static void
close_with_loop(cv_loop_guest_t *guest)
{
    cv_server_close(CV_CONTAINER_OF(guest, ServerObject, guest));
}

void
cv_server_join_loop(ServerObject *server)
{
    server->service.driver = &driver;
    server->turn.run = run_turn;
    server->turn.flush = flush_turn;
    cv_loop_join(server->service.loop, &server->turn);
    server->guest.close = close_with_loop;
    cv_loop_admit(server->service.loop, &server->guest);
}

void
cv_server_leave_loop(ServerObject *server)
{
    cv_loop_leave(server->service.loop, &server->turn);
    cv_loop_dismiss(server->service.loop, &server->guest);
}
