/* SPDX-License-Identifier: MIT
 *
 * A file that is to be sent, while a thread of libuv's pool opens it: that may wait for the disk.
 *
 * Owns:    nothing; the memory is the caller's until on_opened, the descriptor from then on.
 * Borrows: the env, which is held meanwhile, and the path.
 * Thread:  loop thread. on_opened comes from the poll, without the GIL.
 * Errors:  negative errno values.
 */
#ifndef CUVEE_CONN_FILE_OPENING_H
#define CUVEE_CONN_FILE_OPENING_H

#include "conn/conn.h"

typedef struct cv_file_opening cv_file_opening_t;

struct cv_file_opening {
    uv_work_t work;
    cv_conn_env_t *env;
    const char *path;
    int fd;        /* or why there is none: -EISDIR for a folder, -EINVAL for what else is no regular file */
    uint64_t size; /* of the file */
    void (*on_opened)(cv_file_opening_t *opening);
};

/* Begins to open `path`. Returns 0, or an error: then on_opened does not come. */
int cv_file_opening_start(cv_file_opening_t *opening, cv_conn_env_t *env, const char *path,
                          void (*on_opened)(cv_file_opening_t *opening));

#endif
