/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cv_test.h"
#include "cv_test_memory.h"

/* System calls that fail on demand. */
static int create_error, pipe_error;
static atomic_int write_error, write_errors_left, write_limit;

static int
test_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    return create_error != 0 ? create_error : pthread_create(thread, attr, run, arg);
}

static int
test_pipe2(int ends[2], int flags)
{
    if (pipe_error != 0) {
        errno = pipe_error;
        return -1;
    }
    return pipe2(ends, flags);
}

/* A write that hangs as long as `hang` is locked, and the thread that was left behind with it. */
static pthread_mutex_t hang = PTHREAD_MUTEX_INITIALIZER;
static pthread_t left_behind;
static int left_count;

static int
test_pthread_detach(pthread_t thread)
{
    left_behind = thread;
    left_count++;
    return 0;
}

static ssize_t
test_writev(int fd, const struct iovec *parts, int count)
{
    pthread_mutex_lock(&hang);
    pthread_mutex_unlock(&hang);
    if (atomic_load(&write_errors_left) > 0) {
        atomic_fetch_sub(&write_errors_left, 1);
        errno = atomic_load(&write_error);
        return -1;
    }
    int limit = atomic_load(&write_limit);
    if (limit > 0) {
        return write(fd, parts[0].iov_base, parts[0].iov_len < (size_t)limit ? parts[0].iov_len : (size_t)limit);
    }
    return writev(fd, parts, count);
}

#define pthread_create test_pthread_create
#define pthread_detach test_pthread_detach
#define pipe2 test_pipe2
#define writev test_writev

#include "observe/access_log.c"
#include "observe/log_ring.c"

enum { LONG_MS = 60000 }; /* longer than any test may take */

#ifdef __SANITIZE_THREAD__
enum { MAY_FORK = 0 }; /* this sanitizer knows no threads in a forked child */
#else
enum { MAY_FORK = 1 };
#endif

static const cv_span_t CLIENT = {"1.2.3.4:5", 9}, GET = {"GET", 3}, NO_QUERY = {"", 0};

static void
add(cv_access_log_t *log, const char *path)
{
    cv_access_log_line(log, CLIENT, GET, (cv_span_t){path, strlen(path)}, NO_QUERY, 1, 200);
}

static void
add_number(cv_access_log_t *log, int number)
{
    char path[32];
    snprintf(path, sizeof(path), "/%d", number);
    add(log, path);
}

static char taken[1 << 20];

/* Everything that can be read now, without the zeros that fill_pipe put there, behind what was taken before. */
static const char *
take_more(int fd)
{
    size_t len = strlen(taken);
    static char bytes[1 << 16];
    ssize_t got;
    while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] != '\0' && len < sizeof(taken) - 1) {
                taken[len++] = bytes[i];
            }
        }
    }
    taken[len] = '\0';
    return taken;
}

static const char *
take(int fd)
{
    taken[0] = '\0';
    return take_more(fd);
}

#define LINE(path) "INFO:     1.2.3.4:5 - \"GET " path " HTTP/1.1\" 200 OK\n"

/* How many lines there are, or -1 when one of them is not whole. */
static int
count_lines(const char *text)
{
    int lines = 0;
    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        if (end == NULL || strncmp(text, "INFO:     1.2.3.4:5 - \"GET /", 28) != 0
            || strncmp(end - 6, "200 OK", 6) != 0) {
            return -1;
        }
        text = end + 1;
        lines++;
    }
    return lines;
}

typedef struct {
    int ends[2];
    cv_access_log_t *log;
} fixture_t;

/* A log to a pipe; its reading end never blocks. */
static fixture_t
open_log(int write_flags, size_t ring_bytes)
{
    fixture_t made;
    if (pipe(made.ends) != 0) {
        abort();
    }
    fcntl(made.ends[0], F_SETFL, O_NONBLOCK);
    fcntl(made.ends[1], F_SETFL, write_flags);
    made.log = cv_access_log_new(made.ends[1], false, ring_bytes);
    return made;
}

static void
close_log(fixture_t *made)
{
    cv_access_log_free(made->log);
    close(made->ends[0]);
    close(made->ends[1]);
}

static void
fill_pipe(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    char zeros[4096] = {0};
    while (write(fd, zeros, sizeof(zeros)) > 0) {
    }
    fcntl(fd, F_SETFL, flags);
}

static void
wait_until_asleep(cv_access_log_t *log)
{
    while (atomic_load(&log->writer) != WRITER_ASLEEP) {
        sched_yield();
    }
}

