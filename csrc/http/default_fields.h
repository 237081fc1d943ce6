/* SPDX-License-Identifier: MIT
 *
 * The fields that every answer of a server has besides the application's, as lines that are ready to be copied.
 *
 * Owns:    the lines, from the first add to deinit.
 * Thread:  loop thread.
 * Errors:  -ENOMEM, or a cv_h1_write_error; the lines are then as they were.
 */
#ifndef CUVEE_HTTP_DEFAULT_FIELDS_H
#define CUVEE_HTTP_DEFAULT_FIELDS_H

#include <stddef.h>

#include "base/buffer.h"

typedef struct {
    cv_buffer_t server; /* apart: an application that names itself replaces these */
    cv_buffer_t others;
} cv_default_fields_t;

#define CV_DEFAULT_FIELDS_INIT {CV_BUFFER_INIT, CV_BUFFER_INIT}

/* Adds a field behind those that are there. CV_H1_WNAME also for the three that say where an answer ends, which are the
 * writer's own: connection, content-length and transfer-encoding. */
int cv_default_fields_add(cv_default_fields_t *fields, const char *name, size_t name_len, const char *value,
                          size_t value_len);

/* Frees the lines; there are none afterwards. */
void cv_default_fields_deinit(cv_default_fields_t *fields);

/* How many bytes they have. */
static inline size_t
cv_default_fields_len(const cv_default_fields_t *fields)
{
    return fields->server.len + fields->others.len;
}

#endif
