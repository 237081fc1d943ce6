/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* pipe2 */
#include "observe/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "observe/access_line.h"
#include "observe/log_ring.h"

enum {
    GATHER_MS = 25,          /* after a write, what comes in this time goes out in one */
    CLOSE_MS = 500,          /* how long close waits for a slow reader */
    END_MS = 200,            /* and then for the thread to end */
    WRITE_MAX = 65536,       /* most bytes of a write */
    STACK_BYTES = 128 * 1024,
};

/* What the writer is doing, for the producer to know whether it must be woken. */
enum {
    WRITER_AWAKE = 0, /* writing, or going to look again within GATHER_MS */
    WRITER_HURRIED,   /* was woken while gathering, since the ring is half full */
    WRITER_ASLEEP,    /* only a poke wakes it */
};

#ifdef __APPLE__
#define WAIT_CLOCK CLOCK_REALTIME /* the one that a condition variable knows there */
#else
#define WAIT_CLOCK CLOCK_MONOTONIC
#endif

struct cv_access_log {
    /* set once */
    int fd;
    bool colours;

    /* the producer's */
    bool started;           /* there is a thread, or was one */
    bool closed;
    unsigned generation;    /* fork_generation when the thread was started */
    pthread_t thread;
    int poke[2];            /* a pipe: a byte in it wakes the writer */
    _Atomic uint64_t dropped;

    /* between the threads */
    cv_log_ring_t ring;
    atomic_int writer;      /* WRITER_AWAKE and so on */
    atomic_bool stop;       /* write no more than what goes without waiting, and end */
    atomic_bool broken;     /* nobody will ever read it */
    atomic_int holders;     /* the owner and the thread; the last one frees */

    /* for flush and close */
    pthread_mutex_t mutex;
    pthread_cond_t progress; /* tail moved, or `ended` */
    bool ended;
};

/* Counts the forks that lie behind this process, as getpid would be a system call a line. */
static atomic_uint fork_generation;
static pthread_once_t fork_watched = PTHREAD_ONCE_INIT;

static void
count_fork(void)
{
    atomic_fetch_add(&fork_generation, 1);
}

static void
watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork);
}

/* ---- the writer ---- */

static void
drain_pokes(const cv_access_log_t *log)
{
    char bytes[64];
    while (read(log->poke[0], bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes)) {
    }
}

/* Sleeps until a poke, at most so long (-1: for ever). */
static void
wait_for_poke(const cv_access_log_t *log, int timeout_ms)
{
    struct pollfd poke = {.fd = log->poke[0], .events = POLLIN};
    if (poll(&poke, 1, timeout_ms) > 0) {
        drain_pokes(log);
    }
}

/* Waits until the descriptor takes bytes, or reports an error (the write then says which). False: told to stop. */
static bool
wait_for_room(const cv_access_log_t *log)
{
    for (;;) {
        bool stop = atomic_load(&log->stop);
        struct pollfd both[] = {
            {.fd = log->fd, .events = POLLOUT},
            {.fd = log->poke[0], .events = POLLIN},
        };
        int ready = poll(both, 2, stop ? 0 : -1);
        if (ready > 0 && both[0].revents != 0) {
            return true;
        }
        if (stop) {
            return false;
        }
        if (ready > 0) {
            drain_pokes(log);
        }
    }
}

static void
report_progress(cv_access_log_t *log)
{
    pthread_mutex_lock(&log->mutex);
    pthread_cond_broadcast(&log->progress);
    pthread_mutex_unlock(&log->mutex);
}

static void
drop(cv_access_log_t *log, size_t len)
{
    atomic_fetch_add(&log->dropped, cv_log_ring_drop(&log->ring, len));
}

/* Writes one piece, or some of it. Returns false when no more can be written. */
static bool
write_piece(cv_access_log_t *log, size_t len, const cv_span_t spans[2])
{
    struct iovec parts[2] = {
        {(char *)spans[0].data, spans[0].len},
        {(char *)spans[1].data, spans[1].len},
    };
    ssize_t written = writev(log->fd, parts, spans[1].len != 0 ? 2 : 1);
    if (written >= 0) {
        cv_log_ring_take(&log->ring, (size_t)written);
        return true;
    }
    if (errno == EPIPE || errno == EBADF) {
        return false;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (atomic_load(&log->stop)) {
            return false;
        }
        wait_for_poke(log, GATHER_MS); /* poll saw some room, but not enough */
    } else if (errno != EINTR) {
        drop(log, len); /* a full disk, say: there may be room for the next ones */
    }
    return true;
}