TEST(lines_come_out_in_order)
{
    fixture_t made = open_log(0, 1 << 16);
    add(made.log, "/one");
    add(made.log, "/two");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    const char *text = take(made.ends[0]);
    CHECK_BYTES(text, strlen(text), LINE("/one") LINE("/two"));
    CHECK_EQ(cv_access_log_dropped(made.log), 0);
    close_log(&made);
}

TEST(a_line_that_is_written_already_gets_its_end)
{
    fixture_t made = open_log(0, 4096);
    char longest[4096];
    memset(longest, 'x', sizeof(longest));
    cv_access_log_text(made.log, (cv_span_t){"{\"a\":1}", 7});
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    const char *text = take(made.ends[0]);
    CHECK_BYTES(text, strlen(text), "{\"a\":1}\n");
    cv_access_log_text(made.log, (cv_span_t){longest, sizeof(longest)}); /* with its end it has no room */
    CHECK_EQ(cv_access_log_dropped(made.log), 1);
    close_log(&made);
}

TEST(nothing_starts_before_the_first_line)
{
    fixture_t made = open_log(0, 1 << 16);
    CHECK(!made.log->started);
    CHECK(cv_access_log_flush(made.log, 0));
    cv_access_log_close(made.log);
    cv_access_log_close(made.log);
    CHECK(!made.log->started);
    add(made.log, "/late");
    CHECK_EQ(cv_access_log_dropped(made.log), 1);
    CHECK(cv_access_log_flush(made.log, 0));
    close_log(&made);
    cv_access_log_free(NULL);
}

TEST(a_sleeping_writer_is_woken)
{
    fixture_t made = open_log(0, 1 << 16);
    for (int i = 0; i < 3; i++) {
        add_number(made.log, i);
        wait_until_asleep(made.log); /* nobody calls flush */
        CHECK_EQ(count_lines(take(made.ends[0])), 1);
    }
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    wait_until_asleep(made.log);
    close_log(&made);
}

TEST(a_file_gets_every_line_and_close_writes_the_rest)
{
    FILE *file = tmpfile();
    CHECK(file != NULL);
    cv_access_log_t *log = cv_access_log_new(fileno(file), false, 1 << 20);
    for (int i = 0; i < 5000; i++) {
        add_number(log, i);
    }
    cv_access_log_close(log);
    CHECK_EQ(cv_access_log_dropped(log), 0);
    add(log, "/late");
    CHECK_EQ(cv_access_log_dropped(log), 1);
    cv_access_log_free(log);
    rewind(file);
    CHECK_EQ(count_lines(take(fileno(file))), 5000);
    fclose(file);
}

/* A full pipe, of either kind: lines are kept while there is room, then dropped; the caller is never held up. */
static void
check_full_pipe(int write_flags)
{
    fixture_t made = open_log(write_flags, 4096);
    fill_pipe(made.ends[1]);
    for (int i = 0; i < 1000; i++) {
        add_number(made.log, i);
    }
    CHECK(!cv_access_log_flush(made.log, 0));
    int dropped = (int)cv_access_log_dropped(made.log);
    CHECK(dropped > 900 && dropped < 1000);
    take(made.ends[0]);
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    CHECK_EQ(count_lines(take_more(made.ends[0])), 1000 - dropped);
    CHECK_EQ(cv_access_log_dropped(made.log), dropped);
    CHECK_EQ(fcntl(made.ends[1], F_GETFL) & O_NONBLOCK, write_flags);
    add(made.log, "/after");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    const char *text = take(made.ends[0]);
    CHECK_BYTES(text, strlen(text), LINE("/after"));
    close_log(&made);
}

TEST(a_full_blocking_pipe_drops_lines)
{
    check_full_pipe(0);
}

TEST(a_full_non_blocking_pipe_drops_lines)
{
    check_full_pipe(O_NONBLOCK);
}

TEST(close_gives_up_on_a_reader_that_does_not_read)
{
    fixture_t made = open_log(0, 4096);
    fill_pipe(made.ends[1]);
    for (int i = 0; i < 10; i++) {
        add_number(made.log, i);
    }
    cv_access_log_close(made.log);
    CHECK_EQ(cv_access_log_dropped(made.log), 10);
    close_log(&made);
}

TEST(a_writer_that_hangs_is_left_to_itself)
{
    fixture_t made = open_log(0, 4096);
    pthread_mutex_lock(&hang);
    add(made.log, "/one");
    cv_access_log_free(made.log); /* the thread goes on with it, and frees it */
    CHECK_EQ(left_count, 1);
    pthread_mutex_unlock(&hang);
    CHECK_EQ(pthread_join(left_behind, NULL), 0);
    CHECK_EQ(count_lines(take(made.ends[0])), 1);
    close(made.ends[0]);
    close(made.ends[1]);
}

