/* SPDX-License-Identifier: MIT */
#include "conn/file_opening.h"

#include <errno.h>

#include "net/file.h"

static void
open_in_thread(uv_work_t *work)
{
    cv_file_opening_t *opening = CV_CONTAINER_OF(work, cv_file_opening_t, work);
    opening->fd = cv_file_open(opening->path, &opening->size);
}

static void
on_done(uv_work_t *work, int status)
{
    cv_file_opening_t *opening = CV_CONTAINER_OF(work, cv_file_opening_t, work);
    cv_conn_env_t *env = opening->env;
    (void)status; /* nobody cancels it */
    opening->on_opened(opening);
    cv_conn_env_let_go(env);
}

int
cv_file_opening_start(cv_file_opening_t *opening, cv_conn_env_t *env, const char *path,
                      void (*on_opened)(cv_file_opening_t *opening))
{
    opening->env = env;
    opening->path = path;
    opening->fd = -ECANCELED;
    opening->on_opened = on_opened;
    int status = uv_queue_work(env->loop, &opening->work, open_in_thread, on_done);
    if (status == 0) {
        cv_conn_env_hold(env);
    }
    return status;
}
