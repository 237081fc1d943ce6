/* SPDX-License-Identifier: MIT
 *
 * Deadlines fire in order and never early; a cleared or moved one does not fire.
 */
#include "net/deadlines.c"

#include "cv_test.h"

enum { MEMBERS = 8 };

static uv_loop_t loop;
static cv_deadlines_t deadlines;
static cv_deadline_t members[MEMBERS];
static int fired[64];
static int fired_count;
static bool was_early;
static bool is_closed;
static void (*do_due)(int index);

static int
index_of(const cv_deadline_t *deadline)
{
    return (int)(deadline - members);
}

static void
on_due(cv_deadlines_t *from, cv_deadline_t *deadline)
{
    was_early = was_early || from != &deadlines || deadline->due > uv_now(&loop) || cv_deadline_is_set(deadline);
    fired[fired_count++] = index_of(deadline);
    if (do_due != NULL) {
        do_due(index_of(deadline));
    }
}

static void
on_closed(cv_deadlines_t *from)
{
    is_closed = from == &deadlines;
}

static void
open_all(void)
{
    uv_loop_init(&loop);
    cv_deadlines_init(&deadlines, &loop, on_due);
    for (int i = 0; i < MEMBERS; i++) {
        cv_deadline_init(&members[i]);
    }
    fired_count = 0;
    was_early = is_closed = false;
    do_due = NULL;
}