TEST(a_reader_that_is_gone_ends_the_writer)
{
    fixture_t made = open_log(0, 1 << 16);
    signal(SIGPIPE, SIG_DFL); /* the signal would end this program */
    close(made.ends[0]);
    add(made.log, "/one");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    while (!atomic_load(&made.log->broken)) {
        sched_yield();
    }
    add(made.log, "/two");
    add(made.log, "/three");
    cv_access_log_close(made.log);
    CHECK_EQ(cv_access_log_dropped(made.log), 3);
    cv_access_log_free(made.log);
    close(made.ends[1]);
}

TEST(a_descriptor_that_is_closed_ends_the_writer)
{
    fixture_t made = open_log(0, 1 << 16);
    add(made.log, "/zero");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    close(made.ends[1]);
    add(made.log, "/one");
    cv_access_log_close(made.log);
    CHECK_EQ(cv_access_log_dropped(made.log), 1);
    cv_access_log_free(made.log);
    close(made.ends[0]);
}

static void
check_write_error(int error, int times, int expected_dropped)
{
    fixture_t made = open_log(0, 1 << 16);
    atomic_store(&write_error, error);
    atomic_store(&write_errors_left, times);
    add(made.log, "/one");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    add(made.log, "/two");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    CHECK_EQ(atomic_load(&write_errors_left), 0);
    CHECK_EQ(count_lines(take(made.ends[0])), 2 - expected_dropped);
    CHECK_EQ(cv_access_log_dropped(made.log), expected_dropped);
    close_log(&made);
}

TEST(an_interrupted_write_is_made_again)
{
    check_write_error(EINTR, 3, 0);
}

TEST(a_write_without_enough_room_is_made_again)
{
    check_write_error(EAGAIN, 3, 0);
}

TEST(a_full_disk_costs_the_lines_of_that_write)
{
    check_write_error(ENOSPC, 1, 1);
}

TEST(no_room_at_the_end_drops_what_is_left)
{
    fixture_t made = open_log(0, 1 << 16);
    atomic_store(&write_error, EAGAIN);
    atomic_store(&write_errors_left, 1 << 30);
    add(made.log, "/one");
    cv_access_log_close(made.log);
    atomic_store(&write_errors_left, 0);
    CHECK_EQ(cv_access_log_dropped(made.log), 1);
    close_log(&made);
}

TEST(short_writes_are_continued)
{
    fixture_t made = open_log(0, 4096);
    atomic_store(&write_limit, 7);
    int added = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 30; i++) {
            add_number(made.log, added++);
        }
        CHECK(cv_access_log_flush(made.log, LONG_MS));
    }
    atomic_store(&write_limit, 0);
    CHECK_EQ(cv_access_log_dropped(made.log), 0);
    CHECK_EQ(count_lines(take(made.ends[0])), added);
    close_log(&made);
}

TEST(a_line_that_never_fits_is_dropped)
{
    fixture_t made = open_log(0, 4096);
    char path[3000];
    memset(path, 'a', sizeof(path));
    cv_access_log_line(made.log, CLIENT, GET, (cv_span_t){path, sizeof(path)}, NO_QUERY, 1, 200);
    CHECK_EQ(cv_access_log_dropped(made.log), 1);
    close_log(&made);
}

TEST(a_line_longer_than_a_pipes_piece_is_written)
{
    fixture_t made = open_log(O_NONBLOCK, 1 << 16);
    static char path[10001];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    add(made.log, path);
    add(made.log, "/b");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    const char *text = take(made.ends[0]);
    CHECK_EQ(count_lines(text), 2);
    CHECK(strlen(text) > 10000);
    close_log(&made);
}

TEST(without_a_thread_or_a_pipe_lines_are_dropped_until_there_is_one)
{
    fixture_t made = open_log(0, 1 << 16);
    create_error = EAGAIN;
    add(made.log, "/one");
    CHECK(!made.log->started);
    create_error = 0;
    pipe_error = EMFILE;
    add(made.log, "/two");
    CHECK(!made.log->started);
    pipe_error = 0;
    CHECK_EQ(cv_access_log_dropped(made.log), 2);
    add(made.log, "/three");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    const char *text = take(made.ends[0]);
    CHECK_BYTES(text, strlen(text), LINE("/three"));
    close_log(&made);
}

