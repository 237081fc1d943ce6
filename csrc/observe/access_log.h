/* SPDX-License-Identifier: MIT
 *
 * The access log: lines are formatted into a ring on the loop thread, and written by a thread that starts with the
 * first line (after any fork), sleeps while there is nothing to write, and writes whole lines. A line is written within
 * 100 ms unless the reader is slow; when the ring is full, lines are dropped and counted. The loop thread never
 * waits, and wakes the writer only when that sleeps.
 *
 * Owns:    the ring and the thread.
 * Borrows: the descriptor, until close. Its flags are never changed.
 * Thread:  line, flush, close and free one at a time (loop thread); dropped from any.
 */
#ifndef CUVEE_OBSERVE_ACCESS_LOG_H
#define CUVEE_OBSERVE_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

typedef struct cv_access_log cv_access_log_t;

/* Makes a log that writes to `fd`. Starts nothing. NULL when there is no memory. */
cv_access_log_t *cv_access_log_new(int fd, bool colours, size_t ring_bytes);

/* Adds one line (see access_line.h for the spans, which are borrowed for the call). */
void cv_access_log_line(cv_access_log_t *log, cv_span_t client, cv_span_t method, cv_span_t path, cv_span_t query,
                        unsigned minor, unsigned status);

/* Adds one line that is written already (access_format.h), but for its end. */
void cv_access_log_text(cv_access_log_t *log, cv_span_t text);

/* Lines that were lost: the ring was full, the reader gone, the disk full, or the log closed. */
uint64_t cv_access_log_dropped(const cv_access_log_t *log);

/* Waits until what was added before is written, at most so long. True when it was (or was lost and counted). */
bool cv_access_log_flush(cv_access_log_t *log, unsigned timeout_ms);

/* Writes what is left, for at most half a second if the reader is slow, and ends the thread. Later lines are
 * dropped and counted. May be called again. */
void cv_access_log_close(cv_access_log_t *log);

/* Closes and frees. NULL is allowed. */
void cv_access_log_free(cv_access_log_t *log);

#endif
