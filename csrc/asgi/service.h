/* SPDX-License-Identifier: MIT
 *
 * One ASGI application on one event loop: what all its connections and requests share.
 *
 * Owns:    the connection env, the strong references below, and a reference to every queued and open exchange.
 * Borrows: the module state; the server object it is embedded in.
 * Thread:  loop thread. Functions marked [poll] may be entered without the GIL.
 * Errors:  -1 with an exception set, where an int is returned.
 */
#ifndef CUVEE_ASGI_SERVICE_H
#define CUVEE_ASGI_SERVICE_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "asgi/batch.h"
#include "asgi/extensions.h"
#include "asgi/lent.h"
#include "asgi/recent.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/trusted.h"
#include "conn/conn.h"
#include "http/forwarded.h"
#include "observe/access_format.h"
#include "observe/access_log.h"
#include "py/state.h"

typedef struct cv_service cv_service_t;

/* What the service needs from the loop it runs on. */
typedef struct {
    /* [poll] Takes the GIL back if the loop's poll released it. */
    void (*enter)(cv_service_t *service);
    /* [poll] The number of a socket that was just accepted: whoever had it before has lost it. May be NULL. */
    void (*on_accepted)(cv_service_t *service, int fd);
    /* [poll] There is work for cv_service_run or cv_service_flush: the loop must not sleep before it is done. */
    void (*wake)(cv_service_t *service);
    /* [poll] Enough requests were read to run them at once: a turn in the middle of the poll. May be NULL. */
    void (*on_batch)(cv_service_t *service);
    /* True when other callbacks are due to run in this turn, so that an answer may wait for theirs. */
    bool (*is_busy)(cv_service_t *service);
} cv_service_driver_t;

struct cv_service {
    cv_conn_env_t env;   /* first: conn/ hands it back to `release` */

    /* set once */
    const cv_service_driver_t *driver;
    void (*on_room)(cv_service_t *service); /* [poll] there are fewer connections than env.conn_limit again */
    cv_state_t *state;          /* borrowed; the server's type keeps the module alive */
    PyObject *server;           /* borrowed: the object this is embedded in */
    PyObject *app;              /* strong, as all that follow */
    PyObject *loop;
    PyObject *context;          /* the contextvars context of the start */
    PyObject *scope_template;
    PyObject *server_address;   /* what the template has as "server"; NULL before the first request */
    cv_lent_t asgi;             /* {"version": …, "spec_version": …} */
    cv_extensions_t extensions;
    PyObject *lifespan_state;   /* dict, copied into each scope */
    PyObject *task_keywords;    /* dict, of Task() */
    PyObject *root_path;        /* str */
    PyObject *root_path_bytes;  /* bytes, percent-encoded already */
    PyObject *health_path;      /* bytes, as the request line has it, or NULL */
    PyObject *log;              /* log(level, message, exception) */
    PyObject *access;           /* AccessLog, a callable, or NULL */
    cv_access_log_t *access_log; /* of `access`, borrowed; NULL when that is a callable or NULL */
    PyObject *look_access;      /* look() gives what `access` should be; or NULL */
    PyObject *access_format_object;
    cv_access_format_t *access_format; /* of that, borrowed; NULL for uvicorn's */
    uint32_t limit_concurrency; /* connections or requests at which another request gets 503 */
    uint32_t limit_requests;    /* requests under way at which another one gets 503 */
    cv_trusted_t trusted;       /* whose word about a client is taken */
    cv_forwarded_rules_t forwarded; /* ... in a request's fields */
    bool reads_forwarded;       /* ... at all */
    bool proxy_protocol;        /* ... before its first byte, which must be there then */
    uint64_t total_limit;       /* complete responses at which on_limit is called; UINT64_MAX: none, or told */
    uint64_t cancel_grace;      /* ms from a client's leaving to the cancellation of its request */
    bool cancels;               /* ... which is done at all */
    bool cancels_unsafe;        /* ... also to requests that may change something */
    bool fresh_context;         /* requests start in an empty context, in place of a copy of `context` */
    bool app_is_coroutine_function; /* calling it runs no user code, so no context needs to be entered */

    /* working state */
    bool is_stopping;           /* who has got all of its request hears http.disconnect, and may still answer */
    PyObject *task_factory;     /* strong; the loop's, looked up once a turn; NULL for none */
    cv_list_t queued;           /* exchanges whose app was not called yet */
    cv_list_t open;             /* exchanges whose task is not done */
    unsigned open_count;        /* length of both lists */
    unsigned under_way;         /* HTTP requests among them whose answer is not complete */
    uint64_t total;             /* complete responses */
    uint64_t cancel_ignored;    /* requests that went on though they were cancelled, since their client was gone */
    cv_deadline_t request_deadline; /* of the first open cycle that has a time limit */
    uint64_t access_looked;     /* nanoseconds: when look_access was called last */
    cv_buffer_t access_line;    /* room to write one in */
    uint64_t flushes;           /* rounds whose output was written: no step spans two */
    cv_batch_t batch;
    PyObject *start_text;       /* strong: the text that the app wrote for "http.response.start" last, */
    PyObject *body_text;        /* and for "http.response.body": mostly the same object every time; or NULL */
    cv_recent_t recent;
    PyObject *body_room;        /* bytes object that body bytes are read into, strong; NULL while there is none */
    PyObject *handles;          /* dict of the connections' handles by address, strong; NULL before the first */
    PyObject *on_idle;          /* strong; called when env.conn_count or open_count falls to 0; or NULL */
    PyObject *on_limit;         /* strong; called once, when total has come to total_limit; or NULL */
    bool was_busy_conns, was_busy_exchanges;
};

/* The connection ops of every service: the bridge from conn/ to Python. */
extern const cv_conn_ops_t cv_service_conn_ops;

/* Runs queued exchanges, each until its task waits or ends, within the batch's bounds. */
int cv_service_run(cv_service_t *service);

/* Writes what exchanges have left to be written, and tells on_limit and on_idle. */
int cv_service_flush(cv_service_t *service);

/* True when run or flush have something to do. */
bool cv_service_has_work(const cv_service_t *service);

static inline void
cv_service_enter(cv_service_t *service)
{
    service->driver->enter(service);
}

static inline void
cv_service_wake(cv_service_t *service)
{
    service->driver->wake(service);
}

#endif