TEST(without_memory_there_is_no_log)
{
    cv_test_memory_left = 0;
    CHECK(cv_access_log_new(1, false, 4096) == NULL);
    cv_test_memory_left = 1;
    CHECK(cv_access_log_new(1, false, 4096) == NULL);
    cv_test_memory_left = -1;
}

/* What a child does with the log that it inherited, with a pipe of its own in the descriptor's place. */
static bool
child_is_right(const fixture_t *made)
{
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[1], made->ends[1]) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
        return false;
    }
    bool nothing_waits = cv_access_log_flush(made->log, 0) && cv_access_log_dropped(made->log) == 0;
    add(made->log, "/child");
    bool written = cv_access_log_flush(made->log, LONG_MS); /* closing waits for half a second only */
    cv_access_log_free(made->log);
    return nothing_waits && written && strcmp(take(ends[0]), LINE("/child")) == 0;
}

TEST(a_forked_child_starts_a_writer_of_its_own)
{
    fixture_t made = open_log(0, 4096);
    fill_pipe(made.ends[1]);
    add(made.log, "/parent"); /* still in the ring when the child is made */
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child_is_right(&made) ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    take(made.ends[0]);
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    const char *text = take_more(made.ends[0]);
    CHECK_BYTES(text, strlen(text), LINE("/parent"));
    close_log(&made);
}

TEST(a_busy_producer_loses_nothing_that_fits)
{
    FILE *file = tmpfile();
    CHECK(file != NULL);
    cv_access_log_t *log = cv_access_log_new(fileno(file), false, 1 << 16);
    enum { LINES = 100000 };
    for (int i = 0; i < LINES; i++) {
        add_number(log, i);
        if (i % 500 == 499) {
            CHECK(cv_access_log_flush(log, LONG_MS)); /* 500 lines always fit */
        }
    }
    CHECK(cv_access_log_flush(log, LONG_MS));
    CHECK_EQ(cv_access_log_dropped(log), 0);
    cv_access_log_free(log);
    rewind(file);
    int lines = 0;
    char line[256];
    while (fgets(line, sizeof(line), file) != NULL) {
        lines += count_lines(line) == 1;
    }
    CHECK_EQ(lines, LINES);
    fclose(file);
}

TEST(a_half_full_ring_hurries_the_writer)
{
    fixture_t made = open_log(0, 4096);
    add(made.log, "/first");
    CHECK(cv_access_log_flush(made.log, LONG_MS));
    int added = 1, hurried = 0;
    for (int round = 0; round < 1000 && hurried == 0; round++) {
        for (int i = 0; i < 50; i++) { /* more than half, less than all */
            add_number(made.log, added++);
            hurried += atomic_load(&made.log->writer) == WRITER_HURRIED;
        }
        CHECK(cv_access_log_flush(made.log, LONG_MS));
        take(made.ends[0]);
    }
    CHECK(hurried > 0);
    CHECK_EQ(cv_access_log_dropped(made.log), 0);
    close_log(&made);
}

int
main(void)
{
    RUN(lines_come_out_in_order);
    RUN(a_line_that_is_written_already_gets_its_end);
    RUN(nothing_starts_before_the_first_line);
    RUN(a_sleeping_writer_is_woken);
    RUN(a_file_gets_every_line_and_close_writes_the_rest);
    RUN(a_full_blocking_pipe_drops_lines);
    RUN(a_full_non_blocking_pipe_drops_lines);
    RUN(close_gives_up_on_a_reader_that_does_not_read);
    RUN(a_writer_that_hangs_is_left_to_itself);
    RUN(a_reader_that_is_gone_ends_the_writer);
    RUN(a_descriptor_that_is_closed_ends_the_writer);
    RUN(an_interrupted_write_is_made_again);
    RUN(a_write_without_enough_room_is_made_again);
    RUN(a_full_disk_costs_the_lines_of_that_write);
    RUN(no_room_at_the_end_drops_what_is_left);
    RUN(short_writes_are_continued);
    RUN(a_line_that_never_fits_is_dropped);
    RUN(a_line_longer_than_a_pipes_piece_is_written);
    RUN(without_a_thread_or_a_pipe_lines_are_dropped_until_there_is_one);
    RUN(without_memory_there_is_no_log);
    if (MAY_FORK) {
        RUN(a_forked_child_starts_a_writer_of_its_own);
    }
    RUN(a_busy_producer_loses_nothing_that_fits);
    RUN(a_half_full_ring_hurries_the_writer);
    return cv_test_end();
}