/* Writes until the ring is empty. Returns false when no more can be written. */
static bool
write_pending(cv_access_log_t *log, bool is_file)
{
    size_t most = is_file ? WRITE_MAX : PIPE_BUF; /* so that lines of several writers to a pipe stay whole */
    cv_span_t spans[2];
    size_t len;
    while ((len = cv_log_ring_peek(&log->ring, most, spans)) > 0) {
        if ((!is_file && !wait_for_room(log)) || !write_piece(log, len, spans)) {
            return false;
        }
        report_progress(log);
    }
    return true;
}

/* Lets lines gather, then sleeps for as long as none come. */
static void
rest(cv_access_log_t *log)
{
    wait_for_poke(log, GATHER_MS);
    if (cv_log_ring_used(&log->ring) != 0 || atomic_load(&log->stop)) {
        return;
    }
    atomic_store(&log->writer, WRITER_ASLEEP);
    if (cv_log_ring_used(&log->ring) == 0 && !atomic_load(&log->stop)) {
        wait_for_poke(log, -1);
    }
}

static void
let_go(cv_access_log_t *log)
{
    if (atomic_fetch_sub(&log->holders, 1) != 1) {
        return;
    }
    if (log->started) {
        close(log->poke[0]);
        close(log->poke[1]);
        pthread_cond_destroy(&log->progress);
        pthread_mutex_destroy(&log->mutex);
    }
    cv_log_ring_deinit(&log->ring);
    free(log);
}

static void *
writer_main(void *arg)
{
    cv_access_log_t *log = arg;
    struct stat status;
    bool is_file = fstat(log->fd, &status) == 0 && S_ISREG(status.st_mode);
    bool goes_on = true;
    while (goes_on) {
        atomic_store(&log->writer, WRITER_AWAKE);
        goes_on = write_pending(log, is_file);
        if (atomic_load(&log->stop)) {
            break; /* close adds no line after it said so */
        }
        if (goes_on) {
            rest(log);
        }
    }
    atomic_store(&log->broken, true);
    drop(log, cv_log_ring_used(&log->ring));
    pthread_mutex_lock(&log->mutex);
    log->ended = true;
    pthread_cond_broadcast(&log->progress);
    pthread_mutex_unlock(&log->mutex);
    let_go(log);
    return NULL;
}

/* ---- the producer ---- */

static void
poke(const cv_access_log_t *log)
{
    ssize_t written = write(log->poke[1], "", 1);
    (void)written; /* a full pipe wakes as well */
}