static int
close_all(void)
{
    for (int i = 0; i < MEMBERS; i++) {
        cv_deadline_drop(&members[i]);
    }
    cv_deadlines_close(&deadlines, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    return is_closed && !was_early ? uv_loop_close(&loop) : -1;
}

/* The timer does not keep the loop alive; a referenced one stands in for a server's sockets. */
static void
run_until_fired(int count)
{
    uv_ref((uv_handle_t *)&deadlines.timer);
    while (fired_count < count) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    uv_unref((uv_handle_t *)&deadlines.timer);
}

TEST(deadlines_of_one_kind_fire_in_the_order_they_were_set)
{
    open_all();
    cv_deadlines_configure(&deadlines, 3, 2);
    for (int i = 0; i < MEMBERS; i++) {
        cv_deadline_set(&deadlines, &members[i], 3);
        CHECK(cv_deadline_is_set(&members[i]));
    }
    run_until_fired(MEMBERS);
    for (int i = 0; i < MEMBERS; i++) {
        CHECK_EQ(fired[i], i);
    }
    CHECK_EQ(close_all(), 0);
}

TEST(an_earlier_deadline_of_another_kind_fires_first)
{
    open_all();
    cv_deadlines_configure(&deadlines, 0, 200);
    cv_deadlines_configure(&deadlines, 1, 1);
    cv_deadline_set(&deadlines, &members[0], 0);
    cv_deadline_set(&deadlines, &members[1], 1);
    CHECK_EQ(members[1].kind, 1);
    run_until_fired(2);
    CHECK_EQ(fired[0], 1);
    CHECK_EQ(fired[1], 0);
    CHECK_EQ(close_all(), 0);
}

/* Not from the loop's time, which stands still while the loop is at work. */
TEST(a_deadline_is_counted_from_the_time_when_it_is_set)
{
    open_all();
    loop.time -= 5000;
    cv_deadlines_configure(&deadlines, 0, 1234);
    uint64_t before = cv_deadlines_now();
    cv_deadline_set(&deadlines, &members[0], 0);
    CHECK(members[0].due >= before + 1234);
    CHECK(members[0].due <= cv_deadlines_now() + 1234);
    cv_deadlines_configure(&deadlines, 1, 1);
    cv_deadline_set(&deadlines, &members[1], 1);
    run_until_fired(1);
    CHECK(!was_early);
    CHECK_EQ(fired[0], 1);
    CHECK_EQ(close_all(), 0);
}

TEST(a_deadline_may_be_given_its_time)
{
    open_all();
    uv_update_time(&loop);
    uint64_t now = uv_now(&loop);
    CHECK(cv_deadlines_now() >= now);
    cv_deadline_set_at(&deadlines, &members[0], 1, now + 8);
    cv_deadline_set_at(&deadlines, &members[1], 1, now); /* past already: as soon as may be */
    CHECK_EQ(members[0].due, now + 8);
    run_until_fired(2);
    CHECK(!was_early);
    CHECK(uv_now(&loop) >= now + 8);
    CHECK_EQ(close_all(), 0);
}

static bool prolonged[2];

static void
prolong(int index)
{
    if (fired_count <= 2) {
        prolonged[fired_count - 1] = cv_deadline_prolong(&deadlines, &members[index]);
    }
}

TEST(a_deadline_that_is_due_can_be_prolonged_once)
{
    open_all();
    cv_deadlines_configure(&deadlines, 3, 1);
    for (int i = 0; i < 2; i++) { /* set again, it can be prolonged again */
        fired_count = 0;
        do_due = prolong;
        cv_deadline_set(&deadlines, &members[0], 3);
        uint64_t due = members[0].due;
        run_until_fired(2);
        CHECK(prolonged[0]);
        CHECK(!prolonged[1]);
        CHECK(members[0].due > due);
        CHECK_EQ(members[0].kind, 3);
        CHECK(!cv_deadline_is_set(&members[0]));
    }
    CHECK(!was_early);
    CHECK_EQ(close_all(), 0);
}

TEST(a_cleared_deadline_does_not_fire)
{
    open_all();
    cv_deadlines_configure(&deadlines, 0, 1);
    cv_deadlines_configure(&deadlines, 1, 5);
    cv_deadline_set(&deadlines, &members[0], 0);
    cv_deadline_set(&deadlines, &members[1], 1);
    cv_deadline_clear(&members[0]);
    cv_deadline_clear(&members[0]);
    CHECK(!cv_deadline_is_set(&members[0]));
    run_until_fired(1);
    CHECK_EQ(fired[0], 1);
    CHECK_EQ(close_all(), 0);
}

TEST(a_deadline_set_again_moves)
{
    open_all();
    cv_deadlines_configure(&deadlines, 0, 1);
    cv_deadlines_configure(&deadlines, 1, 200);
    cv_deadline_set(&deadlines, &members[0], 0);
    cv_deadline_set(&deadlines, &members[1], 0);
    cv_deadline_set(&deadlines, &members[0], 1);
    run_until_fired(2);
    CHECK_EQ(fired[0], 1);
    CHECK_EQ(fired[1], 0);
    CHECK_EQ(close_all(), 0);
}

TEST(a_kind_without_a_duration_never_fires)
{
    open_all();
    cv_deadlines_configure(&deadlines, 1, 1);
    cv_deadline_set(&deadlines, &members[0], 1);
    cv_deadline_set(&deadlines, &members[0], 0);
    CHECK(!cv_deadline_is_set(&members[0]));
    cv_deadline_set(&deadlines, &members[1], 1);
    run_until_fired(1);
    CHECK_EQ(fired[0], 1);
    CHECK_EQ(close_all(), 0);
}

static void
set_again(int index)
{
    if (fired_count < 3) {
        cv_deadline_set(&deadlines, &members[index], 0);
    }
}

TEST(on_due_may_set_the_deadline_again)
{
    open_all();
    do_due = set_again;
    cv_deadlines_configure(&deadlines, 0, 1);
    cv_deadline_set(&deadlines, &members[0], 0);
    run_until_fired(3);
    CHECK(!cv_deadline_is_set(&members[0]));
    CHECK_EQ(close_all(), 0);
}

static void
clear_the_others(int index)
{
    (void)index;
    for (int i = 0; i < MEMBERS; i++) {
        cv_deadline_clear(&members[i]);
    }
}

TEST(on_due_may_clear_others_that_are_due)
{
    open_all();
    do_due = clear_the_others;
    cv_deadlines_configure(&deadlines, 0, 1);
    for (int i = 0; i < MEMBERS; i++) {
        cv_deadline_set(&deadlines, &members[i], 0);
    }
    run_until_fired(1);
    CHECK_EQ(fired_count, 1);
    CHECK_EQ(close_all(), 0);
}

static void
close_deadlines(int index)
{
    (void)index;
    cv_deadlines_close(&deadlines, on_closed);
}

TEST(on_due_may_close_them_all)
{
    open_all();
    do_due = close_deadlines;
    cv_deadlines_configure(&deadlines, 0, 1);
    cv_deadline_set(&deadlines, &members[0], 0);
    run_until_fired(1);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(is_closed);
    CHECK_EQ(uv_loop_close(&loop), 0);
}

TEST(a_stale_timer_rests_after_one_look)
{
    open_all();
    cv_deadlines_configure(&deadlines, 0, 1);
    cv_deadline_set(&deadlines, &members[0], 0);
    cv_deadline_clear(&members[0]);
    CHECK(uv_is_active((uv_handle_t *)&deadlines.timer));
    uv_ref((uv_handle_t *)&deadlines.timer);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(!uv_is_active((uv_handle_t *)&deadlines.timer));
    CHECK_EQ(fired_count, 0);
    CHECK_EQ(close_all(), 0);
}

TEST(deadlines_do_not_keep_the_loop_alive)
{
    open_all();
    cv_deadlines_configure(&deadlines, 0, 3600000);
    cv_deadline_set(&deadlines, &members[0], 0);
    CHECK_EQ(uv_run(&loop, UV_RUN_DEFAULT), 0);
    CHECK_EQ(fired_count, 0);
    CHECK_EQ(close_all(), 0);
}

/* What the timer does when the loop's time is `time`. */
static void
look_at(uint64_t time)
{
    loop.time = time;
    uv_timer_stop(&deadlines.timer);
    on_timer(&deadlines.timer);
}

/* As a busy connection's does. */
TEST(a_deadline_that_moves_on_fires_at_its_last_time)
{
    open_all();
    uint64_t time = uv_now(&loop);
    for (int i = 0; i < 1000; i++, time += 50) {
        look_at(time);
        cv_deadline_set_at(&deadlines, &members[0], 0, time + 5000);
        uint32_t tick = members[0].tick;
        cv_deadline_clear(&members[0]);
        cv_deadline_set_at(&deadlines, &members[0], 0, time + 5000);
        CHECK_EQ(members[0].tick, tick);
    }
    uint64_t due = members[0].due;
    CHECK_EQ(due, time - 50 + 5000);
    for (; time < due; time += 50) {
        look_at(time);
        CHECK_EQ(fired_count, 0);
    }
    look_at(due + 64);
    CHECK_EQ(fired_count, 1);
    CHECK(!cv_list_is_linked(&members[0].node));
    CHECK_EQ(close_all(), 0);
}

TEST(a_loop_that_was_away_for_long_misses_none)
{
    open_all();
    for (unsigned i = 0; i < MEMBERS; i++) {
        cv_deadlines_configure(&deadlines, i, 1000 * (i + 1));
        cv_deadline_set(&deadlines, &members[i], i);
    }
    look_at(uv_now(&loop) + 3600000);
    CHECK_EQ(fired_count, MEMBERS);
    CHECK(!uv_is_active((uv_handle_t *)&deadlines.timer));
    CHECK_EQ(close_all(), 0);
}

TEST(a_deadline_that_moves_to_an_earlier_time_fires_then)
{
    open_all();
    cv_deadlines_configure(&deadlines, 0, 3600000);
    cv_deadlines_configure(&deadlines, 1, 1);
    cv_deadline_set(&deadlines, &members[0], 0);
    cv_deadline_set(&deadlines, &members[0], 1);
    run_until_fired(1);
    CHECK_EQ(fired[0], 0);
    CHECK_EQ(close_all(), 0);
}

TEST(a_deadline_farther_away_than_the_wheel_is_round_stands_in_its_last_list)
{
    open_all();
    cv_deadlines_configure(&deadlines, 0, 3600000);
    cv_deadline_set(&deadlines, &members[0], 0);
    uint64_t farthest = uv_now(&loop) / 64 + CV_DEADLINE_LISTS;
    CHECK_EQ(members[0].tick, farthest);
    CHECK_EQ(close_all(), 0);
}

int
main(void)
{
    RUN(deadlines_of_one_kind_fire_in_the_order_they_were_set);
    RUN(an_earlier_deadline_of_another_kind_fires_first);
    RUN(a_deadline_is_counted_from_the_time_when_it_is_set);
    RUN(a_deadline_may_be_given_its_time);
    RUN(a_deadline_that_is_due_can_be_prolonged_once);
    RUN(a_cleared_deadline_does_not_fire);
    RUN(a_deadline_set_again_moves);
    RUN(a_kind_without_a_duration_never_fires);
    RUN(on_due_may_set_the_deadline_again);
    RUN(on_due_may_clear_others_that_are_due);
    RUN(on_due_may_close_them_all);
    RUN(a_stale_timer_rests_after_one_look);
    RUN(a_deadline_that_moves_on_fires_at_its_last_time);
    RUN(a_loop_that_was_away_for_long_misses_none);
    RUN(a_deadline_that_moves_to_an_earlier_time_fires_then);
    RUN(a_deadline_farther_away_than_the_wheel_is_round_stands_in_its_last_list);
    RUN(deadlines_do_not_keep_the_loop_alive);
    return cv_test_end();
}