static int
open_poke(int poke[2])
{
#ifdef __APPLE__
    if (pipe(poke) != 0) {
        return -errno;
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(poke[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(poke[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
#else
    return pipe2(poke, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : -errno;
#endif
}

/* The thread takes no signal: handlers belong to the thread that the application knows. */
static int
create_thread(cv_access_log_t *log)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return -rc;
    }
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&log->thread, &attr, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

static void
init_waiting(cv_access_log_t *log)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
#ifndef __APPLE__
    pthread_condattr_setclock(&attr, WAIT_CLOCK);
#endif
    pthread_cond_init(&log->progress, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&log->mutex, NULL);
}

static bool
start(cv_access_log_t *log)
{
    pthread_once(&fork_watched, watch_forks);
    if (open_poke(log->poke) != 0) {
        return false;
    }
    init_waiting(log);
    atomic_store(&log->holders, 2);
    log->ended = false;
    log->started = true;
    log->generation = atomic_load(&fork_generation);
    if (create_thread(log) == 0) {
        return true;
    }
    log->started = false;
    atomic_store(&log->holders, 1);
    close(log->poke[0]);
    close(log->poke[1]);
    return false;
}

/* In the child of a fork there is no thread, and what is in the ring is the parent's to write. */
static void
forget_parent(cv_access_log_t *log)
{
    if (!log->started || log->generation == atomic_load(&fork_generation)) {
        return;
    }
    close(log->poke[0]);
    close(log->poke[1]);
    log->started = false;
    atomic_store(&log->holders, 1);
    atomic_store(&log->stop, false);
    atomic_store(&log->broken, false);
    atomic_store(&log->dropped, 0);
    cv_log_ring_take(&log->ring, cv_log_ring_used(&log->ring));
}

static void
wake_writer(cv_access_log_t *log)
{
    int writer = atomic_load(&log->writer);
    if (writer == WRITER_ASLEEP) {
        if (atomic_exchange(&log->writer, WRITER_AWAKE) == WRITER_ASLEEP) {
            poke(log);
        }
    } else if (writer == WRITER_AWAKE && cv_log_ring_used(&log->ring) > log->ring.size / 2
               && atomic_compare_exchange_strong(&log->writer, &writer, WRITER_HURRIED)) {
        poke(log);
    }
}

cv_access_log_t *
cv_access_log_new(int fd, bool colours, size_t ring_bytes)
{
    cv_access_log_t *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    if (cv_log_ring_init(&log->ring, ring_bytes) != 0) {
        free(log);
        return NULL;
    }
    log->fd = fd;
    log->colours = colours;
    atomic_init(&log->holders, 1);
    return log;
}

/* True when a line of at most `len` bytes may be added; otherwise it is lost, and counted. */
static bool
admit(cv_access_log_t *log, size_t len)
{
    forget_parent(log);
    bool lost = log->closed || atomic_load_explicit(&log->broken, memory_order_relaxed)
        || len > log->ring.size - cv_log_ring_used(&log->ring) || (!log->started && !start(log));
    if (lost) {
        atomic_fetch_add(&log->dropped, 1);
    }
    return !lost;
}

void
cv_access_log_line(cv_access_log_t *log, cv_span_t client, cv_span_t method, cv_span_t path, cv_span_t query,
                   unsigned minor, unsigned status)
{
    cv_access_line_t line = {client, method, path, query, minor, status};
    if (admit(log, cv_access_line_bound(&line))) {
        cv_log_cursor_t cursor = cv_log_ring_start(&log->ring);
        cv_access_line_put(&cursor, &line, log->colours);
        cv_log_ring_commit(&cursor);
        wake_writer(log);
    }
}

void
cv_access_log_text(cv_access_log_t *log, cv_span_t text)
{
    if (admit(log, text.len + 1)) {
        cv_log_cursor_t cursor = cv_log_ring_start(&log->ring);
        cv_log_ring_put(&cursor, text.data, text.len);
        cv_log_ring_put(&cursor, "\n", 1);
        cv_log_ring_commit(&cursor);
        wake_writer(log);
    }
}

uint64_t
cv_access_log_dropped(const cv_access_log_t *log)
{
    return atomic_load(&log->dropped);
}

/* Waits until `target` bytes were taken out of the ring, or, without one, until the thread has ended. */
static bool
wait_for(cv_access_log_t *log, const size_t *target, unsigned timeout_ms)
{
    struct timespec until;
    clock_gettime(WAIT_CLOCK, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    bool done = false, late = false;
    pthread_mutex_lock(&log->mutex);
    for (;;) {
        done = log->ended || (target != NULL && (ptrdiff_t)(atomic_load(&log->ring.tail) - *target) >= 0);
        if (done || late) {
            break;
        }
        late = pthread_cond_timedwait(&log->progress, &log->mutex, &until) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&log->mutex);
    return done;
}

bool
cv_access_log_flush(cv_access_log_t *log, unsigned timeout_ms)
{
    forget_parent(log);
    if (!log->started || log->closed) {
        return true;
    }
    size_t target = atomic_load(&log->ring.head);
    poke(log);
    return wait_for(log, &target, timeout_ms);
}

void
cv_access_log_close(cv_access_log_t *log)
{
    if (log->closed) {
        return;
    }
    (void)cv_access_log_flush(log, CLOSE_MS);
    log->closed = true;
    if (!log->started) {
        return;
    }
    atomic_store(&log->stop, true);
    poke(log);
    if (wait_for(log, NULL, END_MS)) {
        pthread_join(log->thread, NULL);
        drop(log, cv_log_ring_used(&log->ring)); /* what was added while the thread gave up */
    } else {
        pthread_detach(log->thread); /* it hangs in a write that will never return; the log is its own now */
    }
}

void
cv_access_log_free(cv_access_log_t *log)
{
    if (log != NULL) {
        cv_access_log_close(log);
        let_go(log);
    }
}
